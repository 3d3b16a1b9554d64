package rows_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/eventstore/eventstoretest"
	"github.com/crhost/crhost/effects/eventstore/rows"
	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/keyspace/keyspacetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a store with its disk.
type store struct {
	*rows.Store
	disk *keyspacetest.Disk
}

func on(t require.TestingT, disk *keyspacetest.Disk) *store {
	s, err := rows.Open(disk)
	require.NoError(t, err)
	return &store{s, disk}
}

func TestConformance(t *testing.T) {
	for _, bubble := range []bool{true, false} {
		t.Run(fmt.Sprintf("bubble=%t", bubble), func(t *testing.T) {
			eventstoretest.Run(t, func() eventstore.Store { return on(t, new(keyspacetest.Disk)) }, eventstoretest.Features{
				Bubble: bubble, Reopen: func(s eventstore.Store) eventstore.Store { return on(t, s.(*store).disk.Crash()) },
			})
		})
	}
}

func event(id string) []eventstore.Event {
	return []eventstore.Event{{ID: id, Type: "t", Data: []byte{0xc0}}}
}

func ids(t *testing.T, s eventstore.Store) (ids []string) {
	all, err := s.All(t.Context(), 0, 1000)
	require.NoError(t, err)
	for _, e := range all {
		ids = append(ids, e.ID)
	}
	return ids
}

// gate holds batches between their being visible and their being durable.
type gate struct {
	mu      sync.Mutex // guards what follows
	held    chan struct{}
	batches int
	err     error
}

func (g *gate) sync([]keyspace.Write) error {
	g.mu.Lock()
	g.batches++
	held, err := g.held, g.err
	g.mu.Unlock()
	if held != nil {
		<-held
	}
	return err
}

// hold holds the batches from now on, until the returned function is called.
func (g *gate) hold() (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	held := make(chan struct{})
	g.held = held
	return func() {
		g.mu.Lock()
		g.held = nil
		g.mu.Unlock()
		close(held)
	}
}

// Nobody sees what the disk shows and has not made durable, nor an answer that depends on it (S2).
func TestAppend_seenWhenDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, g := t.Context(), new(gate)
		s := on(t, &keyspacetest.Disk{Sync: g.sync})
		defer s.Close()
		_, err := s.Append(ctx, "s", 0, event("a"))
		require.NoError(t, err)
		require.NoError(t, s.SaveSnapshot(ctx, "s", eventstore.Snapshot{Version: 1, Data: []byte("one")}))

		release := g.hold()
		var answers sync.WaitGroup
		var answered atomic.Int32
		answer := func(do func()) {
			answers.Go(func() { do(); answered.Add(1) })
			synctest.Wait()
		}
		answer(func() {
			at, err := s.Append(ctx, "s", 1, event("b"))
			require.NoError(t, err)
			require.EqualValues(t, 2, at.LastPosition)
		})
		answer(func() {
			_, err := s.Append(ctx, "s", 1, event("c"))
			require.ErrorIs(t, err, eventstore.ErrConflict)
		})
		answer(func() {
			at, err := s.Append(ctx, "s", 1, event("b"))
			require.NoError(t, err)
			require.EqualValues(t, 2, at.LastPosition)
		})
		answer(func() { require.NoError(t, s.Wait(ctx, 1)) })
		require.Zero(t, answered.Load())
		require.Equal(t, []string{"a"}, ids(t, s))
		page, err := s.Load(ctx, "s", 1, 10)
		require.NoError(t, err)
		require.Len(t, page, 1)
		head, err := s.Head(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 1, head)
		release()
		answers.Wait()
		require.EqualValues(t, 4, answered.Load())
		require.Equal(t, []string{"a", "b"}, ids(t, s))

		release = g.hold()
		answer(func() {
			require.NoError(t, s.SaveSnapshot(ctx, "s", eventstore.Snapshot{Version: 2, Data: []byte("two")}))
		})
		answer(func() {
			found, err := s.LoadSnapshot(ctx, "s")
			require.NoError(t, err)
			require.EqualValues(t, 2, found.Version)
		})
		require.EqualValues(t, 4, answered.Load(), "a snapshot that is being saved is waited for")
		release()
		answers.Wait()
	})
}

// However many append at a time: those that come while a batch is on its way share the next one.
func TestAppend_groups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(gate)
		s := on(t, &keyspacetest.Disk{Sync: g.sync})
		defer s.Close()
		release := g.hold()
		var wg sync.WaitGroup
		for i := range 256 {
			wg.Go(func() {
				at, err := s.Append(t.Context(), fmt.Sprint(i%10), eventstore.Any, event(fmt.Sprint(i)))
				require.NoError(t, err)
				require.Equal(t, at.FirstPosition, at.LastPosition)
			})
		}
		synctest.Wait()
		release()
		wg.Wait()
		require.LessOrEqual(t, g.batches, 3)
		require.Len(t, ids(t, s), 256)
	})
}

// What a refused batch held never was; the next one takes its place.
func TestAppend_refused(t *testing.T) {
	ctx := t.Context()
	var refuse error
	s := on(t, &keyspacetest.Disk{Refuse: func([]keyspace.Write) error { return refuse }})
	_, err := s.Append(ctx, "s", 0, event("a"))
	require.NoError(t, err)
	refuse = fmt.Errorf("full: %w", keyspace.ErrRefused)
	_, err = s.Append(ctx, "s", 1, event("b"))
	require.ErrorIs(t, err, keyspace.ErrRefused)
	require.ErrorIs(t, s.SaveSnapshot(ctx, "s", eventstore.Snapshot{Version: 1}), keyspace.ErrRefused)
	_, err = s.LoadSnapshot(ctx, "s")
	require.ErrorIs(t, err, eventstore.ErrNotFound)
	require.Equal(t, []string{"a"}, ids(t, s))
	refuse = nil
	at, err := s.Append(ctx, "s", 1, event("c"))
	require.NoError(t, err)
	require.Equal(t, eventstore.Appended{FirstVersion: 2, LastVersion: 2, FirstPosition: 2, LastPosition: 2}, at)
	at, err = s.Append(ctx, "s", 2, event("b"))
	require.NoError(t, err)
	require.EqualValues(t, 3, at.LastVersion, "the refused id is free")
	require.NoError(t, s.Close())
}

// When nobody knows how a batch ended, nobody sees it, and nothing follows until the store is opened again.
func TestAppend_unknown(t *testing.T) {
	ctx, g := t.Context(), new(gate)
	s := on(t, &keyspacetest.Disk{Sync: g.sync})
	_, err := s.Append(ctx, "s", 0, event("a"))
	require.NoError(t, err)
	g.err = errors.New("sync failed")
	_, err = s.Append(ctx, "s", 1, event("b"))
	require.ErrorContains(t, err, "unknown outcome: sync failed")
	_, err = s.Append(ctx, "t", 0, event("c"))
	require.ErrorContains(t, err, "unknown outcome: sync failed")
	require.Equal(t, []string{"a"}, ids(t, s))
	require.NoError(t, s.Close())
	s = on(t, s.disk.Crash())
	require.Equal(t, []string{"a"}, ids(t, s))
	at, err := s.Append(ctx, "s", 1, event("d"))
	require.NoError(t, err)
	require.EqualValues(t, 2, at.LastPosition)
	require.NoError(t, s.Close())
}

// Who goes away does not hear how it ended; the batch goes on.
func TestAppend_cancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := new(gate)
		s := on(t, &keyspacetest.Disk{Sync: g.sync})
		release := g.hold()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := s.Append(ctx, "s", 0, event("a"))
			done <- err
		}()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		release()
		synctest.Wait()
		at, err := s.Append(t.Context(), "s", 0, event("a"))
		require.NoError(t, err)
		require.EqualValues(t, 1, at.LastPosition)
		require.NoError(t, s.Close())
		require.Equal(t, 1, g.batches)
	})
}

func BenchmarkStore(b *testing.B) {
	eventstoretest.Benchmark(b, func() eventstore.Store { return on(b, new(keyspacetest.Disk)) })
}
