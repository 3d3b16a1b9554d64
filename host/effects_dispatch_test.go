package host_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
)

// E2: a dispatch becomes one action of another store, with the correlation of its own, and is fed back; what that store refuses is an answer.
func TestE2_dispatch(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.do("a", m{"kind": "dispatch", "target": "script/b", "id": "hello", "ok": "ok", "err": "err"})
		require.NoError(t, r.WaitAll(t.Context()))
		require.Equal(t, []string{"ok hello"}, w.log("a"))
		require.Equal(t, []string{"do hello"}, w.log("b"))
		for a, err := range w.store("b").History(t.Context(), 0, 0) {
			require.NoError(t, err)
			require.Equal(t, "dispatch "+r.Correlation(), a.Cause+" "+a.Correlation)
		}
		require.NoError(t, w.do("a", m{"kind": "dispatch", "target": "tenant-x/script/b", "ok": "ok", "err": "err"}).WaitAll(t.Context()))
		require.Equal(t, []string{"ok hello", "err bad_address"}, w.log("a"))
	})
}

// hello is a dispatch to the store b of a module.
func hello(module string) m {
	return m{"kind": "dispatch", "target": module + "/b", "id": "hello", "ok": "ok", "err": "err"}
}

// load deploys the script guest once more.
func (w *world) load(module string) {
	w.Helper()
	_, err := w.host.Deploy(w.Context(), host.DeployRequest{Module: module, Wasm: enginetest.BuildGo(w, "./internal/guests/script")})
	require.NoError(w, err)
	synctest.Wait()
}

// E3: a dispatch to a module that is not loaded is parked, and goes on when the module is loaded; only one asks in between. Its health and its store's effects tell of it.
func TestE3_dispatchToAModuleThatIsNotLoaded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var attempts atomic.Int64
		w.stop()
		w.config.Observer = &observe.Observer{ModuleLoaded: func(observe.Module) *observe.ModuleHooks {
			return &observe.ModuleHooks{Performed: func(context.Context, *observe.Performed) { attempts.Add(1) }}
		}}
		w.start()
		began := time.Now().UTC()
		var receipts []host.Receipt
		for i := range 20 {
			receipts = append(receipts, w.do(fmt.Sprint(i), hello("late")))
			synctest.Wait()
		}
		require.EqualValues(t, 1, attempts.Load(), "the others know")
		open, err := w.store("3").Effects(t.Context())
		require.NoError(t, err)
		require.Len(t, open, 1)
		require.Equal(t, began, open[0].Parked)
		require.Equal(t, host.Health{Durability: journal.InMemory, Status: host.Degraded, Reasons: []string{"module default/late is not loaded: 20 dispatches to it are parked"}}, w.host.Health())
		require.True(t, w.host.TenantHealth("other").IsHealthy())
		require.Empty(t, w.host.Targets(""), "there is no breaker to set")
		time.Sleep(10*time.Hour + time.Second)
		require.EqualValues(t, 601, attempts.Load(), "one a minute")
		w.load("late")
		for _, r := range receipts {
			require.NoError(t, r.Wait(t.Context()))
		}
		require.Less(t, time.Since(began), 10*time.Hour+2*time.Second, "at once")
		require.Equal(t, []string{"ok hello"}, w.log("3"))
		require.True(t, w.host.Health().IsHealthy())
	})
}

// E3: such a dispatch is dead after ParkLimit, or at once with OnOpen: deadletter. One to an address that nobody can have is dead at once.
func TestE3_dispatchThatIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		dies := func(store string, e m) (reason, attempt string) {
			ctx, cancel := context.WithTimeout(t.Context(), 48*time.Hour)
			defer cancel()
			require.NoError(t, w.do(store, e).Wait(ctx))
			letters, err := w.store(store).DeadLetters()
			require.NoError(t, err)
			require.Len(t, letters, 1)
			require.Len(t, w.log(store), 1)
			return letters[0].Reason, letters[0].Attempts[0].Error
		}
		start := time.Now()
		reason, _ := dies("a", hello("late"))
		require.Equal(t, "parked_too_long", reason)
		require.Equal(t, 24*time.Hour, time.Since(start))
		start = time.Now()
		require.NoError(t, w.host.SetPolicy("", "dispatch", host.Policy{Retry: retry.Policy{ParkLimit: 90 * time.Second}}))
		reason, _ = dies("b", hello("late"))
		require.Equal(t, "parked_too_long", reason)
		require.Equal(t, 90*time.Second, time.Since(start), "it has asked in between, and that does not count")

		require.NoError(t, w.host.SetPolicy("", "dispatch", host.Policy{Retry: retry.Policy{OnOpen: retry.DeadLetter}}))
		reason, attempt := dies("c", hello("late"))
		require.Equal(t, "breaker_open: the module is not loaded", reason+": "+attempt)
		reason, attempt = dies("d", hello("never"))
		require.Equal(t, "breaker_open: not_found: tenant default has no module never", reason+": "+attempt)
		require.NoError(t, w.host.RemovePolicy("", "dispatch"))
		start = time.Now()
		reason, _ = dies("e", m{"kind": "dispatch", "target": "No/such/address", "ok": "ok", "err": "err"})
		require.Equal(t, "permanent", reason)
		require.Zero(t, time.Since(start))
	})
}

// E3, E8: such a dispatch can be cancelled, and waits after a restart.
func TestE3_dispatchThatIsParked(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.do("a", hello("late"))
		cancelled := w.do("b", hello("late"))
		synctest.Wait()
		w.do("b", m{"kind": "cancel", "id": "hello"})
		require.NoError(t, cancelled.Wait(t.Context()))
		require.Equal(t, []string{"module default/late is not loaded: 1 dispatches to it are parked"}, w.host.Health().Reasons)
		w.stop()
		w.start()
		time.Sleep(time.Hour)
		w.load("late")
		require.Equal(t, []string{"ok hello"}, w.log("a"))
		require.Empty(t, w.log("b"))
		require.NoError(t, w.host.Unload(t.Context(), "", "late"))
		w.do("a", hello("late"))
		w.load("late")
		require.Equal(t, []string{"ok hello", "ok hello"}, w.log("a"))
	})
}
