package memory_test

import (
	"context"
	"sync"
	"testing"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
)

func record(life journal.Incarnation, seq uint64) *journal.Record {
	return &journal.Record{
		Kind: journal.KindAction, Cause: journal.CauseCommand, Schema: 1, Life: life, Seq: seq, Time: 1, Revision: 1, Fuel: 300,
		Action: make([]byte, 20), Meta: make([]byte, 40), Effects: []byte{0x90},
	}
}

type owner struct {
	durable uint64
	_       [120]byte
}

func (o *owner) Durable(seq uint64) { o.durable = seq }
func (o *owner) Lost(uint64)        {}

// shard commits n actions of one store, as one caller does, with the checkpoints that bound its log.
func shard(b *journal.Committer, life journal.Incarnation, loop func() bool) {
	ctx, o := context.Background(), new(owner)
	for seq := uint64(1); loop(); seq++ {
		r := record(life, seq)
		s := journal.Step{Life: life, Seq: seq, Record: r.Encode(), Owner: o}
		if seq%512 == 0 {
			s.Extra = new(journal.Batch)
			s.Extra.Release(life, seq)
		}
		if err := b.Wait(ctx, b.Enqueue(s)); err != nil {
			panic(err)
		}
	}
}

func BenchmarkAction(b *testing.B) {
	b.Run("callers=1", func(b *testing.B) {
		b.ReportAllocs()
		shard(journal.NewCommitter(memory.New(memory.Config{}), journal.Config{}), journal.Incarnation{1}, b.Loop)
	})
	for _, shards := range []int{1, 2} {
		b.Run("parallel/shards="+string(rune('0'+shards)), func(b *testing.B) {
			b.ReportAllocs()
			backend := memory.New(memory.Config{})
			var wg sync.WaitGroup
			for i := range shards {
				n := b.N
				wg.Go(func() {
					shard(journal.NewCommitter(backend, journal.Config{}), journal.Incarnation{byte(i)}, func() bool { n--; return n >= 0 })
				})
			}
			wg.Wait()
			b.ReportMetric(float64(shards*b.N)/b.Elapsed().Seconds(), "actions/s")
		})
	}
}
