package host_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/journal"
	"github.com/stretchr/testify/require"
)

// disk is a journal on a disk of 100 GiB.
type disk struct {
	journal.Backend
	free *atomic.Uint64
}

func (d disk) Space() (free, total uint64, err error) { return d.free.Load(), 100 << 30, nil }

// S14: with less than the reserve left commands are refused and effects go on; when there is room again, so do commands.
func TestS14_storageFull(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var free atomic.Uint64
		w.wrap = func(b journal.Backend) journal.Backend { return disk{b, &free} }
		w.stop()
		free.Store(1 << 30)
		w.start()
		peer, letGo := hanging()
		w.peer("peer", peer)
		w.do("a", call("peer"))
		synctest.Wait()
		send := func() error {
			_, err := w.store("a").Send(context.Background(), pack(w, m{"type": "do", "effects": []m{}}))
			return err
		}
		require.NoError(t, send(), "just the reserve is enough")
		free.Add(^uint64(0))
		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, send(), &host.Error{Code: abi.CodeStorageFull})
		require.True(t, w.host.Health().IsUnhealthy())
		letGo()
		synctest.Wait()
		require.Len(t, w.log("a"), 1, "what is fed back is taken")
		free.Add(1)
		time.Sleep(time.Second)
		synctest.Wait()
		require.NoError(t, send())
		require.True(t, w.host.Health().IsHealthy())

		w.stop() // a host that starts with a full disk takes none either, unless it was told to have no reserve
		free.Store(0)
		w.start()
		require.ErrorIs(t, send(), &host.Error{Code: abi.CodeStorageFull})
		w.stop()
		w.config.ReserveBytes = -1
		w.start()
		require.NoError(t, send())
	})
}
