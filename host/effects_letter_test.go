package host_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
)

// E6: the letter of a dead one says overtaken when later ones went on; that holds after a restart, and a redrive goes to the end of the lane.
func TestE6_overtaken(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.peer("topic", func(_ context.Context, r *effects.Request) error { return retry.Permanent(errDown) })
		publish := m{"kind": "publish", "target": "topic", "body": 1, "ok": "ok", "err": "err"}
		require.NoError(t, w.do("a", publish).Wait(t.Context()))
		require.NoError(t, w.do("b", publish).Wait(t.Context()))
		letter := func(store string) host.DeadLetter {
			letters, err := w.store(store).DeadLetters()
			require.NoError(t, err)
			require.Len(t, letters, 1)
			one, err := w.host.DeadLetter("", letters[0].ID)
			require.NoError(t, err)
			require.Equal(t, letters[0], one)
			return one
		}
		require.False(t, letter("a").Overtaken)
		w.stop()
		w.start()
		w.peer("topic", nil)
		require.NoError(t, w.do("a", publish).Wait(t.Context()))
		require.True(t, letter("a").Overtaken)
		require.False(t, letter("b").Overtaken, "another store's went on")
		w.crash()
		require.True(t, letter("a").Overtaken)

		peer, letGo := hanging()
		w.peer("topic", peer)
		w.do("a", publish)
		w.attempts()
		require.NoError(t, w.host.RetryDeadLetter(t.Context(), "", letter("a").ID))
		letGo()
		synctest.Wait()
		require.Equal(t, []string{"topic 5/0 #1.1", "topic 1/0 #2.1"}, w.attempts()[max(0, len(w.attempts())-2):])
		require.Zero(t, w.store("a").DLQSize())
	})
}

// E3: feedback that the reducer refuses makes a dead letter that holds it, and the leaf is done; it can be fed back once more.
func TestE3_feedbackRejected(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		send := func(v m) {
			_, err := w.store("a").Send(t.Context(), pack(t, v))
			require.NoError(t, err)
		}
		send(m{"type": "set", "reject": true})
		require.NoError(t, w.do("a", sequential(call("echo"), call("peer"))).WaitAll(t.Context()))
		require.Empty(t, w.log("a"))
		letters, err := w.store("a").DeadLetters()
		require.NoError(t, err)
		require.Len(t, letters, 2, "what was refused is done: the rest goes on")
		require.Equal(t, "feedback_rejected", letters[0].Reason)
		require.False(t, letters[0].Fed)
		send(m{"type": "set"})
		w.attempts()
		n, err := w.store("a").RetryDLQ(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, []string{"ok echo", "ok peer"}, w.log("a"))
		require.Empty(t, w.attempts(), "only the feedback was missing")
		require.Zero(t, w.store("a").DLQSize())

		require.NoError(t, w.do("a", call("echo", "ok", "unheard_of")).WaitAll(t.Context()))
		letters, err = w.store("a").DeadLetters()
		require.NoError(t, err)
		require.Equal(t, "unknown_action", letters[0].Reason)
		require.NoError(t, w.host.DiscardDeadLetter(t.Context(), "", letters[0].ID))
		require.ErrorIs(t, w.host.DiscardDeadLetter(t.Context(), "", letters[0].ID), host.ErrNotFound)
		require.ErrorIs(t, w.host.RetryDeadLetter(t.Context(), "", "nonsense"), host.ErrNotFound)
	})
}

// E4: a redrive is another drive of the same leaf, under the same key; a sequential goes on behind it if nothing later ran.
func TestE4_redrive(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.peer("peer", failing)
		require.NoError(t, w.do("a", sequential(call("peer"), call("echo"))).WaitAll(t.Context()))
		require.Equal(t, []string{"err failed"}, w.log("a"))
		w.peer("peer", nil)
		w.attempts()
		letters, err := w.store("a").DeadLetters()
		require.NoError(t, err)
		require.NoError(t, w.host.RetryDeadLetter(t.Context(), "", letters[0].ID))
		require.Equal(t, []string{"err failed"}, w.log("a"), "the breaker is open")
		time.Sleep(time.Minute)
		require.Equal(t, []string{"err failed", "ok peer", "ok echo"}, w.log("a"))
		require.Equal(t, []string{"peer 1/0 #2.1", "echo 1/1 #1.1"}, w.attempts())
		require.Zero(t, w.store("a").DLQSize())
	})
}

// E4: a module has so many dead letters and no more; what is given up beyond still feeds back its err, and is counted.
func TestE4_bound(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		lost := 0
		w.config.MaxDeadLetters = 2
		w.config.Observer = &observe.Observer{ModuleLoaded: func(observe.Module) *observe.ModuleHooks {
			return &observe.ModuleHooks{Buried: func(e *observe.Buried) {
				if e.Lost {
					lost++
				}
			}}
		}}
		w.start()
		for range 4 {
			require.NoError(t, w.do("a", call("nobody")).Wait(t.Context()))
		}
		require.Equal(t, 2, w.store("a").DLQSize())
		require.Equal(t, 2, lost)
		require.Equal(t, []string{"err failed", "err failed", "err failed", "err failed"}, w.log("a"))
		list, err := w.store("a").DLQItems()
		require.NoError(t, err)
		require.NoError(t, w.host.DiscardDeadLetter(t.Context(), "", list[0].ID))
		require.NoError(t, w.do("a", call("nobody")).Wait(t.Context()))
		require.Equal(t, 2, w.store("a").DLQSize(), "there was room again")
		require.Equal(t, 2, lost)
	})
}

// early is a journal that shows a batch before it is durable, as Pebble does: until gate is closed.
type early struct {
	journal.Backend
	gate *atomic.Pointer[chan struct{}]
}

func (e early) Apply(b *journal.Batch) error {
	err := e.Backend.Apply(b)
	if gate := e.gate.Load(); gate != nil {
		<-*gate
	}
	return err
}

// S2: a dead letter that the journal shows before it is durable is told of only then.
func TestS2_deadLettersWait(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var gate atomic.Pointer[chan struct{}]
		w.wrap = func(b journal.Backend) journal.Backend { return early{b, &gate} }
		w.stop()
		w.start()
		w.peer("peer", func(context.Context, *effects.Request) error {
			hold := make(chan struct{})
			gate.Store(&hold)
			return retry.Permanent(errors.New("down"))
		})
		w.do("a", call("peer"))
		synctest.Wait()
		shown := 0
		for _, err := range journal.Letters(w.journal, journal.ModuleID{Tenant: "default", Module: "script"}) {
			require.NoError(t, err)
			shown++
		}
		require.Equal(t, 1, shown, "the journal has it")
		var found atomic.Int64
		found.Store(-1)
		go func() {
			list, err := w.host.DeadLetters(host.DeadLetterFilter{}, 0)
			require.NoError(t, err)
			found.Store(int64(len(list)))
		}()
		synctest.Wait()
		require.EqualValues(t, -1, found.Load(), "an answer before the watermark")
		close(*gate.Swap(nil))
		synctest.Wait()
		require.EqualValues(t, 1, found.Load())

		list, err := w.host.DeadLetters(host.DeadLetterFilter{}, 0)
		require.NoError(t, err)
		w.peer("peer", nil)
		hold := make(chan struct{})
		gate.Store(&hold)
		go func() { _ = w.host.RetryDeadLetter(context.Background(), "", list[0].ID) }()
		synctest.Wait()
		var gone atomic.Bool
		go func() {
			_, err := w.host.DeadLetter("", list[0].ID)
			gone.Store(errors.Is(err, host.ErrNotFound))
		}()
		synctest.Wait()
		require.False(t, gone.Load(), "that there is none any more, before the watermark")
		close(*gate.Swap(nil))
		synctest.Wait()
		require.True(t, gone.Load())
	})
}
