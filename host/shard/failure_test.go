package shard_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard"
	"github.com/stretchr/testify/require"
)

// faulty is a journal that refuses batches while failing is set, and holds them while stuck is open.
type faulty struct {
	failing atomic.Bool
	stuck   chan struct{}
}

func (f *faulty) journal(history int) *memory.Backend {
	return memory.New(memory.Config{History: history, Before: func(*journal.Batch) error {
		if f.stuck != nil {
			<-f.stuck
		}
		if f.failing.Load() {
			return fmt.Errorf("injected: %w", journal.ErrRefused)
		}
		return nil
	}})
}

// S5, S15: after a deletion that failed the store is the one there was, also for whoever comes first.
func TestS15_failedDeletion(t *testing.T) {
	var j faulty
	f := newFixture(t, j.journal(0), shard.Config{})
	f.send(t, "a", "add")
	j.failing.Store(true)
	require.ErrorIs(t, f.Delete(context.Background(), "a"), &abi.Error{Code: abi.CodeBatchFailed})
	j.failing.Store(false)
	require.EqualValues(t, 2, f.send(t, "a", "add"))
	f.requireValue(t, "a", 2)
	f.restart(t)
	f.requireValue(t, "a", 2)
}

// S2: that a store is not there is an answer like any other: it waits for the deletion to be durable.
func TestS2_missingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j faulty
		f := newFixture(t, j.journal(0), shard.Config{})
		ctx := context.Background()
		f.send(t, "a", "add")
		j.stuck = make(chan struct{})
		answers := make(chan string, 10)
		ask := func(name string, err func() error) {
			go func() { answers <- fmt.Sprint(name, " ", codeIs(err(), abi.CodeBatchFailed)) }()
			synctest.Wait()
		}
		ask("first delete", func() error { return f.Delete(ctx, "a") })
		ask("delete", func() error { return f.Delete(ctx, "a") })
		ask("state", func() error { _, err := f.State(ctx, "a"); return err })
		ask("stale", func() error { _, err := f.Stale(ctx, "a"); return err })
		ask("wait", func() error { _, err := f.Wait(ctx, "a", 1); return err })
		ask("resume", func() error { return f.Resume(ctx, "a", false) })
		ask("info", func() error { _, err := f.Info(ctx, "a"); return err })
		require.Empty(t, answers, "an answer before the watermark")
		j.failing.Store(true)
		close(j.stuck)
		synctest.Wait()
		close(answers)
		for answer := range answers {
			require.Regexp(t, " true$", answer, "what it was computed on was taken back")
		}
		j.failing.Store(false)
		f.requireValue(t, "a", 1)
	})
}

func codeIs(err error, code abi.Code) bool {
	e, ok := err.(*abi.Error)
	return ok && e.Code == code
}

// S11: a subscriber of a life that a failed deletion takes back is told so.
func TestS11_lifeTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j faulty
		f := newFixture(t, j.journal(0), shard.Config{})
		ctx := context.Background()
		f.send(t, "a", "add")
		j.stuck = make(chan struct{})
		go func() { _ = f.Delete(ctx, "a") }()
		synctest.Wait()
		cursor, _, err := f.Subscribe(ctx, "a", 1)
		require.NoError(t, err)
		defer f.Unsubscribe("a", cursor)
		j.failing.Store(true)
		close(j.stuck)
		synctest.Wait()
		j.failing.Store(false)
		f.send(t, "b", "add")
		_, ok, err := cursor.TryNext()
		require.False(t, ok)
		require.ErrorIs(t, err, &abi.Error{Code: abi.CodeBatchFailed})
	})
}

// S11, S13: subscribers of a store whose deletion the journal never answered are told of the end all the same.
func TestS11_journalEndsDuringDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dying atomic.Bool
		f := newFixture(t, memory.New(memory.Config{Before: func(*journal.Batch) error {
			if dying.Load() {
				return errors.New("injected")
			}
			return nil
		}}), shard.Config{})
		ctx := context.Background()
		f.send(t, "a", "add")
		cursor, _, err := f.Subscribe(ctx, "a", 2)
		require.NoError(t, err)
		defer cursor.Close()
		dying.Store(true)
		require.ErrorIs(t, f.Delete(ctx, "a"), &abi.Error{Code: abi.CodeUnknownOutcome})
		require.Error(t, f.Close(ctx, &abi.Error{Code: abi.CodeShuttingDown}))
		_, _, err = cursor.TryNext()
		require.ErrorIs(t, err, &abi.Error{Code: abi.CodeShuttingDown})
	})
}

// S2: a checkpoint that failed takes nothing back: the state is still there to be read.
func TestS9_failedCheckpoint(t *testing.T) {
	var j faulty
	f := newFixture(t, j.journal(0), shard.Config{})
	f.send(t, "a", "add")
	next := f.world.revision(2, nil)
	defer next.Retire()
	flip, err := f.Prepare(next)
	require.NoError(t, err)
	flip.Do()
	j.failing.Store(true)
	require.Error(t, f.Drain(context.Background()))
	j.failing.Store(false)
	f.requireValue(t, "a", 1)
	f.refused(t, "a", "reject", abi.CodeRejected)
	_, err = f.Wait(context.Background(), "a", 1)
	require.NoError(t, err)
	require.NoError(t, f.Drain(context.Background()))
	require.EqualValues(t, 2, f.send(t, "a", "add"))
}

// S3: a seq that is durable is durable, whatever became of what followed it.
func TestS3_waitForTheDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j faulty
		f := newFixture(t, j.journal(0), shard.Config{})
		f.send(t, "a", "add")
		j.stuck = make(chan struct{})
		go func() { _, _ = f.Send(context.Background(), "a", action("add")) }()
		synctest.Wait()
		_, err := f.Wait(context.Background(), "a", 1)
		require.NoError(t, err, "and does not wait for others")
		close(j.stuck)
		synctest.Wait()
	})
}

// S7, S9: a state that turns out not to be encodable when its checkpoint is due halts the store and nothing else.
func TestS7_unencodableCheckpoint(t *testing.T) {
	for _, residency := range []abi.Residency{abi.ResidencySlots, abi.ResidencyNone} {
		t.Run(string(residency), func(t *testing.T) {
			f := newFixture(t, memory.New(memory.Config{}), shard.Config{TailBytes: 1})
			f.world.residency = residency
			f.start(t, 1, nil)
			f.send(t, "a", "unencoded")
			f.refused(t, "a", "add", abi.CodeStateUnreadable)
			f.send(t, "b", "add")
			f.requireValue(t, "b", 1)
		})
	}
}

// S11: actions that leave history in the batch that they came with, as a checkpoint or deletion does to them, are a gap for subscribers and not silence, nor
// other actions under their seq.
func TestS11_historyTrimmedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j faulty
		f := newFixture(t, j.journal(-1), shard.Config{TailBytes: 600})
		ctx := context.Background()
		cursor, _, err := f.Subscribe(ctx, "a", 1)
		require.NoError(t, err)
		defer f.Unsubscribe("a", cursor)
		next := uint64(1)
		follow := func() {
			for {
				item, ok, err := cursor.TryNext()
				require.NoError(t, err)
				if !ok {
					return
				}
				if item.Record == nil {
					require.Equal(t, next, item.Gap.From)
					next = item.Gap.To + 1
					continue
				}
				require.Equal(t, next, item.Seq)
				next++
			}
		}
		for range 10 {
			j.stuck = make(chan struct{})
			for range 7 { // the first is a batch of its own, the others the next one
				go func() { _, _ = f.Send(ctx, "a", action("add")) }()
				synctest.Wait()
			}
			close(j.stuck)
			synctest.Wait()
			follow()
		}
		require.EqualValues(t, 71, next)
	})
}

// S2: a stale state is never older than one that was given out before, also when what followed it was lost.
func TestS2_staleGoesNotBack(t *testing.T) {
	var j faulty
	f := newFixture(t, j.journal(0), shard.Config{})
	stale := func() uint64 {
		s, err := f.Stale(context.Background(), "a")
		require.NoError(t, err)
		return s.Seq
	}
	f.send(t, "a", "add")
	f.requireValue(t, "a", 1)
	f.send(t, "a", "add")
	f.requireValue(t, "a", 2)
	require.EqualValues(t, 2, stale())
	j.failing.Store(true)
	f.refused(t, "a", "add", abi.CodeBatchFailed)
	j.failing.Store(false)
	require.EqualValues(t, 2, stale())
}

// D4: a revision that nothing but a name is needed of is not opened for it.
func TestD4_readsOpenNoRevision(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "a", "add")
	next := f.world.revision(2, nil)
	defer next.Retire()
	flip, err := f.Prepare(next)
	require.NoError(t, err)
	flip.Do()
	require.NoError(t, f.Drain(context.Background()))
	opened := f.opened.Load()
	s, err := f.State(context.Background(), "a")
	require.NoError(t, err)
	require.Equal(t, "r1", s.Revision)
	i, err := f.Info(context.Background(), "a")
	require.NoError(t, err)
	require.Equal(t, "r1", i.Revision)
	require.Equal(t, opened, f.opened.Load())
}

// S10: the depth of a queue bounds what comes from outside; whoever looks after a store is let in.
func TestS10_tending(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{QueueDepth: 1})
	ctx := context.Background()
	sent, deleted := make(chan error, 1), make(chan error, 1)
	f.start(t, 1, &observe.ModuleHooks{Trapped: func(*observe.Trapped) { // with the lock held, and the queue full
		go func() { deleted <- f.Delete(ctx, "a") }()
		go func() { _, err := f.Send(ctx, "a", action("add")); sent <- err }()
		require.ErrorIs(t, <-sent, &abi.Error{Code: abi.CodeOverloaded})
		for range 1000 {
			runtime.Gosched() // the deletion, too, comes to the queue
		}
	}})
	f.send(t, "a", "add")
	f.refused(t, "a", "trap", abi.CodeTrapped)
	require.NoError(t, <-deleted)
}

// D4: a revision that was closed while a shard still had a place for it is opened again for the store that needs it.
func TestD4_retiredRevision(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "a", "unencoded")
	f.send(t, "b", "add")
	first := f.Shard // left as a crash leaves it
	t.Cleanup(func() { _ = first.Close(context.Background(), &abi.Error{Code: abi.CodeShuttingDown}) })
	var old *shard.Revision
	var closed atomic.Bool
	open := f.config.Revision
	f.config.Revision = func(ctx context.Context, number uint64) (*shard.Revision, error) {
		r, err := open(ctx, number)
		if instantiate := r.Instantiate; old == nil {
			old = r
			r.Instantiate = func() (shard.Guest, error) {
				if closed.Load() {
					return nil, errors.New("the code is closed")
				}
				return instantiate()
			}
		}
		return r, err
	}
	second := f.world.revision(2, nil)
	t.Cleanup(second.Retire)
	f.Shard = shard.New(0, f.config, second)
	_, err := f.State(context.Background(), "a") // traps: the old revision's instance is gone
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeStateUnreadable})
	old.Retire()
	closed.Store(true)
	f.requireValue(t, "b", 1)
}
