package shard_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard"
	"github.com/stretchr/testify/require"
)

// S9, S15: what is left in memory of stores that were deleted is bounded as that of others is.
func TestS15_deletedStoresLeaveMemory(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{Stores: 10})
	for k := range 500 {
		f.send(t, fmt.Sprint(k), "add")
		require.NoError(t, f.Delete(context.Background(), fmt.Sprint(k)))
	}
	require.Less(t, f.Known(), 60)
}

// S5, S9: so is that of stores whose actions the journal refused.
func TestS9_failedStoresLeaveMemory(t *testing.T) {
	var j faulty
	f := newFixture(t, j.journal(0), shard.Config{Stores: 10})
	for k := range 500 {
		f.send(t, fmt.Sprint(k, "kept"), "add")
		j.failing.Store(true)
		f.refused(t, fmt.Sprint(k), "add", abi.CodeBatchFailed)
		f.refused(t, fmt.Sprint(k, "kept"), "add", abi.CodeBatchFailed)
		j.failing.Store(false)
	}
	f.send(t, "last", "add")
	require.Less(t, f.Known(), 60)
	for k := range 500 {
		f.requireValue(t, fmt.Sprint(k, "kept"), 1)
	}
}

// S6, S9: a store that was halted by a revision leaves memory under the next one, and counts again when that one is active again.
func TestS6_haltedStoreThatLeftMemory(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{Stores: 10, HaltOnCommandTrap: true})
	f.send(t, "halted", "add")
	f.refused(t, "halted", "trap", abi.CodeHalted)
	f.deploy(t, 2, nil)
	require.Empty(t, f.Halts())
	for k := range 500 {
		f.send(t, fmt.Sprint(k), "add")
	}
	require.False(t, f.Knows("halted"))
	f.deploy(t, 1, nil)
	halts := f.Halts()
	require.Len(t, halts, 1)
	require.Equal(t, "halted", halts[0].Key)
	var stats observe.ModuleStats
	f.Stats(&stats)
	require.Equal(t, 1, stats.Halted)
	require.NoError(t, f.Resume(context.Background(), "halted", false))
	require.Empty(t, f.Halts())
}
