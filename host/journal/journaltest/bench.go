package journaltest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/crhost/crhost/host/journal"
)

// Benchmark measures what the suite checks: actions through the fence by callers, stores and shards, and reading.
func Benchmark(b *testing.B, open func() journal.Backend) {
	b.Run("commit", func(b *testing.B) {
		for _, shards := range []int{1, 2} {
			for _, callers := range []int{1, 8, 64} {
				b.Run(fmt.Sprintf("shards=%d/callers=%d", shards, callers), func(b *testing.B) { benchCommit(b, open(), shards, callers, 1) })
			}
		}
		for _, stores := range []int{1_000, 100_000} {
			b.Run(fmt.Sprintf("stores=%d", stores), func(b *testing.B) { benchCommit(b, open(), 1, 1, stores) })
		}
	})
	b.Run("read", func(b *testing.B) { benchRead(b, open()) })
}

// desk is a shard for benchmarks: the cost of committing and nothing else.
type desk struct {
	mu     sync.Mutex // the shard's lock
	fence  *journal.Committer
	stores []benchStore
	next   int
	_      [128]byte // two desks do not share a cache line
}

type benchStore struct {
	life    journal.Incarnation
	seq     uint64
	durable atomic.Uint64
	_       [128]byte // nor do stores of two shards
}

func (s *benchStore) Durable(seq uint64) { s.durable.Store(seq) }
func (s *benchStore) Lost(uint64)        {}

// released is after how many records a store takes a checkpoint here.
const released = 512

func (d *desk) send(ctx context.Context) error {
	d.mu.Lock()
	s := &d.stores[d.next]
	if d.next++; d.next == len(d.stores) {
		d.next = 0
	}
	s.seq++
	record := journal.Record{
		Kind: journal.KindAction, Cause: journal.CauseCommand, Schema: 1, Life: s.life, Seq: s.seq, Revision: 1, Fuel: 300,
		Action: bytes20[:], Meta: bytes40[:], Effects: bytes20[:1],
	}
	step := journal.Step{Life: s.life, Seq: s.seq, Record: record.Encode(), Owner: s}
	if s.seq%released == 0 {
		step.Extra = new(journal.Batch)
		journal.PutCheckpoint(step.Extra, s.life, &journal.Checkpoint{Seq: s.seq, State: bytes20[:]})
	}
	p := d.fence.Enqueue(step)
	d.mu.Unlock()
	return d.fence.Wait(ctx, p)
}

var (
	bytes20 [20]byte
	bytes40 [40]byte
)

func benchCommit(b *testing.B, backend journal.Backend, shards, callers, stores int) {
	defer backend.Close()
	desks := make([]*desk, shards)
	for i := range desks {
		desks[i] = &desk{fence: journal.NewCommitter(backend, journal.Config{}), stores: make([]benchStore, stores)}
		for j := range desks[i].stores {
			desks[i].stores[j].life = journal.Incarnation{byte(j), byte(j >> 8), byte(j >> 16), byte(i)}
			desks[i].stores[j].life[15] = byte(i)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	ctx := context.Background()
	if shards*callers == 1 {
		for b.Loop() {
			if err := desks[0].send(ctx); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for _, d := range desks {
		for range callers {
			wg.Go(func() {
				const share = 128
				for left.Add(-share) > -share {
					for range share {
						if err := d.send(ctx); err != nil {
							b.Error(err)
							return
						}
					}
				}
			})
		}
	}
	wg.Wait()
}

func benchRead(b *testing.B, backend journal.Backend) {
	defer backend.Close()
	var batch journal.Batch
	life := journal.Incarnation{1}
	for seq := uint64(1); seq <= 1000; seq++ {
		record := journal.Record{Kind: journal.KindAction, Cause: journal.CauseCommand, Life: life, Seq: seq, Action: bytes20[:]}
		batch.Append(life, seq, record.Encode())
		journal.PutStore(&batch, journal.StoreID{Tenant: "t", Module: "m", Key: fmt.Sprint(seq)}, &journal.Store{Life: life})
	}
	if err := backend.Apply(&batch); err != nil {
		b.Fatal(err)
	}
	b.Run("store", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := journal.ReadStore(backend, journal.StoreID{Tenant: "t", Module: "m", Key: "500"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("stores=1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range journal.Stores(backend, journal.ModuleID{Tenant: "t", Module: "m"}, "") {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("records=1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range journal.Records(backend, life, 1, 1000) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
