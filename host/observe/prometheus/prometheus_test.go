package prometheus_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/observe/prometheus"
)

var update = flag.Bool("update", false, "write the golden files")

var counter = observe.Module{
	Tenant: "default", Name: "counter",
	Actions:     []string{"increment", "reset"},
	EffectKinds: []string{"call"},
	Stats: func() observe.ModuleStats {
		return observe.ModuleStats{
			Shards: 1, Stores: 2, Residents: 3, GuestMemoryBytes: 4, QueueDepth: 5, WatermarkLag: 6, Subscribers: 7, Halted: 8, ParkedLeaves: 9, DeadLetters: 10,
			OpenLeaves: 11, RunningLeaves: 12, TimedLeaves: 13,
		}
	},
}

func open(t testing.TB) (*prom.Registry, *observe.Observer) {
	registry := prom.NewRegistry()
	metrics, err := prometheus.New(prometheus.Config{Registry: registry})
	require.NoError(t, err)
	return registry, metrics.Observer()
}

func exposition(t *testing.T, registry *prom.Registry) string {
	families, err := registry.Gather()
	require.NoError(t, err)
	var text strings.Builder
	for _, family := range families {
		_, err := expfmt.MetricFamilyToText(&text, family)
		require.NoError(t, err)
	}
	return text.String()
}

func golden(t *testing.T, name, got string) {
	path := "testdata/" + name
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		require.Equal(t, wantLines[i], gotLines[i], "%s:%d", path, i+1)
	}
	require.Len(t, gotLines, len(wantLines))
}

func TestMetrics_existFromLoadOn(t *testing.T) {
	registry, observer := open(t)
	observer.ModuleLoaded(counter)
	golden(t, "loaded.txt", exposition(t, registry))
}

func TestMetrics_afterEvents(t *testing.T) {
	registry, observer := open(t)
	hooks := observer.ModuleLoaded(counter)

	sent := func(e observe.Sent) { hooks.Sent(t.Context(), &e) }
	sent(observe.Sent{Action: 0, Seq: 1, LockWait: 80, Reduce: 200, Commit: 120, Total: 420, Fuel: 1000})
	sent(observe.Sent{Action: 0, Shard: 1, Seq: 2, LockWait: 80, Reduce: 90, Commit: 120, Total: 420, Fuel: 500})
	sent(observe.Sent{Action: 1, Code: "rejected", LockWait: 80, Reduce: time.Microsecond, Total: 2 * time.Microsecond, Fuel: 7})
	sent(observe.Sent{Action: -1, Code: "unknown_action", Total: 50})
	sent(observe.Sent{Action: 2, Code: "Not A Code\xff", Total: 50})
	hooks.Committed(&observe.Committed{Actions: 2, Bytes: 300, Latency: 250 * time.Microsecond})
	hooks.Committed(&observe.Committed{Actions: 1, Bytes: 100, Err: errors.New("refused")})
	hooks.Rebuilt(&observe.Rebuilt{Cause: "trap", Replayed: 12, Duration: time.Millisecond})
	hooks.Trapped(&observe.Trapped{Cause: "fuel"})
	hooks.Halted(&observe.Halted{Code: "state_unreadable"})
	hooks.Halted(&observe.Halted{Resumed: true})
	hooks.Gap(&observe.Gap{From: 3, To: 7})
	hooks.Swapped(&observe.Swapped{Pause: 20 * time.Microsecond})
	for _, code := range []string{"", "rejected", "trapped", "canceled"} {
		sent(observe.Sent{Action: 1, Cause: observe.CauseFeedback, Code: code, Reduce: 50, Total: 50})
		sent(observe.Sent{Action: 1, Cause: observe.CauseDispatch, Code: code, Reduce: 50, Total: 50})
	}
	performed := func(kind, attempt int, d time.Duration, outcome string, err error) {
		hooks.Performed(t.Context(), &observe.Performed{
			EffectStart: observe.EffectStart{Leaf: observe.Leaf{Kind: kind}, Attempt: attempt}, Duration: d, Outcome: outcome, Err: err,
		})
	}
	performed(0, 1, 3*time.Millisecond, observe.OutcomeDone, nil)
	performed(0, 1, 4*time.Second, observe.OutcomeFailed, errors.New("down"))
	performed(0, 2, 4*time.Second, observe.OutcomeDead, errors.New("down"))
	performed(0, 3, 4*time.Second, observe.OutcomeCanceled, errors.New("gone"))
	performed(-1, 1, 4*time.Second, observe.OutcomeDone, nil)
	hooks.Buried(&observe.Buried{Reason: "exhausted"})
	hooks.Buried(&observe.Buried{Reason: "boredom"})
	hooks.Redriven(&observe.Redriven{})
	hooks.Redriven(&observe.Redriven{Discarded: true})
	hooks.Redriven(&observe.Redriven{Discarded: true})
	for _, to := range [][2]string{{"closed", "open"}, {"closed", "open"}, {"open", "half-open"}, {"half-open", "closed"}} {
		observer.Opened(observe.Opened{Durability: "fsync"})
		observer.BreakerChanged(observe.BreakerChanged{Tenant: "default", Target: "call=peer", From: to[0], To: to[1]})
		observer.BreakerChanged(observe.BreakerChanged{Tenant: "without modules", Target: "call=peer", From: to[0], To: to[1]})
	}
	hooks.Log(&observe.GuestLog{Text: "hello"})
	observer.Deployed(observe.Deployed{Outcome: "activated", Duration: 2 * time.Second})
	observer.Deployed(observe.Deployed{Outcome: "exploded"})
	observer.Compiled(observe.Compiled{Duration: 1300 * time.Millisecond})
	observer.Compiled(observe.Compiled{Cached: true, Duration: 7 * time.Millisecond})
	observer.Compiled(observe.Compiled{Err: errors.New("bad"), Duration: time.Millisecond})

	golden(t, "events.txt", exposition(t, registry))
}

func TestMetrics_goneAfterUnload(t *testing.T) {
	registry, observer := open(t)
	empty := exposition(t, registry)
	other := counter
	other.Name = "orders"
	kept := observer.ModuleLoaded(other)
	alone := exposition(t, registry)

	first := observer.ModuleLoaded(counter)
	replaced := counter
	replaced.Actions = []string{"increment", "double"}
	replaced.Stats = func() observe.ModuleStats { return observe.ModuleStats{Stores: 77} }
	second := observer.ModuleLoaded(replaced)
	first.Sent(t.Context(), &observe.Sent{Action: 0, Code: "rejected"})
	require.Contains(t, exposition(t, registry), `stores{module="counter",tenant="default"} 77`)
	first.Unloaded()

	// The older load of a replaced module ended: its series go on, and the gauges are the newer one's.
	second.Sent(t.Context(), &observe.Sent{Action: 1})
	text := exposition(t, registry)
	require.Contains(t, text, `actions_total{action="increment",module="counter",outcome="refused",tenant="default"} 1`)
	require.Contains(t, text, `actions_total{action="double",module="counter",outcome="accepted",tenant="default"} 1`)
	require.Contains(t, text, `stores{module="counter",tenant="default"} 77`)

	second.Unloaded()
	require.Equal(t, alone, exposition(t, registry))
	kept.Unloaded()
	require.Equal(t, empty, exposition(t, registry))
}

// Callers choose action types and guests may choose words: neither makes more than a bounded number of series.
func TestMetrics_labelsAreBounded(t *testing.T) {
	registry, observer := open(t)
	hooks := observer.ModuleLoaded(counter)
	before := strings.Count(exposition(t, registry), "\n")
	for i := range 10_000 {
		word := fmt.Sprint("w", i)
		hooks.Sent(t.Context(), &observe.Sent{Action: -1, ActionType: word, Key: word, Code: word})
		hooks.Trapped(&observe.Trapped{Cause: word})
		hooks.Rebuilt(&observe.Rebuilt{Cause: word})
		hooks.Halted(&observe.Halted{Code: word})
		hooks.Buried(&observe.Buried{Reason: word})
		hooks.Performed(t.Context(), &observe.Performed{EffectStart: observe.EffectStart{Leaf: observe.Leaf{Kind: i + 1, KindName: word, Target: word}}})
		observer.BreakerChanged(observe.BreakerChanged{Tenant: word, Target: word, From: "closed", To: word})
		observer.Deployed(observe.Deployed{Tenant: word, Module: word, Outcome: word})
	}
	text := exposition(t, registry)
	require.Less(t, strings.Count(text, "\n")-before, 4*(64+1+2)+40)
	require.Contains(t, text, `refusals_total{code="(other)",module="counter",tenant="default"} 9936`)
}

func TestMetrics_lint(t *testing.T) {
	registry, observer := open(t)
	hooks := observer.ModuleLoaded(counter)
	hooks.Trapped(&observe.Trapped{Cause: "fuel"})
	hooks.Rebuilt(&observe.Rebuilt{Cause: "trap"})
	hooks.Halted(&observe.Halted{Code: "trap"})
	hooks.Sent(t.Context(), &observe.Sent{Code: "rejected"})
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestMetrics_concurrently(t *testing.T) {
	registry, observer := open(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 200 {
				hooks := observer.ModuleLoaded(counter)
				hooks.Sent(context.Background(), &observe.Sent{Action: i % 3, Code: fmt.Sprint("c", i)})
				hooks.Unloaded()
			}
		})
	}
	all.Go(func() {
		for range 20 {
			_, err := registry.Gather()
			require.NoError(t, err)
		}
	})
	all.Wait()
}

func TestNew_refusals(t *testing.T) {
	registry := prom.NewRegistry()
	for _, tc := range []struct {
		name   string
		config prometheus.Config
		want   string
	}{
		{"first", prometheus.Config{Registry: registry}, ""},
		{"another prefix", prometheus.Config{Registry: registry, Prefix: "other"}, ""},
		{"taken", prometheus.Config{Registry: registry, Prefix: "other"}, "register metrics under other: duplicate metrics"},
		{"malformed", prometheus.Config{Prefix: "a b"}, `metrics prefix "a b"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := prometheus.New(tc.config)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestHandler(t *testing.T) {
	metrics, err := prometheus.New(prometheus.Config{Prefix: "crhost"})
	require.NoError(t, err)
	metrics.Observer().ModuleLoaded(counter)
	answer := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, answer.Code)
	require.Contains(t, answer.Body.String(), `crhost_actions_total{action="increment",module="counter",outcome="accepted",tenant="default"} 0`)
	require.Contains(t, answer.Body.String(), "go_goroutines ")
}

func TestSent_allocatesNothing(t *testing.T) {
	_, observer := open(t)
	hooks := observer.ModuleLoaded(counter)
	for _, e := range []observe.Sent{accepted, {Action: 0, Code: "rejected", Reduce: 200}, {Action: -1, Code: "unknown_action"}} {
		require.Zero(t, testing.AllocsPerRun(100, func() { hooks.Sent(context.Background(), &e) }), "%+v", e)
	}
	performed := &observe.Performed{EffectStart: observe.EffectStart{Attempt: 2}, Outcome: observe.OutcomeFailed, Duration: time.Millisecond}
	require.Zero(t, testing.AllocsPerRun(100, func() { hooks.Performed(context.Background(), performed) }))
}

var accepted = observe.Sent{Action: 0, Seq: 1, LockWait: 80, Reduce: 200, Commit: 120, Total: 420, Fuel: 1000}

func BenchmarkSent(b *testing.B) {
	_, observer := open(b)
	hooks := observer.ModuleLoaded(counter)
	refused := accepted
	refused.Code = "rejected"
	b.Run("accepted", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			hooks.Sent(context.Background(), &accepted)
		}
	})
	b.Run("refused", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			hooks.Sent(context.Background(), &refused)
		}
	})
	for _, spread := range []int32{0, 1} {
		b.Run(fmt.Sprintf("parallel/spread=%d", spread), func(b *testing.B) {
			b.ReportAllocs()
			var goroutine atomic.Int32
			b.RunParallel(func(pb *testing.PB) {
				e := new(observe.Sent)
				*e = accepted
				e.Shard = int(goroutine.Add(1) * spread)
				for pb.Next() {
					hooks.Sent(context.Background(), e)
				}
			})
		})
	}
}

func ExampleNew() {
	metrics, err := prometheus.New(prometheus.Config{Registry: prom.NewRegistry()})
	if err != nil {
		panic(err)
	}
	hooks := metrics.Observer().ModuleLoaded(observe.Module{Tenant: "default", Name: "counter", Actions: []string{"increment"}})
	hooks.Sent(context.Background(), &observe.Sent{Action: 0, Seq: 1, Reduce: 200 * time.Nanosecond, Total: time.Microsecond})

	answer := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if strings.Contains(line, `actions_total{action="increment"`) {
			fmt.Print(line)
		}
	}
	// Output:
	// composable_rust_actions_total{action="increment",module="counter",outcome="accepted",tenant="default"} 1
	// composable_rust_actions_total{action="increment",module="counter",outcome="refused",tenant="default"} 0
}
