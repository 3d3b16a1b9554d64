package host_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
)

// E1, E2: a call is done after its action is durable; what it brings is fed back once, under one key.
func TestE1_E2_call(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.do("a", call("echo", "id", "x"))
		require.NoError(t, r.Wait(t.Context()))
		require.Equal(t, []string{"ok x echo"}, w.log("a"))
		require.Equal(t, []string{"echo 1/0 #1.1"}, w.attempts())
		open, err := w.store("a").Effects(t.Context())
		require.NoError(t, err)
		require.Empty(t, open)
		var causes []string
		for a, err := range w.store("a").History(t.Context(), 0, 0) {
			require.NoError(t, err)
			causes = append(causes, a.Cause+" "+a.Correlation)
		}
		require.Equal(t, []string{"command " + r.Correlation(), "feedback " + r.Correlation()}, causes)
	})
}

// E7: what fails is tried again by the policy; then it is dead, err is fed back once and a letter kept.
func TestE7_retry(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		down := 3
		w.peer("peer", func(context.Context, *effects.Request) error {
			if down--; down >= 0 {
				return errDown
			}
			return nil
		})
		start := time.Now()
		require.NoError(t, w.do("a", call("peer")).WaitAll(t.Context()))
		require.Equal(t, []string{"ok peer"}, w.log("a"))
		require.Len(t, w.attempts(), 4)
		require.LessOrEqual(t, time.Since(start), 700*time.Millisecond)

		w.peer("peer", failing)
		require.NoError(t, w.do("a", call("peer")).WaitAll(t.Context()))
		require.Equal(t, []string{"ok peer", "err failed"}, w.log("a"))
		require.Equal(t, []string{"peer 3/0 #1.1", "peer 3/0 #1.2", "peer 3/0 #1.3", "peer 3/0 #1.4", "peer 3/0 #1.5", "peer 3/0 #1.6"}, w.attempts())
		letters, err := w.store("a").DeadLetters()
		require.NoError(t, err)
		require.Len(t, letters, 1)
		require.Equal(t, "exhausted", letters[0].Reason)
		require.True(t, letters[0].Fed)
		require.Len(t, letters[0].Attempts, 6)
		require.Equal(t, 1, w.store("a").DLQSize())
	})
}

// E7: a permanent error is not tried again; a handler that panics has failed, and the host goes on; an effect that nobody performs is dead at once.
func TestE7_notAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.peer("peer", func(context.Context, *effects.Request) error { return retry.Permanent(errDown) })
		require.NoError(t, w.do("a", call("peer")).WaitAll(t.Context()))
		require.Len(t, w.attempts(), 1)
		w.peer("peer", func(context.Context, *effects.Request) error { panic("boom") })
		require.NoError(t, w.do("a", call("peer")).WaitAll(t.Context()))
		require.Len(t, w.attempts(), 6)
		require.NoError(t, w.do("a", call("nobody")).WaitAll(t.Context()))
		require.Equal(t, []string{"err failed", "err panic", "err failed"}, w.log("a"))
		letters, err := w.store("a").DeadLetters()
		require.NoError(t, err)
		var reasons []string
		for _, l := range letters {
			reasons = append(reasons, l.Reason)
		}
		require.Equal(t, []string{"permanent", "exhausted", "invalid"}, reasons)
	})
}

// E5: a sequential waits for each child and its feedback, also for all branches of a nested parallel; a dead child stops the rest.
func TestE5_order(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		slow := func(d time.Duration) func(context.Context, *effects.Request) error {
			return func(context.Context, *effects.Request) error { time.Sleep(d); return nil }
		}
		w.peer("peer:1", slow(3*time.Second))
		w.peer("peer:2", slow(time.Second))
		require.NoError(t, w.do("a", sequential(
			parallel(call("peer:1"), call("peer:2")), call("echo"), delay("t", time.Minute), call("peer:3"),
		)).WaitAll(t.Context()))
		require.Equal(t, []string{"ok peer:2", "ok peer:1", "ok echo", "tick t", "ok peer:3"}, w.log("a"))

		w.peer("peer:2", failing)
		require.NoError(t, w.do("b", sequential(parallel(call("peer:1"), call("peer:2")), call("echo"))).WaitAll(t.Context()))
		require.ElementsMatch(t, []string{"ok peer:1", "err failed"}, w.log("b"))
	})
}

// E8: a delay is fed back when it is due, a cancelled one never; an id in use is refused but for a delay, which it replaces.
func TestE8_delayAndCancel(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		start := time.Now()
		require.NoError(t, w.do("a", delay("t", time.Hour)).Wait(t.Context()))
		require.Equal(t, time.Hour, time.Since(start))
		require.Equal(t, []string{"tick t"}, w.log("a"))

		first := w.do("a", delay("t", time.Hour))
		second := w.do("a", delay("t", 2*time.Hour))
		require.NoError(t, first.Wait(t.Context()), "it was replaced, and so is done")
		require.Equal(t, time.Hour, time.Since(start))
		third := w.do("a", m{"kind": "cancel", "id": "t"})
		require.NoError(t, third.Wait(t.Context()))
		require.NoError(t, second.Wait(t.Context()))
		time.Sleep(3 * time.Hour)
		require.Equal(t, []string{"tick t"}, w.log("a"))

		ended := make(chan error, 1)
		w.peer("peer", func(ctx context.Context, _ *effects.Request) error {
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		})
		running := w.do("a", call("peer", "id", "c"))
		synctest.Wait()
		_, err := w.store("a").Send(t.Context(), pack(t, m{"type": "do", "effects": []m{call("echo", "id", "c")}}))
		require.ErrorIs(t, err, &host.Error{Code: abi.CodeInvalidEffect})
		w.do("a", m{"kind": "cancel", "id": "c"}, call("echo", "id", "c"))
		require.NoError(t, running.Wait(t.Context()))
		require.ErrorIs(t, <-ended, context.Canceled)
		require.Equal(t, []string{"tick t", "ok c echo"}, w.log("a"))
		letters, err := w.store("a").DeadLetters()
		require.NoError(t, err)
		require.Empty(t, letters)
	})
}

// S3: two tenants may use one correlation id, and do not wait for each other.
func TestS3_correlationOfTenants(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		_, err := w.host.Deploy(t.Context(), host.DeployRequest{Tenant: "other", Module: "script", Wasm: enginetest.BuildGo(t, "./internal/guests/script")})
		require.NoError(t, err)
		send := func(tenant string, list ...m) host.Receipt {
			r, err := w.host.Store(abi.Address{Tenant: tenant, Module: "script", Key: "a"}).SendWith(t.Context(),
				pack(t, m{"type": "do", "effects": list}), host.SendOptions{Correlation: "same"})
			require.NoError(t, err)
			return r
		}
		slow := send("other", delay("t", time.Hour))
		start := time.Now()
		require.NoError(t, send("default", call("echo")).WaitAll(t.Context()))
		require.Zero(t, time.Since(start))
		require.NoError(t, slow.WaitAll(t.Context()))
		require.Equal(t, time.Hour, time.Since(start))
	})
}

// E6: publishes of one store to one topic are done one at a time, in order, whatever fails meanwhile; a dead one leaves the lane.
func TestE6_lanes(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		tries := 0
		w.peer("topic", func(_ context.Context, r *effects.Request) error {
			if tries++; tries <= 2 {
				return errDown
			}
			if strings.HasSuffix(r.Key, "/2/0") {
				return retry.Permanent(errDown)
			}
			return nil
		})
		publish := m{"kind": "publish", "target": "topic", "body": 1, "ok": "ok", "err": "err"}
		w.do("a", publish)
		w.do("a", publish)
		require.NoError(t, w.do("a", publish).Wait(t.Context()))
		require.Equal(t, []string{"topic 1/0 #1.1", "topic 1/0 #1.2", "topic 1/0 #1.3", "topic 2/0 #1.1", "topic 3/0 #1.1"}, w.attempts())
		require.Equal(t, []string{"ok topic", "err failed", "ok topic"}, w.log("a"))
	})
}

// S10: handlers that hang take no slots from timers, dispatches and what is fed back.
func TestS10_hangingHandlers(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		w.config.HostConcurrency = 4
		w.start()
		w.peer("peer", func(ctx context.Context, _ *effects.Request) error { <-ctx.Done(); return ctx.Err() })
		for range 8 {
			w.do("a", call("peer", "timeout", int64(time.Hour)))
		}
		start := time.Now()
		require.NoError(t, w.do("b", delay("t", time.Second), m{"kind": "dispatch", "target": "script/c", "id": "x", "ok": "ok"}).Wait(t.Context()))
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, w.host.SetPolicy("", "default", host.Policy{}))
	})
}

// E2: what a slow journal holds up beyond an attempt's time is neither dispatched nor emitted twice.
func TestE2_slowJournal(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		var slow atomic.Bool
		backend := memory.New(memory.Config{Before: func(*journal.Batch) error {
			if slow.Load() {
				time.Sleep(20 * time.Second)
			}
			return nil
		}})
		w.journal = inMemory{backend}
		w.start()
		_, err := w.host.Deploy(t.Context(), host.DeployRequest{Module: "script", Wasm: enginetest.BuildGo(t, "./internal/guests/script")})
		require.NoError(t, err)
		emit := true
		w.peer("peer", func(ctx context.Context, r *effects.Request) error {
			slow.Store(true)
			if emit && r.Token == nil {
				return r.Emit(ctx, effects.Emission{Fields: pack(t, m{"note": "emitted"}), Token: []byte("1")})
			}
			return nil
		})
		second := int64(time.Second)
		for _, key := range []string{"a", "b", "c"} { // so that there is a batch under way, and who waits behind it
			w.do(key, m{"kind": "dispatch", "target": "script/" + key + "2", "id": "hello", "ok": "ok", "err": "err", "timeout": second}, call("peer", "timeout", second))
		}
		time.Sleep(time.Hour)
		slow.Store(false)
		time.Sleep(time.Hour)
		for _, key := range []string{"a", "b", "c"} {
			require.Equal(t, []string{"do hello"}, w.log(key+"2"))
			require.ElementsMatch(t, []string{"ok hello", "ok emitted", "ok peer"}, w.log(key))
		}
	})
}

// An observer of breakers may ask the host.
func TestBreakerChanged_asks(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		var changes atomic.Int64
		w.config.Observer = &observe.Observer{BreakerChanged: func(observe.BreakerChanged) {
			w.host.Health()
			changes.Add(1)
		}}
		w.start()
		w.peer("peer", failing)
		r := w.do("a", call("peer"))
		time.Sleep(30 * time.Second)
		w.peer("peer", nil)
		require.NoError(t, r.Wait(t.Context()))
		synctest.Wait()
		require.GreaterOrEqual(t, changes.Load(), int64(2))
	})
}

// At a restart no effect is performed before the modules that it may need are there.
func TestRestart_modulesDispatchToOneAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		_, err := w.host.Deploy(t.Context(), host.DeployRequest{Module: "z-script", Wasm: enginetest.BuildGo(t, "./internal/guests/script")})
		require.NoError(t, err)
		r := w.do("a", sequential(delay("t", time.Hour), m{"kind": "dispatch", "target": "z-script/b", "id": "late", "ok": "ok", "err": "err"}))
		w.stop()
		time.Sleep(2 * time.Hour)
		w.start()
		require.NoError(t, w.store("a").Wait(t.Context(), r.Seq))
		require.Equal(t, []string{"tick t", "ok late"}, w.log("a"))
	})
}

// S6: feedback that traps is tried again; with the last trap allowed the store halts and keeps it, and skipping makes it a dead letter.
func TestS6_feedbackTraps(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		send := func(v m) error {
			_, err := w.store("a").Send(t.Context(), pack(t, v))
			return err
		}
		require.NoError(t, send(m{"type": "set", "trap": true}))
		start := time.Now()
		r := w.do("a", call("echo"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, send(m{"type": "set"}), host.ErrHalted)
		require.Len(t, w.attempts(), 1, "the call is not made again")
		require.Zero(t, w.store("a").DLQSize())
		require.NoError(t, w.store("a").ResumeSkipping(t.Context()))
		require.NoError(t, r.Wait(t.Context()))
		require.Less(t, time.Since(start), 10*time.Second)
		letters, err := w.store("a").DeadLetters()
		require.NoError(t, err)
		require.Len(t, letters, 1)
		require.Equal(t, "feedback_trapped", letters[0].Reason)
		require.NoError(t, send(m{"type": "set"}))
		require.NoError(t, w.host.RetryDeadLetter(t.Context(), "", letters[0].ID))
		require.Equal(t, []string{"ok echo"}, w.log("a"))
	})
}

// E3: behind an open breaker leaves are parked, with no feedback; they come back when it closes. By hand, too.
func TestE3_parked(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.peer("peer", failing)
		for i := range 10 {
			w.do(fmt.Sprint(i), call("peer"))
		}
		time.Sleep(10 * time.Second)
		require.Less(t, len(w.attempts()), 25)
		targets := w.host.Targets("")
		require.Len(t, targets, 1)
		require.Equal(t, "call=peer", targets[0].Name)
		require.True(t, targets[0].Parked)
		require.Empty(t, w.log("3"))
		w.peer("peer", nil)
		time.Sleep(2 * time.Minute)
		for i := range 10 {
			require.Equal(t, []string{"ok peer"}, w.log(fmt.Sprint(i)))
		}
		require.NoError(t, w.host.SetBreaker("", "call=echo", host.ForceOpen))
		r := w.do("a", call("echo"))
		time.Sleep(time.Hour)
		require.Empty(t, w.log("a"))
		require.NoError(t, w.host.SetBreaker("", "call=echo", host.ForceAuto))
		require.NoError(t, r.Wait(t.Context()))
		require.NoError(t, w.host.SetBreaker("", "call=echo", host.ForceOpen))
		w.do("b", call("echo"))
		time.Sleep(25 * time.Hour)
		require.Equal(t, []string{"err failed"}, w.log("b"))
		letters, err := w.store("b").DeadLetters()
		require.NoError(t, err)
		require.Equal(t, "parked_too_long", letters[0].Reason)
	})
}

// E10: an action that causes itself for ever is cut.
func TestE10_cascade(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		require.NoError(t, w.do("a", call("echo", "ok", "loop")).WaitAll(t.Context()))
		letters, err := w.store("a").DeadLetters()
		require.NoError(t, err)
		require.Len(t, letters, 1)
		require.Equal(t, "cascade", letters[0].Reason)
		require.EqualValues(t, host.DefaultCascadeLimit+1, letters[0].Seq)
	})
}

// S4: waiting for what effects cause; never, when they are done without it.
func TestS4_waitsForEffects(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		wait := func(typ string, list ...m) (host.Action, error) {
			a, _, err := w.store("a").SendAndWaitFor(t.Context(), pack(t, m{"type": "do", "effects": list}),
				func(a host.Action) bool { return a.Type == typ }, host.WaitOptions{Timeout: 2 * time.Hour})
			return a, err
		}
		a, err := wait("tick", call("echo"), delay("x", time.Hour))
		require.NoError(t, err)
		require.EqualValues(t, 3, a.Seq)
		_, err = wait("tick", call("echo"))
		require.ErrorIs(t, err, host.ErrNever)
		_, err = wait("tick")
		require.ErrorIs(t, err, host.ErrNever)
		_, err = wait("tick", delay("y", 3*time.Hour))
		require.ErrorIs(t, err, host.ErrTimeout)
	})
}

// E2, S13: what was under way when the host ended goes on at the next start, and what was fed back is not fed back again.
func TestE2_restart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.peer("peer", func(ctx context.Context, _ *effects.Request) error { <-ctx.Done(); return ctx.Err() })
		w.do("a", delay("t", time.Hour), sequential(call("echo"), call("peer"), call("echo")))
		require.Equal(t, []string{"ok echo"}, w.log("a"))
		w.crash()
		synctest.Wait()
		require.Equal(t, []string{"echo 1/1 #1.1", "peer 1/2 #1.1", "peer 1/2 #1.1"}, w.attempts())
		w.peer("peer", nil)
		time.Sleep(time.Minute) // past the attempt's timeout
		require.Equal(t, []string{"ok echo", "ok peer", "ok echo"}, w.log("a"))
		w.stop()
		time.Sleep(2 * time.Hour)
		w.start()
		require.Equal(t, []string{"ok echo", "ok peer", "ok echo", "tick t"}, w.log("a"), "a timer that is overdue fires at once")
		w.crash()
		require.Equal(t, []string{"ok echo", "ok peer", "ok echo", "tick t"}, w.log("a"))
	})
}

// S10: a store that is full of effects refuses commands that bring more, and drains by itself, though each of its effects feeds back an action that describes another.
func TestS10_fullOutboxDrains(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		free := make(chan struct{})
		w.peer("peer", func(context.Context, *effects.Request) error { <-free; return nil })
		w.again = call("echo")
		var many []m
		for range abi.MaxLeaves {
			many = append(many, call("peer"))
		}
		const most = 10_000
		open, err := 0, error(nil)
		var last host.Receipt
		for _, list := range [][]m{many, {call("peer")}} {
			for {
				r, refused := w.store("a").Send(t.Context(), pack(t, m{"type": "do", "effects": list}))
				if err = refused; err != nil {
					break
				}
				last, open = r, open+len(list)
			}
		}
		require.ErrorIs(t, err, host.ErrOverloaded)
		require.Equal(t, most, open)
		_, err = w.store("a").Send(t.Context(), pack(t, m{"type": "set"}))
		require.NoError(t, err, "a command without effects is taken")
		_, err = w.store("b").Send(t.Context(), pack(t, m{"type": "do", "effects": []m{call("echo")}}))
		require.NoError(t, err, "and so is any of another store")
		close(free)
		require.NoError(t, last.WaitAll(t.Context()))
		synctest.Wait()
		require.Equal(t, 2*most, len(w.log("a")))
		require.Zero(t, w.store("a").DLQSize())
	})
}

// S13: a shutdown refuses commands, and lets what runs finish and feed back.
func TestS13_effectsFinish(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.peer("peer", func(context.Context, *effects.Request) error { time.Sleep(10 * time.Second); return nil })
		w.do("a", call("peer"))
		synctest.Wait()
		ended := make(chan error)
		go func() { ended <- w.host.Shutdown(context.Background()) }()
		synctest.Wait()
		_, err := w.store("a").Send(t.Context(), pack(t, m{"type": "set"}))
		require.ErrorIs(t, err, host.ErrShuttingDown)
		require.NoError(t, <-ended)
		w.start()
		require.Equal(t, []string{"ok peer"}, w.log("a"))
		require.Len(t, w.attempts(), 1)
	})
}
