package host_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
)

// hanging is a peer that answers when it is let go, and heeds its context.
func hanging() (peer func(context.Context, *effects.Request) error, letGo func()) {
	gate := make(chan struct{})
	return func(ctx context.Context, _ *effects.Request) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, func() { close(gate) }
}

func (w *world) letters(key string) (list []string) {
	w.Helper()
	letters, err := w.store(key).DeadLetters()
	require.NoError(w, err)
	for _, l := range letters {
		list = append(list, l.Reason)
	}
	return list
}

// gated holds the next batch up and refuses it, when it is told to.
type gated struct {
	journal.Backend
	armed atomic.Bool
	gate  chan struct{}
}

func (g *gated) Apply(b *journal.Batch) error {
	if g.armed.CompareAndSwap(true, false) {
		<-g.gate
		return fmt.Errorf("told to: %w", journal.ErrRefused)
	}
	return g.Backend.Apply(b)
}

// S2, E8: a cancel that the journal does not take has cancelled nothing, also for feedback that came meanwhile.
func TestE8_cancelTakenBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		g := &gated{gate: make(chan struct{})}
		w.wrap = func(b journal.Backend) journal.Backend { g.Backend = b; return g }
		w.crash()
		peer, letGo := hanging()
		w.peer("peer", peer)
		r := w.do("a", call("peer", "id", "x"))
		synctest.Wait()
		g.armed.Store(true)
		sent := make(chan error)
		go func() {
			_, err := w.store("a").Send(context.Background(), pack(t, m{"type": "do", "effects": []m{{"kind": "cancel", "id": "x"}}}))
			sent <- err
		}()
		synctest.Wait() // the cancel is reduced, and not durable
		letGo()
		synctest.Wait()
		close(g.gate)
		require.ErrorIs(t, <-sent, &host.Error{Code: abi.CodeBatchFailed})
		require.NoError(t, r.Wait(t.Context()))
		require.Equal(t, []string{"ok x peer"}, w.log("a"))
	})
}

// S8: what a start feeds back before the first command has its time, too.
func TestS8_timeOfFeedbackAfterRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.do("a", delay("t", time.Hour), m{"kind": "dispatch", "target": "script/b", "ok": "ok"})
		synctest.Wait()
		w.crash()
		time.Sleep(2 * time.Hour)
		require.Equal(t, []string{"ok", "tick t"}, w.log("a"))
		for a, err := range w.store("a").History(t.Context(), 3, 3) {
			require.NoError(t, err)
			require.Equal(t, time.Now().Add(-time.Hour).UTC(), a.Time)
		}
	})
}

// E2, E3: an emission that is refused ends the leaf, and its handler; a redrive goes on behind the last one that was taken.
func TestE3_emissionRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var sawGone atomic.Int64
		w.peer("peer", func(ctx context.Context, r *effects.Request) error {
			for n := byte(0); n < 3; n++ {
				if len(r.Token) > 0 && n < r.Token[0] {
					continue
				}
				if n == 1 && r.Drive == 1 {
					_, err := w.store("a").Send(ctx, pack(t, m{"type": "set", "reject": true}))
					require.NoError(t, err)
				}
				fields, _ := msgpack.Marshal(m{"note": fmt.Sprint("part ", n)})
				if err := r.Emit(ctx, effects.Emission{Fields: fields, Token: []byte{n + 1}}); err != nil {
					sawGone.Add(1)
					return err
				}
			}
			return nil
		})
		require.NoError(t, w.do("a", call("peer")).WaitAll(t.Context()))
		time.Sleep(time.Hour)
		require.EqualValues(t, 1, sawGone.Load())
		require.Len(t, w.attempts(), 1, "nothing is left to attempt")
		require.Equal(t, []string{"feedback_rejected"}, w.letters("a"))
		_, err := w.store("a").Send(t.Context(), pack(t, m{"type": "set"}))
		require.NoError(t, err)
		_, err = w.store("a").RetryDLQ(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"ok part 0", "ok part 1", "ok part 2", "ok peer"}, w.log("a"))
		require.Zero(t, w.store("a").DLQSize())
	})
}

// S13: a handler that never heeds its context does not keep the host from ending, and those who wait afterwards are told.
func TestS13_handlerThatHeedsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		stuck := make(chan struct{})
		w.peer("peer", func(context.Context, *effects.Request) error { <-stuck; return nil })
		r := w.do("a", call("peer", "timeout", int64(time.Second)), delay("t", time.Hour))
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, w.host.Shutdown(ctx), host.ErrShutdownTimeout)
		require.Less(t, time.Since(start), 12*time.Second)
		require.ErrorIs(t, r.Wait(t.Context()), host.ErrShuttingDown)
		require.ErrorIs(t, r.WaitAll(t.Context()), host.ErrShuttingDown)
		w.peer("peer", nil)
		w.start()
		close(stuck)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"ok peer"}, w.log("a"))
	})
}

// S15: with a store its effects end, and what they bring; a new life has its own.
func TestS15_deleteWithOpenEffects(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		peer, letGo := hanging()
		w.peer("peer", peer)
		w.peer("topic", failing)
		r := w.do("a", call("peer", "id", "x"), delay("t", time.Hour), m{"kind": "publish", "target": "topic"}, sequential(call("peer"), call("echo")))
		synctest.Wait()
		require.NoError(t, w.store("a").Delete(t.Context()))
		require.NoError(t, r.WaitAll(t.Context()))
		synctest.Wait()
		w.attempts()
		w.do("a", call("echo", "id", "x"))
		letGo()
		time.Sleep(2 * time.Hour)
		require.Equal(t, []string{"ok x echo"}, w.log("a"))
		require.Equal(t, []string{"echo 1/0 #1.1"}, w.attempts())
		require.Empty(t, w.letters("a"))
		require.NoError(t, w.store("a").Delete(t.Context()))
		for row := range journal.Effects(w.journal, journal.ModuleID{Tenant: "default", Module: "script"}) {
			require.Fail(t, "left", "%+v", row)
		}
	})
}

// second holds the second batch up after it is armed.
type second struct {
	journal.Backend
	n    atomic.Int32
	gate chan struct{}
}

func (s *second) Apply(b *journal.Batch) error {
	if s.n.Add(-1) == 0 {
		<-s.gate
	}
	return s.Backend.Apply(b)
}

// E2: of a dispatch that was cancelled, or whose store ended, while the other store took its action, no note is left; nor after a crash in between.
func TestE2_lateDispatch(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"cancelled": func(w *world) { w.do("a", m{"kind": "cancel", "id": "hello"}) },
		"cancelled among others": func(w *world) {
			w.do("a", m{"kind": "cancel", "id": "hello"})
			w.do("a", m{"kind": "cancel", "id": "much later"})
		},
		"deleted": func(w *world) { require.NoError(w, w.store("a").Delete(w.Context())) },
		"deleted, and there again": func(w *world) {
			require.NoError(w, w.store("a").Delete(w.Context()))
			w.do("a", call("echo"), delay("in its place", 100*time.Hour))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				s := &second{gate: make(chan struct{})}
				w.wrap = func(b journal.Backend) journal.Backend { s.Backend = b; return s }
				w.crash()
				w.load("late")
				w.peer("peer", func(context.Context, *effects.Request) error {
					s.n.Store(2) // behind the batch with what this feeds back comes that of the other store
					return nil
				})
				w.do("a", sequential(call("peer"), hello("late")), delay("much later", 100*time.Hour))
				synctest.Wait()
				end(w)
				close(s.gate)
				synctest.Wait()
				n := 0
				for range w.host.Store(abi.Address{Module: "late", Key: "b"}).History(t.Context(), 0, 0) {
					n++
				}
				require.Equal(t, 1, n, "it was dispatched")
				notes := 0
				for row, err := range journal.Effects(w.journal, journal.ModuleID{Tenant: "default", Module: "script"}) {
					require.NoError(t, err)
					notes += len(row.Dispatched)
				}
				require.Zero(t, notes)
			})
		})
	}
	t.Run("crash", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			script := journal.ModuleID{Tenant: "default", Module: "script"}
			w.do("a", hello("late"), delay("much later", 100*time.Hour))
			w.do("a", m{"kind": "cancel", "id": "hello"})
			var rows []*journal.EffectRow
			effectsThere := func() []*journal.EffectRow {
				rows = nil
				for row, err := range journal.Effects(w.journal, script) {
					require.NoError(t, err)
					rows = append(rows, row)
				}
				return rows
			}
			require.Len(t, effectsThere(), 1)
			w.stop()
			b := new(journal.Batch)
			journal.PutDispatched(b, script, rows[0].Life, 1, 0, nil) // of the effect that is there
			journal.PutDispatched(b, script, rows[0].Life, 2, 0, nil) // of one that has ended
			journal.PutDispatched(b, script, journal.Incarnation{9}, 2, 0, nil)
			require.NoError(t, w.journal.Apply(b))
			require.Len(t, effectsThere(), 3)
			w.start()
			require.Len(t, effectsThere(), 1)
			w.do("a", m{"kind": "cancel", "id": "much later"})
			require.Empty(t, effectsThere())
		})
	})
}

// While a module is unloaded its effects wait, and what they bring; they go on when it is deployed again.
func TestUnload_withOpenEffects(t *testing.T) {
	wasm := enginetest.BuildGo(t, "./internal/guests/script")
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart=", restart), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				peer, letGo := hanging()
				w.peer("peer", peer)
				w.do("a", call("peer"), delay("t", time.Hour), sequential(delay("u", 3*time.Hour), call("echo")))
				synctest.Wait()
				require.NoError(t, w.host.Unload(t.Context(), "", "script"))
				letGo()
				time.Sleep(2 * time.Hour)
				if restart {
					w.stop()
					w.start()
				}
				_, err := w.host.Deploy(t.Context(), host.DeployRequest{Module: "script", Wasm: wasm})
				require.NoError(t, err)
				time.Sleep(time.Minute)
				require.ElementsMatch(t, []string{"ok peer", "tick t"}, w.log("a"))
				time.Sleep(time.Hour)
				require.Equal(t, []string{"tick u", "ok echo"}, w.log("a")[2:])
			})
		})
	}
}

// E8: a cancel ends a leaf wherever it is: parked, waiting for its next attempt, behind others, in a lane, or fed back to a halted store.
func TestE8_cancelAnywhere(t *testing.T) {
	publish := func(id string) m { return m{"kind": "publish", "target": "topic", "id": id, "ok": "ok", "err": "err"} }
	for name, prepare := range map[string]func(w *world){
		"parked": func(w *world) {
			require.NoError(w, w.host.SetBreaker("", "call=peer", host.ForceOpen))
			w.do("a", call("peer", "id", "x"))
		},
		"timed": func(w *world) {
			w.peer("peer", func(context.Context, *effects.Request) error { return retry.After(time.Hour, errDown) })
			w.do("a", call("peer", "id", "x"))
		},
		"queued": func(w *world) {
			require.NoError(w, w.host.SetPolicy("", "call=peer", host.Policy{Concurrency: 1}))
			peer, _ := hanging()
			w.peer("peer", peer)
			w.do("b", call("peer", "timeout", int64(time.Hour)))
			w.do("a", call("peer", "id", "x"))
		},
		"in a lane": func(w *world) {
			w.peer("topic", func(context.Context, *effects.Request) error { time.Sleep(10 * time.Second); return nil })
			w.do("a", m{"kind": "publish", "target": "topic"}, publish("x"))
		},
		"first in a lane": func(w *world) {
			w.peer("topic", func(context.Context, *effects.Request) error { return retry.After(time.Hour, errDown) })
			w.do("a", publish("x"))
			synctest.Wait()
			w.peer("topic", nil)
			w.do("a", m{"kind": "publish", "target": "topic"})
		},
		"armed": func(w *world) { w.do("a", delay("x", time.Minute)) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				prepare(w)
				synctest.Wait()
				w.attempts()
				require.NoError(t, w.do("a", m{"kind": "cancel", "id": "x"}).Wait(t.Context()))
				w.do("a", call("echo", "id", "x"))
				for _, g := range w.host.Targets("") {
					require.NoError(t, w.host.SetBreaker("", g.Name, host.ForceAuto))
				}
				time.Sleep(3 * time.Hour)
				require.Equal(t, []string{"ok x echo"}, w.log("a"))
				require.Empty(t, w.letters("a"))
				open, err := w.store("a").Effects(t.Context())
				require.NoError(t, err)
				require.Empty(t, open)
				for _, g := range w.host.Targets("") {
					require.Zero(t, g.Waiting, g.Name)
				}
			})
		})
	}
}

// Bounds: a delay of nothing and the longest one, 256 leaves, an id used again when its leaf is done.
func TestEffects_bounds(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		require.NoError(t, w.do("a", delay("now", 0)).Wait(t.Context()))
		w.do("a", delay("never", math.MaxInt64))
		w.crash()
		time.Sleep(1000 * time.Hour)
		require.Equal(t, []string{"tick now"}, w.log("a"))
		open, err := w.store("a").Effects(t.Context())
		require.NoError(t, err)
		require.Len(t, open, 1)
		require.NoError(t, w.do("a", m{"kind": "cancel", "id": "never"}).Wait(t.Context()))

		many := slices.Repeat([]m{call("echo")}, abi.MaxLeaves)
		require.NoError(t, w.do("b", many...).Wait(t.Context()))
		require.Len(t, w.log("b"), abi.MaxLeaves)
		_, err = w.store("b").Send(t.Context(), pack(t, m{"type": "do", "effects": append(many, call("echo"))}))
		require.Error(t, err)

		for range 2 {
			require.NoError(t, w.do("c", call("echo", "id", "x")).Wait(t.Context()))
		}
		require.Equal(t, []string{"ok x echo", "ok x echo"}, w.log("c"))
	})
}

// E7: an attempt that takes longer than it may has failed.
func TestE7_timeout(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		peer, letGo := hanging()
		w.peer("peer", peer)
		start := time.Now()
		w.do("a", call("peer", "timeout", int64(time.Second)))
		time.Sleep(1500 * time.Millisecond)
		letGo()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"ok peer"}, w.log("a"))
		require.Len(t, w.attempts(), 2)
		require.Less(t, time.Since(start), 2*time.Minute)
	})
}

// E3: what does not wait is dead at once: behind an open breaker, and without a budget. Policies hold for what waits already.
func TestE3_policies(t *testing.T) {
	dead := host.Policy{Retry: retry.Policy{OnOpen: retry.DeadLetter}}
	inBubble(t, func(t *testing.T, w *world) {
		require.NoError(t, w.host.SetPolicy("", "call=peer", dead))
		require.NoError(t, w.host.SetBreaker("", "call=peer", host.ForceOpen))
		require.NoError(t, w.do("a", call("peer")).Wait(t.Context()))
		require.Equal(t, []string{"breaker_open"}, w.letters("a"))
		require.Equal(t, []string{"err failed"}, w.log("a"))

		require.NoError(t, w.host.RemovePolicy("", "call=peer"))
		r := w.do("b", call("peer"), sequential(call("peer"), call("echo")))
		time.Sleep(time.Hour)
		require.Empty(t, w.letters("b"))
		require.NoError(t, w.host.SetPolicy("", "call", dead))
		require.NoError(t, r.Wait(t.Context()))
		require.Equal(t, []string{"breaker_open", "breaker_open"}, w.letters("b"))

		require.NoError(t, w.host.RemovePolicy("", "call"))
		start := time.Now()
		r = w.do("c", call("peer"))
		time.Sleep(time.Hour)
		require.NoError(t, w.host.SetPolicy("", "default", host.Policy{Retry: retry.Policy{ParkLimit: 2 * time.Hour}}))
		require.NoError(t, r.Wait(t.Context()))
		require.Equal(t, []string{"parked_too_long"}, w.letters("c"))
		require.Equal(t, 2*time.Hour, time.Since(start))
	})
	for _, c := range []struct {
		policy host.Policy
		want   []string
	}{{dead, []string{"budget"}}, {host.Policy{}, []string{"exhausted"}}} {
		inBubble(t, func(t *testing.T, w *world) {
			c.policy.Budget.Reserve, c.policy.Budget.PerSecond, c.policy.Budget.Ratio, c.policy.Breaker.Failures = 1, 0.01, -1, 1000
			require.NoError(t, w.host.SetPolicy("", "default", c.policy))
			w.peer("peer", failing)
			start := time.Now()
			require.NoError(t, w.do("a", call("peer")).Wait(t.Context()))
			require.Equal(t, c.want, w.letters("a"))
			require.Equal(t, c.want[0] == "exhausted", time.Since(start) > 400*time.Second, "four retries at one in 100 s")
		})
	}
}

// A breaker is set for a target that has one, by whatever way: EFFECT=TARGET, of an effect that a handler performs.
func TestSetBreaker_names(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, name := range []string{"", "peer", "call", "call=", "=peer", "kick=peer", "none=x", "sequential=x", "parallel=x", "delay=x", "cancel=x", "dispatch=script/a"} {
			for _, how := range []host.Force{host.ForceOpen, host.ForceClose, host.ForceAuto} {
				require.ErrorIs(t, w.host.SetBreaker("", name, how), &host.Error{Code: abi.CodeBadRequest}, name)
			}
		}
		require.ErrorIs(t, w.host.SetBreaker("", "call=peer", "sideways"), &host.Error{Code: abi.CodeBadRequest})
		require.ErrorIs(t, w.host.SetBreaker("", "call=peer", host.ForceClose), host.ErrNotFound)
		require.ErrorIs(t, w.host.SetBreaker("", "call=peer", host.ForceAuto), host.ErrNotFound)
		require.Empty(t, w.host.Targets(""), "nothing came of that")
		for _, name := range []string{"call=peer", "publish=a/b", "append=x", "load=x", "project=x"} {
			require.NoError(t, w.host.SetBreaker("", name, host.ForceOpen))
			require.NoError(t, w.host.SetBreaker("", name, host.ForceAuto))
		}
	})
}

// D7: what an earlier revision has asked for is done under the next one; what that does not know becomes a dead letter, to be fed back to one that does.
func TestD7_actionThatIsGone(t *testing.T) {
	script, mute := enginetest.BuildGo(t, "./internal/guests/script"), enginetest.BuildGo(t, "./internal/guests/mute")
	inBubble(t, func(t *testing.T, w *world) {
		peer, letGo := hanging()
		w.peer("peer", peer)
		r := w.do("a", sequential(call("peer"), call("echo")), delay("t", time.Hour))
		synctest.Wait()
		_, err := w.host.Deploy(t.Context(), host.DeployRequest{Module: "script", Wasm: mute})
		require.NoError(t, err)
		letGo()
		require.NoError(t, r.WaitAll(t.Context()))
		require.Len(t, w.attempts(), 2, "what is refused is done: the rest goes on")
		require.Equal(t, []string{"unknown_action", "unknown_action", "unknown_action"}, w.letters("a"))
		require.Empty(t, w.log("a"))
		_, err = w.host.Deploy(t.Context(), host.DeployRequest{Module: "script", Wasm: script, Grants: []string{
			"call=*", "publish=*", "append=*", "dispatch=*", "delay=*", "cancel=*",
		}})
		require.NoError(t, err)
		_, err = w.store("a").RetryDLQ(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"ok peer", "ok echo", "tick t"}, w.log("a"))
		require.Empty(t, w.letters("a"))
		require.Empty(t, w.attempts(), "only feedback was missing")
	})
}
