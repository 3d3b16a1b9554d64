package projection_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/projection"
)

// E9: first what is there, then each event as it comes.
func TestE9_catchUpThenLive(t *testing.T) {
	bubble(t, projection.Config{Batch: 2}, func(t *testing.T, h *house) {
		h.append("c1/o1", 3)
		h.append("c2/o2", 2)
		h.start()
		requireRows(t, h, "c1/o1=e1 e2 e3 ", "c2/o2=e4 e5 ")
		h.append("c1/o1", 1)
		requireRows(t, h, "c1/o1=e1 e2 e3 e6 ", "c2/o2=e4 e5 ")
		require.Equal(t, projection.Status{Builds: projection.Builds{Live: projection.Build{ID: 1, Checkpoint: 6}}, Running: true}, h.runner.Status())
		require.ErrorIs(t, h.runner.Run(t.Context()), projection.ErrRunning)

		require.ErrorIs(t, h.stop(), context.Canceled)
		require.False(t, h.runner.Status().Running)
		h.append("c2/o2", 1)
		requireRows(t, h, "c1/o1=e1 e2 e3 e6 ", "c2/o2=e4 e5 ")
		h.start()
		requireRows(t, h, "c1/o1=e1 e2 e3 e6 ", "c2/o2=e4 e5 e7 ")
	})
}

// A read model that was made of other events stays as it is, and says so.
func TestE9_otherEvents(t *testing.T) {
	bubble(t, projection.Config{}, func(t *testing.T, h *house) {
		h.append("c1/o1", 3)
		require.NoError(t, h.models.Update(t.Context(), "orders", projection.Build{ID: 1}, 5, func(tx projection.Tx) error { return tx.Set("c1/o9", []byte("other")) }))
		h.start()
		requireRows(t, h, "c1/o9=other")
		require.ErrorIs(t, h.runner.Status().Trouble, projection.ErrAhead)
		require.EqualError(t, h.runner.Status().Trouble, "read model is ahead of its events: build 1 is at 5, the newest event at 3")
	})
}

// E9: an event that fails is tried again, what lies before it is there, and nothing goes past it.
func TestE9_failingEvent(t *testing.T) {
	for _, panics := range []bool{false, true} {
		var heard []string
		config := projection.Config{Attempts: 4, MinDelay: time.Second, MaxDelay: 3 * time.Second, Failed: func(err *projection.FailedError, final bool) {
			heard = append(heard, fmt.Sprintln(err.Event, err.Attempts, final))
		}}
		bubble(t, config, func(t *testing.T, h *house) {
			h.orders.panics = panics
			h.orders.plan("e3", 3)
			h.append("c1/o1", 5)
			began := time.Now()
			h.start()
			requireRows(t, h, "c1/o1=e1 e2 ")
			status := h.runner.Status()
			require.Nil(t, status.Failed)
			require.Equal(t, "e3", status.Retrying.Event)
			require.NoError(t, h.runner.Wait(t.Context(), 5))
			require.Equal(t, 6*time.Second, time.Since(began), "1, 2 and 3 seconds")
			requireRows(t, h, "c1/o1=e1 e2 e3 e4 e5 ")
			require.Nil(t, h.runner.Status().Retrying)
			require.Equal(t, []string{"e3 1 false\n", "e3 2 false\n", "e3 3 false\n"}, heard)
		})
	}
}

// E9: an event that fails for good ends the progress with the reason, and Resume goes on.
func TestE9_failedAndResumed(t *testing.T) {
	bubble(t, projection.Config{Attempts: 3}, func(t *testing.T, h *house) {
		h.orders.plan("e2", -1)
		h.append("c1/o1", 3)
		h.start()
		require.NoError(t, h.runner.Wait(t.Context(), 1))
		err := h.runner.Wait(t.Context(), 3)
		require.ErrorIs(t, err, projection.ErrFailed)
		require.ErrorIs(t, err, errApply)
		require.EqualError(t, err, "projection orders: event e2 at position 2, attempt 3: cannot be applied")
		require.Equal(t, err, h.runner.Status().Failed)
		<-time.After(time.Hour)
		requireRows(t, h, "c1/o1=e1 ")
		require.NoError(t, h.runner.Wait(t.Context(), 1), "what is there is there")

		h.runner.Resume()
		synctest.Wait()
		require.Nil(t, h.runner.Status().Failed)
		require.Equal(t, 1, h.runner.Status().Retrying.Attempts, "with all its attempts")
		<-time.After(time.Hour)
		require.ErrorIs(t, h.runner.Wait(t.Context(), 3), projection.ErrFailed)

		h.orders.plan("e2", 0)
		require.ErrorIs(t, h.stop(), context.Canceled)
		h.start() // as good as Resume
		synctest.Wait()
		require.NoError(t, h.runner.Wait(t.Context(), 3))
		requireRows(t, h, "c1/o1=e1 e2 e3 ")
	})
}

// A rebuild that begins and ends while the live build goes on; readers see the old model until the new one has caught up.
func TestRebuild_besideTheLive(t *testing.T) {
	bubble(t, projection.Config{Batch: 2, Attempts: 1}, func(t *testing.T, h *house) {
		h.append("c1/o1", 3)
		h.start()
		requireRows(t, h, "c1/o1=e1 e2 e3 ")
		h.orders.plan("e2", 1)
		h.orders.set("new:")
		build, err := h.runner.Rebuild(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 2, build)
		err = h.runner.WaitBuild(t.Context(), build)
		require.ErrorIs(t, err, projection.ErrFailed)
		require.Equal(t, err, h.runner.Status().NextFailed)
		require.Nil(t, h.runner.Status().Failed)

		synctest.Wait() // for the rebuild to apply e1, which it does once it knows that e2 is what fails
		h.orders.set("old:")
		require.NoError(t, h.runner.Wait(t.Context(), h.append("c1/o1", 1)))
		requireRows(t, h, "c1/o1=e1 e2 e3 old:e4 ")
		h.orders.set("new:")
		h.runner.Resume()
		require.NoError(t, h.runner.WaitBuild(t.Context(), build))
		requireRows(t, h, "c1/o1=new:e1 new:e2 new:e3 new:e4 ")
		require.Equal(t, projection.Builds{Live: projection.Build{ID: 2, Checkpoint: 4}}, h.runner.Status().Builds)
		h.append("c1/o1", 1)
		requireRows(t, h, "c1/o1=new:e1 new:e2 new:e3 new:e4 new:e5 ")
		require.NoError(t, h.runner.WaitBuild(t.Context(), 1), "an earlier one was there")
	})
}

// Whoever has resumed a rebuild does not hear of the old failure, whatever the runner was just doing.
func TestResume_noOldFailures(t *testing.T) {
	bubble(t, projection.Config{Attempts: 1}, func(t *testing.T, h *house) {
		h.append("c1/o1", 3)
		h.start()
		require.NoError(t, h.runner.Wait(t.Context(), 3))
		h.orders.plan("e2", 1)
		build, err := h.runner.Rebuild(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, h.runner.WaitBuild(t.Context(), build), projection.ErrFailed)
		letUpdate, letLook := h.models.holdUp(t)
		h.append("c1/o1", 1)
		synctest.Wait() // the live build is about to commit
		h.runner.Resume()
		built := make(chan error, 1)
		go func() { built <- h.runner.WaitBuild(t.Context(), build) }()
		synctest.Wait()
		require.Empty(t, built)
		letUpdate()
		synctest.Wait() // it has committed, and is about to look what there is
		require.Empty(t, built)
		letLook()
		require.NoError(t, <-built)
	})
}

// An event that a shutdown interrupts has not failed.
func TestRun_interrupted(t *testing.T) {
	failed := 0
	bubble(t, projection.Config{Attempts: 1, Failed: func(*projection.FailedError, bool) { failed++ }}, func(t *testing.T, h *house) {
		h.append("c1/o1", 2)
		h.orders.endless = "e2"
		h.start()
		synctest.Wait()
		require.ErrorIs(t, h.stop(), context.Canceled)
		require.Zero(t, failed)
		require.Nil(t, h.runner.Status().Failed)
		h.orders.endless = ""
		h.start()
		require.NoError(t, h.runner.Wait(t.Context(), 2))
		requireRows(t, h, "c1/o1=e1 e2 ")
	})
}

// A rebuild takes the place of a live build that is failed, and one begun anew that of one under way.
func TestRebuild_ofWhatIsFailed(t *testing.T) {
	bubble(t, projection.Config{Attempts: 1}, func(t *testing.T, h *house) {
		h.append("c1/o1", 3)
		h.orders.plan("e2", 1)
		h.start()
		require.ErrorIs(t, h.runner.Wait(t.Context(), 3), projection.ErrFailed)
		synctest.Wait()        // for the live build to apply e1, which it does once it knows that e2 is what fails
		h.orders.plan("e1", 1) // the rebuild fails before it is where the live one is
		build, err := h.runner.Rebuild(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, h.runner.WaitBuild(t.Context(), build), projection.ErrFailed)
		require.ErrorIs(t, h.runner.Wait(t.Context(), 3), projection.ErrFailed)
		again, err := h.runner.Rebuild(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, h.runner.WaitBuild(t.Context(), again))
		require.NoError(t, h.runner.WaitBuild(t.Context(), build), "a later one is there")
		require.NoError(t, h.runner.Wait(t.Context(), 3))
		requireRows(t, h, "c1/o1=e1 e2 e3 ")
	})
}

// A rebuild that was begun while nobody runs, or that a restart interrupts, goes on.
func TestRebuild_survivesRestart(t *testing.T) {
	bubble(t, projection.Config{Attempts: 1}, func(t *testing.T, h *house) {
		h.append("c1/o1", 3)
		h.start()
		requireRows(t, h, "c1/o1=e1 e2 e3 ")
		require.ErrorIs(t, h.stop(), context.Canceled)
		build, err := h.runner.Rebuild(t.Context())
		require.NoError(t, err)
		h.orders.plan("e2", 1)
		h.start()
		require.ErrorIs(t, h.runner.WaitBuild(t.Context(), build), projection.ErrFailed)
		synctest.Wait() // likewise
		require.ErrorIs(t, h.stop(), context.Canceled)
		h.orders.set("new:")
		h.start()
		synctest.Wait()
		require.NoError(t, h.runner.WaitBuild(t.Context(), build))
		requireRows(t, h, "c1/o1=e1 new:e2 new:e3 ")
	})
}

// What fails besides events is tried again for ever, and an update whose outcome is unknown is not applied twice.
func TestRun_trouble(t *testing.T) {
	bubble(t, projection.Config{Attempts: 1, MinDelay: time.Second, MaxDelay: time.Second}, func(t *testing.T, h *house) {
		h.models.plan("before", "before", "after", "before")
		h.append("c1/o1", 2)
		h.start()
		synctest.Wait()
		require.ErrorIs(t, h.runner.Status().Trouble, errDisk)
		require.NoError(t, h.runner.Wait(t.Context(), 2))
		h.append("c1/o1", 1)
		require.NoError(t, h.runner.Wait(t.Context(), 3))
		requireRows(t, h, "c1/o1=e1 e2 e3 ")
		require.NoError(t, h.runner.Status().Trouble)
	})
}

// Two runners on one projection do no harm.
func TestRun_twice(t *testing.T) {
	bubble(t, projection.Config{Batch: 1}, func(t *testing.T, h *house) {
		other, err := projection.New(h.events, h.models, h.orders, projection.Config{Batch: 2})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- other.Run(ctx) }()
		h.start()
		for range 20 {
			h.append("c1/o1", 3)
		}
		require.NoError(t, h.runner.Wait(t.Context(), 60))
		require.NoError(t, other.Wait(t.Context(), 60))
		require.Equal(t, fold(h.all(), ""), h.rows())
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

func TestRun_endsWithItsStores(t *testing.T) {
	for _, closeOne := range []func(h *house) error{
		func(h *house) error { return h.events.Close() },
		func(h *house) error { return h.models.Close() },
	} {
		bubble(t, projection.Config{}, func(t *testing.T, h *house) {
			done := make(chan error, 1)
			go func() { done <- h.runner.Run(t.Context()) }()
			synctest.Wait()
			require.NoError(t, closeOne(h))
			_, _ = h.events.Append(t.Context(), "s", eventstore.Any, []eventstore.Event{{ID: "a", Type: "t", Data: []byte{0xc0}}})
			err := <-done
			require.True(t, errors.Is(err, eventstore.ErrClosed) || errors.Is(err, projection.ErrClosed), "%v", err)
			require.False(t, h.runner.Status().Running)
		})
	}
}

func TestWait_ends(t *testing.T) {
	bubble(t, projection.Config{}, func(t *testing.T, h *house) {
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- h.runner.Wait(ctx, 1) }()
		go func() { ended <- h.runner.WaitBuild(ctx, 2) }()
		h.start()
		synctest.Wait()
		require.Empty(t, ended)
		cancel(gone)
		require.Equal(t, gone, <-ended)
		require.Equal(t, gone, <-ended)
	})
}

func TestLag(t *testing.T) {
	bubble(t, projection.Config{}, func(t *testing.T, h *house) {
		lag := func() projection.Lag {
			lag, err := h.runner.Lag(t.Context())
			require.NoError(t, err)
			return lag
		}
		require.Zero(t, lag())
		for i := range 3 {
			_, err := h.events.Append(t.Context(), "s", eventstore.Any, []eventstore.Event{
				{ID: fmt.Sprint(i), Type: "t", Data: []byte{0xc0}, Time: time.Now().UnixNano()},
			})
			require.NoError(t, err)
			<-time.After(time.Minute)
		}
		require.Equal(t, projection.Lag{Positions: 3, Time: 3 * time.Minute}, lag())
		h.orders.plan("1", -1)
		h.start()
		synctest.Wait()
		require.Equal(t, projection.Lag{Positions: 2, Time: 2 * time.Minute}, lag())
		h.orders.plan("1", 0)
		require.NoError(t, h.runner.Wait(t.Context(), 3))
		require.Zero(t, lag())
	})
}

func TestNew_refusesNames(t *testing.T) {
	_, err := projection.New(nil, nil, named(""), projection.Config{})
	require.ErrorIs(t, err, projection.ErrInvalid)
	require.EqualError(t, err, "invalid name: a key of 0 bytes, want 1 to 256")
}

type named string

func (n named) Name() string                                               { return string(n) }
func (named) Apply(context.Context, projection.Tx, eventstore.Event) error { return nil }
