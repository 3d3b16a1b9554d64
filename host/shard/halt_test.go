package shard_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard"
	"github.com/stretchr/testify/require"
)

// deploy makes another revision the active one.
func (f *fixture) deploy(t *testing.T, number uint64, hooks *observe.ModuleHooks) {
	t.Helper()
	next := f.world.revision(number, hooks)
	t.Cleanup(next.Retire)
	flip, err := f.Prepare(next)
	require.NoError(t, err)
	flip.Do()
	require.NoError(t, f.Drain(context.Background()))
}

// S6, S7: a deploy ends a halt, durably with the first action after it; the revision that halted the store is not tried again.
func TestS6_deployEndsAHalt(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{HaltOnCommandTrap: true})
	for _, key := range []string{"a", "b", "c"} {
		f.send(t, key, "add")
		f.requireValue(t, key, 1)
	}
	f.refused(t, "a", "trap", abi.CodeHalted)
	f.refused(t, "b", "trap", abi.CodeHalted)
	f.restart(t)
	f.world.refuse.Store(true)
	f.refused(t, "c", "add", abi.CodeStateUnreadable)
	f.refused(t, "a", "add", abi.CodeHalted)
	f.world.refuse.Store(false)

	var resumed []string
	f.deploy(t, 2, &observe.ModuleHooks{Halted: func(h *observe.Halted) {
		require.True(t, h.Resumed)
		resumed = append(resumed, h.Key)
	}})
	require.Empty(t, f.Halts())
	f.send(t, "a", "add")
	f.send(t, "c", "add")
	require.Equal(t, []string{"a", "c"}, resumed)

	f.deploy(t, 1, nil)
	f.refused(t, "b", "add", abi.CodeHalted)
	f.send(t, "a", "add")
	f.restart(t)
	f.send(t, "a", "add")
	f.requireValue(t, "a", 4)
	f.requireValue(t, "c", 2)
	f.refused(t, "b", "add", abi.CodeHalted)
}

// A deploy does not end a divergence: that takes somebody who has seen it.
func TestDiverged_outlivesADeploy(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "a", "add")
	f.refused(t, "a", "trap", abi.CodeTrapped)
	f.world.diverge.Store(true)
	f.refused(t, "a", "add", abi.CodeDiverged)
	f.world.diverge.Store(false)
	f.deploy(t, 2, nil)
	f.refused(t, "a", "add", abi.CodeDiverged)
	require.NoError(t, f.Resume(context.Background(), "a", false))
	f.send(t, "a", "add")
}

// D3: a revision that could not take a store over is tried again when the store has gone on with another.
func TestD3_parkEnds(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "a", "add")
	f.world.refuse.Store(true)
	f.deploy(t, 2, nil)
	f.refused(t, "a", "add", abi.CodeStateUnreadable)
	f.world.refuse.Store(false)
	f.refused(t, "a", "add", abi.CodeStateUnreadable)
	f.deploy(t, 3, nil)
	f.send(t, "a", "add")
	f.deploy(t, 2, nil)
	f.send(t, "a", "add")
	f.requireValue(t, "a", 3)
}

// S6: one spare instance is kept ready, so that a trap costs its shard no start-up.
func TestS6_spare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
		f.send(t, "a", "add")
		for made := int64(2); made < 5; made++ {
			synctest.Wait()
			require.Equal(t, made, f.world.made.Load(), "the one that works, the lost ones and the spare")
			f.refused(t, "a", "trap", abi.CodeTrapped)
			f.send(t, "a", "add")
		}
	})
}
