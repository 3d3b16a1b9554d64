package observe_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/observe/otel"
	"github.com/crhost/crhost/host/observe/prometheus"
	observeslog "github.com/crhost/crhost/host/observe/slog"
)

// report is what a host does for one send: it looks for hooks first, and reads no clock when there are none.
func report(ctx context.Context, hooks *observe.ModuleHooks, e *observe.Sent, start *observe.SendStart) {
	if hooks == nil {
		return
	}
	if hooks.SendStarted != nil {
		start.Key, start.Action, start.ActionType, start.Start = e.Key, e.Action, e.ActionType, e.Start
		ctx = hooks.SendStarted(ctx, start)
	}
	if hooks.Sent != nil {
		hooks.Sent(ctx, e)
	}
}

// What one send costs, per observer, without the clock reads that the host makes for all of them.
func BenchmarkSend(b *testing.B) {
	metrics, err := prometheus.New(prometheus.Config{})
	require.NoError(b, err)
	spans := otel.New(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.TraceIDRatioBased(0.01))))
	logs := func(level slog.Level) *observe.Observer {
		return observeslog.New(slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: level})))
	}
	for _, bc := range []struct {
		name     string
		observer *observe.Observer
	}{
		{"none", nil},
		{"empty", &observe.Observer{}},
		{"prometheus", metrics.Observer()},
		{"slog=info", logs(slog.LevelInfo)},
		{"slog=debug", logs(slog.LevelDebug)},
		{"otel=1%", spans},
		{"prometheus+slog=info", observe.Tee(metrics.Observer(), logs(slog.LevelInfo))},
		{"prometheus+slog=info+otel=1%", observe.Tee(metrics.Observer(), logs(slog.LevelInfo), spans)},
	} {
		b.Run("observer="+bc.name, func(b *testing.B) {
			var hooks *observe.ModuleHooks
			if bc.observer != nil && bc.observer.ModuleLoaded != nil {
				hooks = bc.observer.ModuleLoaded(observe.Module{Tenant: "default", Name: "counter", Actions: []string{"increment"}})
			}
			e := &observe.Sent{
				Key: "main", ActionType: "increment", Seq: 1, Revision: "r1", Start: time.Now(),
				LockWait: 80, Reduce: 200, Commit: 120, Total: 420, Fuel: 1000,
			}
			start := new(observe.SendStart)
			b.ReportAllocs()
			for b.Loop() {
				report(context.Background(), hooks, e, start)
			}
		})
	}
}

// With metrics and logs, and of course with nobody, a send allocates nothing.
func TestSend_allocatesNothing(t *testing.T) {
	metrics, err := prometheus.New(prometheus.Config{})
	require.NoError(t, err)
	both := observe.Tee(metrics.Observer(), observeslog.New(slog.New(slog.DiscardHandler)))
	start := new(observe.SendStart)
	for _, hooks := range []*observe.ModuleHooks{nil, {}, both.ModuleLoaded(observe.Module{Actions: []string{"increment"}})} {
		e := &observe.Sent{Seq: 1, Reduce: 200, Total: 420}
		require.Zero(t, testing.AllocsPerRun(100, func() { report(context.Background(), hooks, e, start) }))
	}
}
