package pebble_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/journaltest"
	"github.com/crhost/crhost/host/journal/pebble"
)

func onDisk(b *testing.B) *pebble.Backend {
	b.Helper()
	backend, err := pebble.Open(b.TempDir(), pebble.Config{})
	require.NoError(b, err)
	return backend
}

func BenchmarkJournal(b *testing.B) {
	journaltest.Benchmark(b, func() journal.Backend { return onDisk(b) })
}

// side is one side of a comparison: run commits n records of recordSize.
type side struct {
	name string
	n    int
	run  func(n int)
}

const (
	recordSize = 250
	callers    = 256
)

// compare runs the sides in turns and reports the median time of a record on each, and how many times the first the others take. The
// disk's noise hits all sides alike.
func compare(b *testing.B, sides ...side) {
	const rounds = 9
	times := make([][]float64, len(sides))
	for b.Loop() {
		for range rounds {
			for i, s := range sides {
				start := time.Now()
				s.run(s.n)
				times[i] = append(times[i], float64(time.Since(start).Nanoseconds())/float64(s.n))
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of a whole comparison: says nothing
	medians := make([]float64, len(sides))
	for i := range sides {
		slices.Sort(times[i])
		medians[i] = times[i][len(times[i])/2]
		b.ReportMetric(medians[i], "ns/"+sides[i].name)
	}
	for i := 1; i < len(sides); i++ {
		b.ReportMetric(medians[i]/medians[0], sides[i].name+"/"+sides[0].name)
	}
}

// together runs do n times in all, from 256 goroutines.
func together(n int, do func(caller int)) {
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range n / callers {
				do(i)
			}
		})
	}
	wg.Wait()
}

// log appends to a log of its own.
type log struct {
	life journal.Incarnation
	seq  uint64
	at   journal.Place
}

func (l *log) batch(records int) *journal.Batch {
	batch := new(journal.Batch)
	for range records {
		l.seq++
		batch.AppendAt(&l.at, l.life, l.seq, make([]byte, recordSize))
	}
	return batch
}

// BenchmarkCommit puts a caller that waits for each record beside a bare fsync, and many callers beside Pebble without us: 256 goroutines with a
// commit for each record, and batches of 256.
func BenchmarkCommit(b *testing.B) {
	ctx := context.Background()
	backend := onDisk(b)
	defer backend.Close()
	check := func(err error) {
		if err != nil {
			b.Error(err)
		}
	}

	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	defer file.Close()
	fsync := side{"fsync", 256, func(n int) {
		for range n {
			_, err := file.Write(make([]byte, recordSize))
			check(err)
			check(file.Sync())
		}
	}}

	// Pebble with nothing around it: the same options, keys like those of logs.
	type row struct {
		caller byte
		n      uint64
	}
	set := func(r *row, records int) {
		batch := backend.Pebble().NewBatch()
		for range records {
			r.n++
			key := [25]byte{0: 'x', 1: r.caller}
			binary.BigEndian.PutUint64(key[17:], r.n)
			check(batch.Set(key[:], make([]byte, recordSize), nil))
		}
		check(batch.Commit(crdb.Sync))
		check(batch.Close())
	}
	rows := make([]row, callers)
	for i := range rows {
		rows[i].caller = byte(i)
	}
	alone := side{"pebble-256", 256 * 64, func(n int) { together(n, func(i int) { set(&rows[i], 1) }) }}
	batched := side{"pebble-batch", 256 * 256, func(n int) {
		for range n / 256 {
			set(&rows[0], 256)
		}
	}}

	one := log{life: journal.Incarnation{1}}
	apply := side{"apply", 256, func(n int) {
		for range n {
			check(backend.Apply(one.batch(1)))
		}
	}}
	logs := make([]log, callers)
	for i := range logs {
		logs[i].life = journal.Incarnation{2, byte(i)}
	}
	applies := side{"apply-256", 256 * 64, func(n int) { together(n, func(i int) { check(backend.Apply(logs[i].batch(1))) }) }}
	large := log{life: journal.Incarnation{3}}
	inBatches := side{"apply-batch", 256 * 256, func(n int) {
		for range n / 256 {
			check(backend.Apply(large.batch(256)))
		}
	}}

	// One store behind its fence.
	fence := journal.NewCommitter(backend, journal.Config{})
	var shard sync.Mutex
	hot := log{life: journal.Incarnation{4}}
	send := func() {
		shard.Lock()
		hot.seq++
		p := fence.Enqueue(journal.Step{Life: hot.life, Place: &hot.at, Seq: hot.seq, Record: make([]byte, recordSize)})
		shard.Unlock()
		check(fence.Wait(ctx, p))
	}
	sends := side{"one-store-256", 256 * 256, func(n int) { together(n, func(int) { send() }) }}
	sendOne := side{"one-caller", 256, func(n int) {
		for range n {
			send()
		}
	}}

	b.Run("latency", func(b *testing.B) { compare(b, fsync, apply, sendOne) })
	b.Run("many", func(b *testing.B) { compare(b, alone, applies, sends) })
	b.Run("batches", func(b *testing.B) { compare(b, batched, inBatches, sends) })
}
