package otel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/observe/otel"
)

var (
	start  = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	module = observe.Module{Tenant: "default", Name: "counter", Actions: []string{"increment"}}
)

func provider() (*tracetest.InMemoryExporter, *sdktrace.TracerProvider) {
	exporter := tracetest.NewInMemoryExporter()
	return exporter, sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
}

// send reports one send, whose key, type and start are filled in.
func send(ctx context.Context, hooks *observe.ModuleHooks, e observe.Sent) context.Context {
	e.Key, e.ActionType, e.Cause, e.Start = "main", "increment", observe.CauseCommand, start
	ctx = hooks.SendStarted(ctx, &observe.SendStart{Key: e.Key, Action: e.Action, ActionType: e.ActionType, Cause: e.Cause, Start: start})
	hooks.Sent(ctx, &e)
	return ctx
}

func attributes(span tracetest.SpanStub) map[attribute.Key]any {
	all := make(map[attribute.Key]any)
	for _, kv := range span.Attributes {
		all[kv.Key] = kv.Value.AsInterface()
	}
	return all
}

func TestSend_accepted(t *testing.T) {
	exporter, provider := provider()
	hooks := otel.New(provider).ModuleLoaded(module)
	ctx, caller := provider.Tracer("test").Start(t.Context(), "caller")
	send(ctx, hooks, observe.Sent{
		Seq: 7, Revision: "r1", Fuel: 123, CorrelationID: "c-1",
		LockWait: 10 * time.Microsecond, Reduce: 20 * time.Microsecond, Commit: 30 * time.Microsecond, Total: 100 * time.Microsecond,
	})

	spans := exporter.GetSpans()
	require.Len(t, spans, 2)
	reduce, send := spans[0], spans[1]

	require.Equal(t, "store.send", send.Name)
	require.Equal(t, caller.SpanContext().SpanID(), send.Parent.SpanID())
	require.Equal(t, caller.SpanContext().TraceID(), send.SpanContext.TraceID())
	require.Equal(t, start, send.StartTime)
	require.Equal(t, start.Add(100*time.Microsecond), send.EndTime)
	require.Equal(t, codes.Unset, send.Status.Code)
	require.Equal(t, map[attribute.Key]any{
		"crhost.tenant": "default", "crhost.module": "counter", "crhost.store.key": "main", "crhost.action": "increment", "crhost.cause": "command",
		"crhost.correlation_id": "c-1", "crhost.seq": int64(7), "crhost.revision": "r1",
	}, attributes(send))

	require.Equal(t, "reducer.reduce", reduce.Name)
	require.Equal(t, send.SpanContext.SpanID(), reduce.Parent.SpanID())
	require.Equal(t, start.Add(10*time.Microsecond), reduce.StartTime)
	require.Equal(t, start.Add(30*time.Microsecond), reduce.EndTime)
	require.Equal(t, map[attribute.Key]any{
		"crhost.tenant": "default", "crhost.module": "counter", "crhost.action": "increment", "crhost.fuel": int64(123),
	}, attributes(reduce))
}

func TestSend_refused(t *testing.T) {
	for _, tc := range []struct {
		name string
		sent observe.Sent
		// want is the spans in the order of their ends.
		want   []string
		status codes.Code
		events int
	}{
		{"by the reducer", observe.Sent{Code: "rejected", Err: errors.New("too many"), Reduce: 5}, []string{"reducer.reduce", "store.send"}, codes.Unset, 0},
		{"before any reduce", observe.Sent{Code: "unknown_action", Err: errors.New("no such action")}, []string{"store.send"}, codes.Unset, 0},
		{"by a trap", observe.Sent{Code: "trapped", Err: errors.New("unreachable"), Reduce: 5}, []string{"reducer.reduce", "store.send"}, codes.Error, 1},
		{"by the journal", observe.Sent{Code: "batch_failed", Reduce: 5}, []string{"reducer.reduce", "store.send"}, codes.Error, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			exporter, provider := provider()
			hooks := otel.New(provider).ModuleLoaded(module)
			send(t.Context(), hooks, tc.sent)
			spans := exporter.GetSpans()
			var names []string
			for _, span := range spans {
				names = append(names, span.Name)
			}
			require.Equal(t, tc.want, names)
			send := spans[len(spans)-1]
			require.Equal(t, tc.status, send.Status.Code)
			require.Len(t, send.Events, tc.events)
			require.Equal(t, tc.sent.Code, attributes(send)["crhost.code"])
			require.NotContains(t, attributes(send), otel.KeySeq)
		})
	}
}

// Every code is either an answer or a failure, and this table says which.
func TestSend_statusOfEachCode(t *testing.T) {
	answers := []abi.Code{
		"rejected", "bad_action", "malformed", "too_large", "unknown_action", "internal_action", "bad_address", "bad_request", "not_found", "never", "canceled",
	}
	for _, code := range abi.Codes() {
		exporter, provider := provider()
		send(t.Context(), otel.New(provider).ModuleLoaded(module), observe.Sent{Code: string(code)})
		want := codes.Error
		if slices.Contains(answers, code) {
			want = codes.Unset
		}
		require.Equal(t, want, exporter.GetSpans()[0].Status.Code, code)
	}
}

// A send made inside another, with its context, is the other's child and ends only itself.
func TestSend_nested(t *testing.T) {
	exporter, provider := provider()
	hooks := otel.New(provider).ModuleLoaded(module)
	outer := hooks.SendStarted(t.Context(), &observe.SendStart{Start: start})
	send(outer, hooks, observe.Sent{Seq: 1})
	require.Len(t, exporter.GetSpans(), 1)
	hooks.Sent(outer, &observe.Sent{Start: start, Seq: 2})
	spans := exporter.GetSpans()
	require.Len(t, spans, 2)
	require.Equal(t, spans[1].SpanContext.SpanID(), spans[0].Parent.SpanID())
}

// A trace that the caller did not sample stays unsampled and still passes its ids on.
func TestSend_unsampled(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	hooks := otel.New(provider).ModuleLoaded(module)
	caller := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := send(trace.ContextWithRemoteSpanContext(t.Context(), caller), hooks, observe.Sent{Seq: 1, Reduce: 5})
	require.Empty(t, exporter.GetSpans())
	require.Equal(t, trace.TraceID{1}, trace.SpanContextFromContext(ctx).TraceID())
}

func BenchmarkSend(b *testing.B) {
	discard := sdktrace.NewTracerProvider()
	discard.RegisterSpanProcessor(drop{})
	for _, bc := range []struct {
		name     string
		provider trace.TracerProvider
	}{
		{"provider=noop", noop.NewTracerProvider()},
		{"provider=unsampled", sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))},
		{"provider=recording", discard},
	} {
		b.Run(bc.name, func(b *testing.B) {
			hooks := otel.New(bc.provider).ModuleLoaded(module)
			b.ReportAllocs()
			for b.Loop() {
				send(b.Context(), hooks, observe.Sent{Seq: 1, Reduce: 200, Total: 420})
			}
		})
	}
}

// drop makes a provider record spans without exporting them.
type drop struct{}

func (drop) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (drop) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (drop) Shutdown(context.Context) error                  { return nil }
func (drop) ForceFlush(context.Context) error                { return nil }

func ExampleNew() {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	hooks := otel.New(provider).ModuleLoaded(observe.Module{Tenant: "default", Name: "counter"})

	ctx := hooks.SendStarted(context.Background(), &observe.SendStart{Key: "main", ActionType: "increment", Start: start})
	hooks.Sent(ctx, &observe.Sent{Seq: 1, Start: start, LockWait: 80, Reduce: 200, Total: 420})
	for _, span := range exporter.GetSpans() {
		fmt.Println(span.Name, span.EndTime.Sub(span.StartTime))
	}
	// Output:
	// reducer.reduce 200ns
	// store.send 420ns
}
