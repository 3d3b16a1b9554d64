package host_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/stretchr/testify/require"
)

// D2: once the record is on its way a deploy cannot fail, also not because whoever asked for it goes away. The journal works on another
// module's deploy meanwhile, so that this one waits behind it.
func TestDeploy_D2_cancelledBehindItsRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		release := make(chan struct{})
		backend := memory.New(memory.Config{Before: func(*journal.Batch) error {
			if slow.Load() {
				<-release
			}
			return nil
		}})
		h := counterHost(t, host.Config{Journal: backend})
		slow.Store(true)
		deploy := func(ctx context.Context, module string, wasm []byte) <-chan error {
			ended := make(chan error, 1)
			go func() {
				_, err := h.Deploy(ctx, host.DeployRequest{Module: module, Wasm: wasm})
				ended <- err
			}()
			synctest.Wait()
			return ended
		}
		other := deploy(context.Background(), "other", enginetest.Counter(t))
		ctx, cancel := context.WithCancel(context.Background())
		replaced := deploy(ctx, "counter", replacement(t))
		cancel()
		synctest.Wait()
		close(release)
		require.NoError(t, <-other)
		require.NoError(t, <-replaced)

		versions, err := h.Versions("", "counter")
		require.NoError(t, err)
		require.True(t, versions[1].Active)
		receipt, err := h.Store(abi.Address{Module: "counter"}).Send(context.Background(), enginetest.Action("increment"))
		require.NoError(t, err)
		require.Equal(t, versions[1].Revision, receipt.Revision)
	})
}

// A deploy that is cancelled before its record changes nothing.
func TestDeploy_cancelled(t *testing.T) {
	h := counterHost(t, host.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	_, err := h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: replacement(t), Progress: func(stage string) {
		if stage == "activate" {
			cancel()
		}
	}})
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeCanceled})
	versions, err := h.Versions("", "counter")
	require.NoError(t, err)
	require.Len(t, versions, 1)
}

// S13: a module that is unloaded has stopped when another takes its place, also when whoever asked for it went away: what its stores accepted is in the journal by then.
func TestUnload_cancelledBehindItsRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var slow atomic.Bool
		ctx, cancel := context.WithCancel(context.Background())
		backend := memory.New(memory.Config{Before: func(b *journal.Batch) error {
			switch {
			case !slow.Load():
			case len(b.Logs()) > 0: // the actions
				<-release
			default: // the unload
				cancel()
			}
			return nil
		}})
		h := counterHost(t, host.Config{Journal: backend})
		s := h.Store(abi.Address{Module: "counter"})
		mustSend(t, s, "increment")
		slow.Store(true)
		sent := make(chan error, 1)
		go func() {
			_, err := s.Send(context.Background(), enginetest.Action("increment"))
			sent <- err
		}()
		synctest.Wait()
		unloaded := make(chan error, 1)
		go func() { unloaded <- h.Unload(ctx, "", "counter") }()
		synctest.Wait()
		require.Empty(t, unloaded, "the name is free while an action is on its way to the journal")
		close(release)
		require.NoError(t, <-sent)
		require.NoError(t, <-unloaded)
		slow.Store(false)
		_, err := h.Deploy(context.Background(), host.DeployRequest{Module: "counter", Wasm: enginetest.Counter(t)})
		require.NoError(t, err)
		require.EqualValues(t, 3, mustSend(t, s, "increment").Seq)
	})
}
