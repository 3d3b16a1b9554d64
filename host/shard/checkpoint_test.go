package shard_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard"
	"github.com/stretchr/testify/require"
)

func TestS9_checkpoints(t *testing.T) {
	backend := memory.New(memory.Config{})
	f := newFixture(t, backend, shard.Config{TailBytes: 2000})
	for range 100 {
		f.send(t, "a", "add")
	}
	life, _, last, err := f.Bounds(context.Background(), "a")
	require.NoError(t, err)
	c, err := journal.ReadCheckpoint(backend, life)
	require.NoError(t, err)
	require.LessOrEqual(t, c.Seq, last)
	require.Greater(t, c.Seq, last-20, "a record takes at least 150 bytes")
	f.refused(t, "a", "trap", abi.CodeTrapped)
	before := f.world.reduces.Load()
	f.send(t, "a", "add")
	require.LessOrEqual(t, f.world.reduces.Load()-before, int64(last-c.Seq)+1)
}

func TestS9_eviction(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{Residents: 3})
	for i := range int64(10) {
		for k := range 10 {
			f.send(t, fmt.Sprint(k), "add")
		}
		for k := range 10 {
			f.requireValue(t, fmt.Sprint(k), i+1)
		}
	}
	var stats observe.ModuleStats
	f.Stats(&stats)
	require.Equal(t, 10, stats.Stores)
	require.LessOrEqual(t, stats.Residents, 3)
}

func TestS9_storesLeaveMemory(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{Stores: 10})
	for round := range uint64(3) {
		for k := range 500 {
			require.Equal(t, round+1, f.send(t, fmt.Sprint(k), "add"))
		}
	}
	var stats observe.ModuleStats
	f.Stats(&stats)
	require.Less(t, stats.Stores, 60)
	for k := range 500 {
		f.requireValue(t, fmt.Sprint(k), 3)
	}
}

func TestS9_onlyTheDurableLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stuck chan struct{}
		f := newFixture(t, memory.New(memory.Config{Before: func(*journal.Batch) error {
			if stuck != nil {
				<-stuck
			}
			return nil
		}}), shard.Config{Stores: 1})
		stuck = make(chan struct{})
		for k := range 50 {
			go f.Send(context.Background(), fmt.Sprint(k), action("add"))
			synctest.Wait()
		}
		var stats observe.ModuleStats
		f.Stats(&stats)
		require.Equal(t, 50, stats.Stores)
		close(stuck)
		synctest.Wait()
		stuck = nil
		for k := range 50 {
			f.requireValue(t, fmt.Sprint(k), 1)
		}
	})
}

func TestS9_evictionOfTheUnencodable(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{Residents: 1})
	f.send(t, "a", "unencoded")
	f.send(t, "b", "add")
	f.refused(t, "a", "add", abi.CodeStateUnreadable)
	f.requireValue(t, "b", 1)
}
