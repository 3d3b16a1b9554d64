package host_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/stretchr/testify/require"
)

// While an unload still writes a module's stores nothing takes the module's place: two loads would write to the same logs.
func TestUnload_keepsItsPlace(t *testing.T) {
	ctx := context.Background()
	var holding atomic.Bool
	held, release := make(chan struct{}), make(chan struct{})
	h := counterHost(t, host.Config{Journal: memory.New(memory.Config{Before: func(b *journal.Batch) error {
		for _, row := range b.Rows() {
			if row.Key[0] == 'c' && holding.CompareAndSwap(true, false) { // a checkpoint
				close(held)
				<-release
			}
		}
		return nil
	}})})
	s := h.Store(abi.Address{Module: "counter"})
	mustSend(t, s, "increment")
	holding.Store(true)
	unloaded := make(chan error)
	go func() { unloaded <- h.Unload(ctx, "", "counter") }()
	<-held
	again := host.DeployRequest{Module: "counter", Wasm: enginetest.Counter(t), RefuseBusy: true}
	_, err := h.Deploy(ctx, again)
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeBusy})
	_, err = s.Send(ctx, enginetest.Action("increment"))
	require.ErrorIs(t, err, host.ErrNotFound)
	close(release)
	require.NoError(t, <-unloaded)
	_, err = h.Deploy(ctx, again)
	require.NoError(t, err)
	require.EqualValues(t, 2, mustSend(t, s, "increment").Seq)
}

// A handle that has led to a store finds it again where another load of its module keeps it.
func TestUnload_handlesFindTheirStore(t *testing.T) {
	ctx := context.Background()
	h := counterHost(t, host.Config{})
	address := abi.Address{Module: "counter"}
	s := h.Store(address)
	mustSend(t, s, "increment")
	_, err := s.State(ctx)
	require.NoError(t, err)
	require.NoError(t, h.Unload(ctx, "", "counter"))
	_, err = h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: enginetest.Counter(t)})
	require.NoError(t, err)
	require.EqualValues(t, 2, mustSend(t, h.Store(address), "increment").Seq)
	state, err := s.State(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, state.Seq)
	require.EqualValues(t, 3, mustSend(t, s, "increment").Seq)
}
