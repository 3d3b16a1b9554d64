package host_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/observe/prometheus"
	observeslog "github.com/crhost/crhost/host/observe/slog"
)

// gauges is an observer that keeps what it takes to read the newest module's.
type gauges struct {
	read  func() observe.ModuleStats
	hooks *observe.ModuleHooks
}

func (g *gauges) observer() *observe.Observer {
	return &observe.Observer{ModuleLoaded: func(m observe.Module) *observe.ModuleHooks {
		g.read = m.Stats
		return g.hooks
	}}
}

// measured starts the world's host anew, with an observer.
func (w *world) measured(o *host.Observer) {
	w.stop()
	w.config.Observer = o
	w.start()
}

func down(context.Context, *effects.Request) error { return retry.Permanent(errDown) }

// The count of dead letters is right after each thing that changes it, and after a restart, without a look into the journal.
func TestStats_deadLetters(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		g := &gauges{}
		w.measured(g.observer())
		w.peer("peer", down)
		dead := func() int {
			synctest.Wait()
			return g.read().DeadLetters
		}
		require.Zero(t, dead())
		for _, key := range []string{"a", "a", "b", "c"} {
			w.do(key, call("peer"))
		}
		require.Equal(t, 4, dead())
		require.Equal(t, 2, w.store("a").Metrics().DLQSize)
		w.crash()
		require.Equal(t, 4, dead(), "after a crash")
		w.stop()
		w.start()
		require.Equal(t, 4, dead(), "after a restart")

		letters, err := w.store("a").DeadLetters()
		require.NoError(t, err)
		require.NoError(t, w.host.RetryDeadLetter(t.Context(), "", letters[0].ID))
		require.Equal(t, 4, dead(), "dead again")
		w.peer("peer", nil)
		require.NoError(t, w.host.RetryDeadLetter(t.Context(), "", letters[0].ID))
		require.Equal(t, 3, dead(), "redriven")
		require.ErrorIs(t, w.host.RetryDeadLetter(t.Context(), "", letters[0].ID), host.ErrNotFound)
		require.Equal(t, 3, dead())
		require.NoError(t, w.host.DiscardDeadLetter(t.Context(), "", letters[1].ID))
		require.Equal(t, 2, dead(), "discarded")
		require.NoError(t, w.store("b").Delete(t.Context()))
		require.Equal(t, 1, dead(), "deleted")
		require.NoError(t, w.host.Unload(t.Context(), "", "script"))
		w.stop()
		w.start()
	})
}

// refusesNext is a journal that can be told to refuse its next batch.
type refusesNext struct {
	journal.Backend
	next atomic.Bool
}

var errRefused = fmt.Errorf("told to: %w", journal.ErrRefused)

func (r *refusesNext) Apply(b *journal.Batch) error {
	if r.next.Swap(false) {
		return errRefused
	}
	return r.Backend.Apply(b)
}

// A dead letter that the journal refused is none yet, and is told of once.
func TestStats_lostLetter(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.stop()
		var buried atomic.Int64
		g := &gauges{hooks: &observe.ModuleHooks{Buried: func(*observe.Buried) { buried.Add(1) }}}
		backend := &refusesNext{Backend: w.journal}
		config := w.config
		config.Journal, config.Observer = backend, g.observer()
		var err error
		w.host, err = host.Open(t.Context(), config)
		require.NoError(t, err)
		w.peer("peer", func(context.Context, *effects.Request) error {
			backend.next.Store(true)
			return retry.Permanent(errDown)
		})
		w.do("a", call("peer"))
		synctest.Wait()
		require.Zero(t, g.read().DeadLetters)
		require.Zero(t, buried.Load())
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, 1, g.read().DeadLetters)
		require.EqualValues(t, 1, buried.Load())
		require.Len(t, w.attempts(), 1)
	})
}

// Leaves are counted by what they wait for, and attempts by store.
func TestStats_leaves(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		g := &gauges{}
		w.measured(g.observer())
		w.peer("peer:slow", func(context.Context, *effects.Request) error { time.Sleep(3 * time.Second); return nil })
		w.peer("peer:down", failing)
		require.NoError(t, w.host.SetBreaker("", "call=peer:open", host.ForceOpen))
		w.do("a", call("peer:slow"), call("peer:open"), delay("t", time.Minute), delay("u", time.Minute))
		w.do("b", call("peer:down", "retry", "once"))
		synctest.Wait()
		stats := g.read()
		require.Equal(t, []int{5, 1, 3, 1}, []int{stats.OpenLeaves, stats.RunningLeaves, stats.TimedLeaves, stats.ParkedLeaves})
		time.Sleep(10 * time.Minute)
		require.NoError(t, w.host.SetBreaker("", "call=peer:open", host.ForceClose))
		synctest.Wait()
		stats = g.read()
		require.Zero(t, []int{stats.OpenLeaves, stats.RunningLeaves, stats.TimedLeaves, stats.ParkedLeaves}[0])

		metrics := w.store("a").Metrics()
		require.EqualValues(t, 2, metrics.EffectsExecuted)
		require.Zero(t, metrics.EffectFailures)
		require.Equal(t, 1500*time.Millisecond, metrics.AvgEffectDuration)
		require.EqualValues(t, 5, metrics.ActionsDispatched, "what came from effects among them")
		metrics = w.store("b").Metrics()
		require.EqualValues(t, 6, metrics.EffectsExecuted)
		require.EqualValues(t, 6, metrics.EffectFailures)
		require.Equal(t, 1, metrics.DLQSize)
	})
}

// What effects do shows in the metrics, and in the log with where it was and in which trace.
func TestWatch_metricsAndLog(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		var log bytes.Buffer
		registry := prom.NewRegistry()
		metrics, err := prometheus.New(prometheus.Config{Registry: registry})
		require.NoError(t, err)
		traceparent := func(context.Context) string { return caller }
		w.measured(observe.Tee(metrics.Observer(), observeslog.New(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))), &observe.Observer{Traceparent: traceparent, ModuleLoaded: func(observe.Module) *observe.ModuleHooks {
			return &observe.ModuleHooks{SendStarted: func(ctx context.Context, _ *observe.SendStart) context.Context { return ctx }}
		}}))
		log.Reset()
		value := func(name string, labels ...string) float64 {
			return sample(t, registry, "composable_rust_"+name, labels...)
		}
		require.Zero(t, value("effects_total", "call"))
		w.peer("peer", failing)
		require.NoError(t, w.do("a", call("peer")).WaitAll(t.Context()))
		require.EqualValues(t, 6, value("effects_total", "call"))
		require.EqualValues(t, 6, value("effect_failures_total", "call"))
		require.EqualValues(t, 5, value("effect_retries_total", "call"))
		require.EqualValues(t, 1, value("dlq_size"))
		require.EqualValues(t, 1, value("dead_letters_total", "exhausted"))
		require.EqualValues(t, 1, value("breakers", "open"))
		require.EqualValues(t, 1, value("actions_total", "err", "accepted"), "what is fed back is an action")
		_, err = w.store("a").Send(t.Context(), pack(t, m{"type": "set", "reject": true}))
		require.NoError(t, err)
		require.NoError(t, w.do("a", call("echo")).WaitAll(t.Context()))
		require.EqualValues(t, 1, value("feedback_refused_total"))
		require.EqualValues(t, 1, value("dead_letters_total", "feedback_rejected"))
		letters, err := w.store("a").DeadLetters()
		require.NoError(t, err)
		require.NoError(t, w.host.DiscardDeadLetter(t.Context(), "", letters[1].ID))
		w.peer("peer", nil)
		require.NoError(t, w.host.SetBreaker("", "call=peer", host.ForceClose))
		require.NoError(t, w.host.RetryDeadLetter(t.Context(), "", letters[0].ID))
		synctest.Wait()
		require.EqualValues(t, 1, value("redrives_total"))
		require.Zero(t, value("breakers", "open"))

		where := "tenant=default module=script key=a seq=1 leaf=0 target=\"call=peer\" drive=1 trace_id=" + callerTrace
		require.Contains(t, log.String(), "level=WARN msg=effect "+where+" attempt=1 outcome=failed duration=0s error=\"the peer is down\"\n")
		require.Contains(t, log.String(), "level=WARN msg=effect "+where+" attempt=6 outcome=dead duration=0s error=\"the peer is down\"\n")
		require.Contains(t, log.String(), "level=ERROR msg=\"dead letter\" "+where+" reason=exhausted fed=true error=\"the peer is down\"\n")
		require.Contains(t, log.String(), "level=WARN msg=breaker tenant=default target=\"call=peer\" was=closed state=open manual=false\n")
		require.Contains(t, log.String(), "level=INFO msg=\"dead letter redriven\" "+where+" reason=exhausted\n")
		require.Contains(t, log.String(), "msg=\"dead letter discarded\"")
	})
}

// sample is the value of the series of module script with the given labels' values, in the order of their names.
func sample(t *testing.T, registry *prom.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, s := range f.GetMetric() {
			var values []string
			for _, l := range s.GetLabel() {
				if l.GetName() != "tenant" && l.GetName() != "module" {
					values = append(values, l.GetValue())
				}
			}
			if fmt.Sprint(values) == fmt.Sprint(labels) {
				return s.GetCounter().GetValue() + s.GetGauge().GetValue()
			}
		}
	}
	require.Fail(t, "no series", "%s%q", name, labels)
	return 0
}

// Observers know each reason that a dead letter may have.
func TestReasons(t *testing.T) {
	require.ElementsMatch(t, observe.Reasons(), []string{
		ledger.ReasonExhausted, ledger.ReasonPermanent, ledger.ReasonParkedTooLong, ledger.ReasonBreakerOpen, ledger.ReasonBudget, ledger.ReasonCascade,
		ledger.ReasonInvalid, ledger.ReasonFeedbackRejected, ledger.ReasonFeedbackTrapped, ledger.ReasonUnknownAction,
	})
}

// Feedback after a restart has the time at which it was reduced, though nothing was sent since.
func TestRestart_feedbackTime(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.do("a", delay("t", time.Hour))
		w.crash()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		due := time.Now().Add(-time.Hour)
		var last host.Action
		for a, err := range w.store("a").History(t.Context(), 0, 0) {
			require.NoError(t, err)
			last = a
		}
		require.Equal(t, "timer", last.Cause)
		require.WithinDuration(t, due, last.Time, time.Second)
	})
}
