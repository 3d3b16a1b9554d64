package otel_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/observe/otel"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	spanID      = "b7ad6b7169203331"
	traceparent = "00-" + traceID + "-" + spanID + "-01"
)

// perform reports one attempt, which takes a second.
func perform(ctx context.Context, hooks *observe.ModuleHooks, l observe.Leaf, outcome string, err error) context.Context {
	s := observe.EffectStart{Leaf: l, Attempt: 3, Start: start}
	ctx = hooks.EffectStarted(ctx, &s)
	hooks.Performed(ctx, &observe.Performed{EffectStart: s, Duration: time.Second, Outcome: outcome, Err: err})
	return ctx
}

func TestEffect(t *testing.T) {
	down := errors.New("down")
	for _, tc := range []struct {
		kind, outcome string
		err           error
		inner         string
		spanKind      trace.SpanKind
		status        codes.Code
	}{
		{"call", observe.OutcomeDone, nil, "", trace.SpanKindClient, codes.Unset},
		{"call", observe.OutcomeFailed, down, "", trace.SpanKindClient, codes.Error},
		{"dispatch", observe.OutcomeCanceled, down, "", trace.SpanKindInternal, codes.Unset},
		{"append", observe.OutcomeDone, nil, "event_store.append", trace.SpanKindInternal, codes.Unset},
		{"publish", observe.OutcomeDead, down, "event_bus.publish", trace.SpanKindInternal, codes.Error},
	} {
		t.Run(tc.kind+" "+tc.outcome, func(t *testing.T) {
			exporter, provider := provider()
			hooks := otel.New(provider).ModuleLoaded(module)
			leaf := observe.Leaf{Key: "main", Seq: 7, Index: 2, KindName: tc.kind, Target: "peer", Drive: 4, Trace: traceparent}
			ctx := perform(t.Context(), hooks, leaf, tc.outcome, tc.err)

			spans := exporter.GetSpans()
			execute := spans[len(spans)-1]
			require.Equal(t, "effect.execute", execute.Name)
			require.Equal(t, traceID, execute.SpanContext.TraceID().String())
			require.Equal(t, spanID, execute.Parent.SpanID().String())
			require.True(t, execute.Parent.IsRemote())
			require.Equal(t, time.Second, execute.EndTime.Sub(execute.StartTime))
			require.Equal(t, tc.spanKind, execute.SpanKind)
			require.Equal(t, tc.status, execute.Status.Code)
			require.Equal(t, map[attribute.Key]any{
				"crhost.tenant": "default", "crhost.module": "counter", "crhost.store.key": "main", "crhost.seq": int64(7), "crhost.effect.leaf": int64(2),
				"crhost.effect.kind": tc.kind, "crhost.effect.target": "peer", "crhost.effect.drive": int64(4), "crhost.effect.attempt": int64(3),
				"crhost.effect.outcome": tc.outcome,
			}, attributes(execute))
			if tc.inner == "" {
				require.Len(t, spans, 1)
			} else {
				require.Len(t, spans, 2)
				inner := spans[0]
				require.Equal(t, tc.inner, inner.Name)
				require.Equal(t, execute.SpanContext.SpanID(), inner.Parent.SpanID())
				require.Equal(t, tc.status, inner.Status.Code)
				require.Equal(t, map[attribute.Key]any{"crhost.tenant": "default", "crhost.module": "counter", "crhost.effect.target": "peer"}, attributes(inner))
			}

			// What it feeds back is its child, whatever trace the action had.
			exporter.Reset()
			ctx = hooks.SendStarted(ctx, &observe.SendStart{Cause: observe.CauseFeedback, Trace: traceparent, Start: start})
			hooks.Sent(ctx, &observe.Sent{Start: start, Seq: 8})
			require.Equal(t, execute.SpanContext.SpanID(), exporter.GetSpans()[0].Parent.SpanID())
			require.Equal(t, "feedback", attributes(exporter.GetSpans()[0])["crhost.cause"])
		})
	}
}

// A span that comes without a context is a child of the span that its traceparent names; without either it begins a trace.
func TestSend_resumes(t *testing.T) {
	exporter, provider := provider()
	hooks := otel.New(provider).ModuleLoaded(module)
	for _, tc := range []struct{ name, trace, parent string }{
		{"traced", traceparent, spanID},
		{"not traced", "", trace.SpanID{}.String()},
		{"malformed", "00-junk", trace.SpanID{}.String()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			exporter.Reset()
			ctx := hooks.SendStarted(t.Context(), &observe.SendStart{Trace: tc.trace, Start: start})
			hooks.Sent(ctx, &observe.Sent{Start: start, Seq: 8})
			require.Equal(t, tc.parent, exporter.GetSpans()[0].Parent.SpanID().String())
		})
	}
}

// An attempt in a trace that was not sampled makes no spans, and passes the decision on.
func TestEffect_unsampled(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	hooks := otel.New(provider).ModuleLoaded(module)
	ctx := perform(t.Context(), hooks, observe.Leaf{KindName: "append", Trace: "00-" + traceID + "-" + spanID + "-00"}, observe.OutcomeDone, nil)
	require.Empty(t, exporter.GetSpans())
	require.Regexp(t, "^00-"+traceID+"-[0-9a-f]{16}-00$", otel.Traceparent(ctx))
}

func TestTraceparent(t *testing.T) {
	require.Empty(t, otel.Traceparent(t.Context()))
	_, provider := provider()
	ctx, span := provider.Tracer("test").Start(t.Context(), "caller")
	require.Equal(t, "00-"+span.SpanContext().TraceID().String()+"-"+span.SpanContext().SpanID().String()+"-01", otel.Traceparent(ctx))
}
