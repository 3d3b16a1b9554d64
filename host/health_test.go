package host_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
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
		require.Equal(t, host.Health{Durability: journal.InMemory, Status: host.Healthy}, w.host.Health())
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
		require.Equal(t, host.Health{Durability: journal.InMemory, Status: host.Degraded, Reasons: []string{"tenant default: the breaker of call=peer is open, 1 effects are parked"}}, w.host.Health())
		require.NoError(t, w.host.SetBreaker("", "call=peer", host.ForceClose))
		synctest.Wait()
		require.True(t, w.host.Health().IsHealthy())
		_, err = w.host.ModuleHealth("", "nothing")
		require.ErrorIs(t, err, host.ErrNotFound)
	})
}

// S6: a halted store counts until it is resumed, whoever started the host since and whether or not anybody has asked for the store: in the health of module and host, and in
// the gauge of the module.
func TestHealth_haltedStoresAfterRestart(t *testing.T) {
	wasm := enginetest.Attacker(t, attacks(t)["trap"].src)
	inBubble(t, func(t *testing.T, w *world) {
		var stats func() observe.ModuleStats
		w.stop()
		w.config.HaltOnCommandTrap = true
		w.config.Observer = &observe.Observer{ModuleLoaded: func(m observe.Module) *observe.ModuleHooks {
			if m.Name == "m" {
				stats = m.Stats
			}
			return nil
		}}
		w.start()
		load := func() {
			_, err := w.host.Deploy(t.Context(), host.DeployRequest{Module: "m", Wasm: wasm})
			require.NoError(t, err)
		}
		load()
		store := func(key string) *host.Store { return w.host.Store(abi.Address{Module: "m", Key: key}) }
		for _, key := range []string{"a", "b", "c"} {
			_, err := store(key).Send(t.Context(), pack(t, m{"type": "increment"}))
			require.NoError(t, err)
			if key != "b" {
				_, err = store(key).Send(t.Context(), pack(t, m{"type": "attack"}))
				require.ErrorIs(t, err, host.ErrHalted)
			}
		}
		require.Equal(t, 2, stats().Halted)
		before := w.host.Health().Reasons
		require.Len(t, before, 2)
		require.Contains(t, strings.Join(before, "\n"), "store default/m/a: halted: ")

		w.crash()
		require.ElementsMatch(t, before, w.host.Health().Reasons)
		h, err := w.host.ModuleHealth("", "m")
		require.NoError(t, err)
		require.ElementsMatch(t, before, h.Reasons)
		require.Equal(t, 2, stats().Halted)
		require.Zero(t, stats().Stores, "nobody has asked for any")
		require.NoError(t, w.host.Unload(t.Context(), "", "m"))
		require.True(t, w.host.Health().IsHealthy(), "nobody misses them")
		load()
		require.ElementsMatch(t, before, w.host.Health().Reasons)

		require.NoError(t, store("a").Delete(t.Context()))
		require.NoError(t, store("c").Resume(t.Context()))
		require.True(t, w.host.Health().IsHealthy())
		w.crash()
		require.True(t, w.host.Health().IsHealthy())
		require.Zero(t, stats().Halted)
	})
}
