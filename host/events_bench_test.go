package host_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
	eventrows "github.com/crhost/crhost/effects/eventstore/rows"
	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/journal/pebble"
)

// BenchmarkEvents_onDisk appends one event at a time, to 1,000 streams, in a directory (of TMPDIR), beside a loop that writes as many bytes and syncs: fsyncs/op is
// the time of an append in fsyncs. With side=pebble the callers commit rows like those of an event to Pebble, each for itself, and look nothing up.
func BenchmarkEvents_onDisk(b *testing.B) {
	for _, callers := range []int{1, 256} {
		b.Run(fmt.Sprintf("callers=%d/side=store", callers), func(b *testing.B) {
			backend, err := pebble.Open(b.TempDir(), pebble.Config{})
			require.NoError(b, err)
			store, err := eventrows.Open(host.RowsOf(backend))
			require.NoError(b, err)
			data := append([]byte{0xc4, 100}, make([]byte, 100)...)
			besideFsync(b, callers, func(i int64) error {
				event := []eventstore.Event{{ID: fmt.Sprintf("7f3a9c01d2e4b5a6/%d/0", i), Type: "order_placed", Data: data}}
				_, err := store.Append(context.Background(), fmt.Sprintf("order-%d", i%1000), eventstore.Any, event)
				return err
			})
			require.NoError(b, store.Close())
			require.NoError(b, backend.Close())
		})
		b.Run(fmt.Sprintf("callers=%d/side=pebble", callers), func(b *testing.B) {
			backend, err := pebble.Open(b.TempDir(), pebble.Config{})
			require.NoError(b, err)
			db := host.RowsOf(backend)
			besideFsync(b, callers, func(i int64) error {
				return db.Apply([]keyspace.Write{
					{Key: fmt.Appendf(nil, "ea%08d", i), Value: make([]byte, 200)}, {Key: fmt.Appendf(nil, "esorder-%d/%08d", i%1000, i), Value: make([]byte, 17)},
					{Key: fmt.Appendf(nil, "i7f3a9c01d2e4b5a6/%d/0", i), Value: make([]byte, 40)}, {Key: fmt.Appendf(nil, "ehorder-%d", i%1000), Value: make([]byte, 17)},
				})
			})
			require.NoError(b, backend.Close())
		})
	}
}

// besideFsync has callers do b.N things, and reports how long one takes in fsyncs, measured before and after.
func besideFsync(b *testing.B, callers int, do func(i int64) error) {
	var next atomic.Int64
	fsync := fsyncTime(b)
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	each := float64(b.Elapsed()) / float64(b.N)
	fsync = (fsync + fsyncTime(b)) / 2
	b.ReportMetric(each/float64(fsync), "fsyncs/op")
	b.ReportMetric(float64(time.Second)/each, "op/s")
	b.ReportMetric(float64(fsync), "ns/fsync")
}

// fsyncTime is how long appending to a file and syncing it takes, on average.
func fsyncTime(b *testing.B) time.Duration {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	defer f.Close()
	const rounds = 1000
	record := make([]byte, 400) // what one event takes, with its index
	began := time.Now()
	for range rounds {
		_, err := f.Write(record)
		require.NoError(b, err)
		require.NoError(b, f.Sync())
	}
	return time.Since(began) / rounds
}
