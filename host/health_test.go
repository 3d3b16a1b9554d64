package host_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host"
)

// Dead letters, attempts that fail, open breakers and what is parked count; each answer says why, and is well again when the cause is gone.
func TestHealth_effects(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		module := func() host.Health {
			h, err := w.host.ModuleHealth("", "script")
			require.NoError(t, err)
			return h
		}
		letters := func(store string, n int) {
			for range n {
				require.NoError(t, w.do(store, call("nobody")).Wait(t.Context()))
			}
		}
		require.Equal(t, host.Health{Status: host.Healthy}, w.host.Health())
		letters("a", 9)
		require.True(t, w.store("a").Health().IsHealthy())
		require.True(t, module().IsHealthy())
		letters("a", 1)
		require.Equal(t, host.Health{Status: host.Degraded, Reasons: []string{"store default/script/a: 10 dead letters"}}, w.store("a").Health())
		require.True(t, w.store("b").Health().IsHealthy())
		require.Equal(t, []string{"module default/script: 10 dead letters"}, module().Reasons)
		require.Equal(t, []string{"the host: 10 dead letters"}, w.host.Health().Reasons)
		require.Equal(t, []string{"tenant default: 10 dead letters"}, w.host.TenantHealth("").Reasons)
		require.True(t, w.host.TenantHealth("other").IsHealthy())

		letters("b", 10)
		require.Equal(t, []string{"module default/script: 20 dead letters", "module default/script: 20 of 20 attempts at effects failed in the last minute"}, module().Reasons)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"module default/script: 20 dead letters"}, module().Reasons)
		time.Sleep(time.Hour)
		for range 21 {
			require.NoError(t, w.do("c", call("echo")).Wait(t.Context()))
		}
		letters("b", 20)
		require.Equal(t, []string{"module default/script: 40 dead letters"}, module().Reasons, "less than half")

		letters("b", 60)
		require.Equal(t, host.Degraded, module().Status)
		letters("b", 1)
		require.True(t, module().IsUnhealthy())
		time.Sleep(time.Minute)
		n, err := w.host.RetryDeadLetters(t.Context(), host.DeadLetterFilter{Key: "b"}, 1e6)
		require.NoError(t, err)
		require.Equal(t, 91, n)
		synctest.Wait()
		require.True(t, module().IsUnhealthy(), "nobody performs them still")
		list, err := w.host.DeadLetters(host.DeadLetterFilter{}, 0)
		require.NoError(t, err)
		for _, l := range list {
			require.NoError(t, w.host.DiscardDeadLetter(t.Context(), "", l.ID))
		}
		time.Sleep(time.Minute)
		require.True(t, w.host.Health().IsHealthy())

		require.NoError(t, w.host.SetBreaker("", "call=peer", host.ForceOpen))
		w.do("a", call("peer"))
		synctest.Wait()
		require.Equal(t, host.Health{Status: host.Degraded, Reasons: []string{"tenant default: the breaker of call=peer is open, 1 effects are parked"}}, w.host.Health())
		require.NoError(t, w.host.SetBreaker("", "call=peer", host.ForceClose))
		synctest.Wait()
		require.True(t, w.host.Health().IsHealthy())
		_, err = w.host.ModuleHealth("", "nothing")
		require.ErrorIs(t, err, host.ErrNotFound)
	})
}
