package shard_test

import (
	"context"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/shard"
	"github.com/stretchr/testify/require"
)

func TestD3_adoption(t *testing.T) {
	backend := memory.New(memory.Config{})
	f := newFixture(t, backend, shard.Config{})
	for range 3 {
		f.send(t, "a", "add")
		f.send(t, "b", "add")
	}
	next := f.world.revision(2, nil)
	defer next.Retire()
	flip, err := f.Prepare(next)
	require.NoError(t, err)
	flip.Do()
	f.requireValue(t, "a", 3)
	require.Equal(t, 0, f.Belonging(2), "a read adopts nothing")
	f.refused(t, "a", "reject", abi.CodeRejected)
	require.Equal(t, 0, f.Belonging(2), "a refused action adopts nothing")
	f.send(t, "a", "add")
	require.Equal(t, 1, f.Belonging(2))
	f.requireValue(t, "a", 4)
	require.NoError(t, f.Drain(context.Background()))
	f.requireValue(t, "b", 3)
	f.send(t, "b", "add")
	f.requireValue(t, "b", 4)
	for r, err := range f.History(context.Background(), "a", 1, 10) {
		require.NoError(t, err)
		require.Equal(t, r.Seq == 4, r.Kind == journal.KindAdopt)
	}
	require.NoError(t, f.Close(context.Background(), &abi.Error{Code: abi.CodeShuttingDown}))
	f.start(t, 2, nil)
	f.requireValue(t, "a", 4)
	f.requireValue(t, "b", 4)
}

func TestRecycle(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "b", "add")
	for range 10_000 {
		f.send(t, "a", "add")
	}
	f.world.memory.Store(900)
	f.send(t, "a", "add")
	f.world.memory.Store(0)
	f.send(t, "a", "add")
	f.send(t, "b", "add")
	f.requireValue(t, "a", 10_002)
	f.requireValue(t, "b", 2)
	require.NoError(t, f.Drain(context.Background()))
	for r, err := range f.History(context.Background(), "b", 1, 10) {
		require.NoError(t, err)
		require.Equal(t, journal.KindAction, r.Kind)
	}
}
