package host_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/observe"
	"github.com/stretchr/testify/require"
)

// page is the unit in which a guest's memory grows.
const page = 64 << 10

// A guest in Go that allocates in every action stays as large as it was after its warm-up, and so does the host.
func TestFlatMemory(t *testing.T) {
	ctx := context.Background()
	warmUp, actions := 100_000, 500_000
	if long() {
		actions = 5_000_000
	}
	var stats func() observe.ModuleStats
	h := open(t, host.Config{Shards: 1, Observer: &host.Observer{ModuleLoaded: func(m observe.Module) *observe.ModuleHooks {
		stats = m.Stats
		return nil
	}}})
	_, err := h.Deploy(ctx, host.DeployRequest{Module: "alloc", Wasm: enginetest.BuildGo(t, "./internal/guests/alloc")})
	require.NoError(t, err)
	s := h.Store(abi.Address{Module: "alloc"})
	var fills [][]byte
	for i := range 64 {
		fills = append(fills, pack(t, map[string]any{"type": "fill", "items": 1 + i%8, "text": strings.Repeat("x", i*i%300)}))
	}
	run := func(from, to int) (guest int64, heap uint64) {
		for i := from; i < to; i++ {
			_, err := s.Send(ctx, fills[i%len(fills)])
			require.NoError(t, err)
		}
		runtime.GC()
		runtime.GC() // what the first one found to finalize is gone after the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return stats().GuestMemoryBytes, m.HeapAlloc
	}
	started := time.Now()
	guest, heap := run(0, warmUp)
	guestAfter, heapAfter := run(warmUp, actions)
	t.Logf("%d actions in %s: guest %d -> %d bytes, host heap %d -> %d bytes", actions, time.Since(started).Round(time.Millisecond), guest, guestAfter, heap, heapAfter)
	require.LessOrEqual(t, guestAfter, guest+page, "the guest's memory")
	require.LessOrEqual(t, heapAfter, heap+heap/20, "the host's heap")
	require.EqualValues(t, actions, count(t, s))
}
