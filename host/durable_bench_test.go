package host_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/pebble"
)

// durable is a host with the shipped counter on a journal on disk.
func durable(b *testing.B) *host.Host {
	j, err := pebble.Open(b.TempDir(), pebble.Config{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, j.Close()) })
	h := observed(b, host.Config{Journal: j})
	deploy(b, h, "counter", "./plugins/counter")
	return h
}

const durableCallers = 256

// callers run do n times in all, each in its own share, and return how long each took.
func callers(n int, do func(caller int)) []time.Duration {
	took := make([][]time.Duration, durableCallers)
	var wg sync.WaitGroup
	for i := range took {
		wg.Go(func() {
			for range n / durableCallers {
				start := time.Now()
				do(i)
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	return slices.Concat(took...)
}

// BenchmarkDurable is a host on disk beside a bare fsync and Pebble without us: one caller, whose latency counts, and 256, on a thousand stores and on one, beside
// 256 goroutines that commit one record of that size each, and beside batches of 256.
func BenchmarkDurable(b *testing.B) {
	const record = 250
	h := durable(b)
	increment := enginetest.Action("increment")
	send := func(s *host.Store) {
		if _, err := s.Send(context.Background(), increment); err != nil {
			b.Error(err)
		}
	}
	one := h.Store(abi.Address{Module: "counter", Key: "one"})
	hot := h.Store(abi.Address{Module: "counter", Key: "hot"})
	var many []*host.Store
	for i := range 1000 {
		many = append(many, h.Store(abi.Address{Module: "counter", Key: fmt.Sprint(i)}))
	}
	check := func(err error) {
		if err != nil {
			b.Error(err)
		}
	}
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	defer file.Close()
	db, err := crdb.Open(b.TempDir(), &crdb.Options{
		Logger: quiet{}, MemTableSize: pebble.DefaultMemTableBytes, MemTableStopWritesThreshold: 4, L0StopWritesThreshold: 1000,
	})
	require.NoError(b, err)
	defer func() { check(db.Close()) }()
	var seqs [durableCallers]uint64
	set := func(caller, records int) {
		batch := db.NewBatch()
		for range records {
			seqs[caller]++
			key := [25]byte{0: byte(caller)}
			binary.BigEndian.PutUint64(key[17:], seqs[caller])
			check(batch.Set(key[:], make([]byte, record), nil))
		}
		check(batch.Commit(crdb.Sync))
		check(batch.Close())
	}

	fsync := side{"fsync", func(n int) {
		for range n {
			_, err := file.Write(make([]byte, record))
			check(err)
			check(file.Sync())
		}
	}}
	b.Run("callers=1", func(b *testing.B) {
		compare(b, 256, fsync, side{"send", func(n int) {
			for range n {
				send(one)
			}
		}})
	})
	b.Run("callers=256", func(b *testing.B) {
		var slow []time.Duration // sends to a thousand stores
		turn := make([]int, durableCallers)
		compare(b, 256*64, side{"pebble-sync", func(n int) { callers(n, func(i int) { set(i, 1) }) }},
			side{"stores=1000", func(n int) {
				slow = append(slow, callers(n, func(i int) {
					turn[i]++
					send(many[(i*4+turn[i]%4)%1000])
				})...)
			}},
			side{"stores=1", func(n int) { callers(n, func(int) { send(hot) }) }},
			side{"pebble-batches", func(n int) {
				for range n / 256 {
					set(0, 256)
				}
			}})
		var fsyncs []time.Duration
		for range 1000 {
			start := time.Now()
			fsync.run(1)
			fsyncs = append(fsyncs, time.Since(start))
		}
		slices.Sort(fsyncs)
		slices.Sort(slow)
		p99, median := slow[len(slow)*99/100], fsyncs[len(fsyncs)/2]
		b.ReportMetric(float64(p99), "ns/p99")
		b.ReportMetric(float64(p99)/float64(median), "p99/fsync")
	})
}

// quiet is a Pebble logger that only dies.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// BenchmarkOpen_idleStores is how long a host takes to start on a journal with a million stores that have nothing to do.
func BenchmarkOpen_idleStores(b *testing.B) {
	const stores = 1_000_000
	dir := b.TempDir()
	j, err := pebble.Open(dir, pebble.Config{})
	require.NoError(b, err)
	h := open(b, host.Config{Journal: j})
	deploy(b, h, "counter", "./plugins/counter")
	revision := h.Modules("")[0]
	require.NoError(b, h.Shutdown(context.Background()))
	id := journal.ModuleID{Tenant: "default", Module: "counter"}
	var batch journal.Batch
	for i := range stores {
		life := journal.Incarnation{byte(i), byte(i >> 8), byte(i >> 16), 1}
		record := journal.Record{
			Kind: journal.KindAction, Cause: journal.CauseCommand, Schema: revision.Schema, Life: life, Seq: 1, Time: 1, Revision: 1, Action: enginetest.Action("increment"),
			Meta: []byte{0x95, 0xa0, 0xa0, 0xa0, 0, 0xa0},
		}
		batch.Append(life, 1, record.Encode())
		journal.PutStore(&batch, journal.StoreID{Tenant: id.Tenant, Module: id.Module, Key: fmt.Sprint(i)}, &journal.Store{Life: life, Created: 1})
		if i%1000 == 999 {
			require.NoError(b, j.Apply(&batch))
			batch = journal.Batch{}
		}
	}
	require.NoError(b, j.Close())
	cache := b.TempDir()
	var took []float64
	for first := true; b.Loop() || first; first = false {
		start := time.Now()
		j, err := pebble.Open(dir, pebble.Config{})
		require.NoError(b, err)
		h, err := host.Open(context.Background(), host.Config{Journal: j, CacheDir: cache})
		require.NoError(b, err)
		if !first { // which compiles
			took = append(took, time.Since(start).Seconds())
		}
		state, err := h.Store(abi.Address{Module: "counter", Key: "777777"}).State(context.Background())
		require.NoError(b, err)
		require.EqualValues(b, 1, state.Seq)
		require.NoError(b, h.Shutdown(context.Background()))
		require.NoError(b, j.Close())
	}
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(took[len(took)/2], "s/open")
}
