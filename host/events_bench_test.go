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
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/journal/pebble"
)

// BenchmarkEvents_onDisk appends one event at a time, to 1,000 streams, in a directory (of TMPDIR), beside a loop that writes as many bytes and syncs. fsyncs/op is the
// time of an append in fsyncs.
func BenchmarkEvents_onDisk(b *testing.B) {
	for _, appenders := range []int{1, 256} {
		b.Run(fmt.Sprintf("appenders=%d", appenders), func(b *testing.B) {
			backend, err := pebble.Open(b.TempDir(), pebble.Config{})
			require.NoError(b, err)
			store, err := eventrows.Open(host.RowsOf(backend))
			require.NoError(b, err)
			data := append([]byte{0xc4, 100}, make([]byte, 100)...)
			var next atomic.Int64
			fsync := fsyncTime(b)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for range appenders {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						event := []eventstore.Event{{ID: fmt.Sprintf("7f3a9c01d2e4b5a6/%d/0", i), Type: "order_placed", Data: data}}
						if _, err := store.Append(context.Background(), fmt.Sprintf("order-%d", i%1000), eventstore.Any, event); err != nil {
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
			b.ReportMetric(float64(time.Second)/each, "appends/s")
			b.ReportMetric(float64(fsync), "ns/fsync")
			require.NoError(b, store.Close())
			require.NoError(b, backend.Close())
		})
	}
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
