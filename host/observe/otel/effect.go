package otel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/observe"
)

// attempts makes the spans of one module's attempts at leaves.
type attempts struct {
	tracer trace.Tracer
	module []attribute.KeyValue
}

func (a *attempts) started(ctx context.Context, e *observe.EffectStart) context.Context {
	kind := trace.SpanKindInternal
	if e.KindName == string(abi.KindCall) {
		kind = trace.SpanKindClient
	}
	ctx, span := a.tracer.Start(resume(ctx, e.Trace), "effect.execute", trace.WithTimestamp(e.Start), trace.WithSpanKind(kind))
	if span.IsRecording() {
		span.SetAttributes(a.module...)
		span.SetAttributes(
			KeyStoreKey.String(e.Key), KeySeq.Int64(int64(e.Seq)), KeyLeaf.Int(e.Index), KeyKind.String(e.KindName), KeyTarget.String(e.Target),
			KeyDrive.Int(e.Drive), KeyAttempt.Int(e.Attempt),
		)
	}
	return ctx
}

func (a *attempts) performed(ctx context.Context, e *observe.Performed) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		span.End()
		return
	}
	end := e.Start.Add(e.Duration)
	switch abi.Kind(e.KindName) {
	case abi.KindAppend:
		a.inner(ctx, "event_store.append", trace.SpanKindClient, e)
	case abi.KindPublish:
		a.inner(ctx, "event_bus.publish", trace.SpanKindProducer, e)
	}
	span.SetAttributes(KeyOutcome.String(e.Outcome))
	fail(span, e)
	span.End(trace.WithTimestamp(end))
}

// inner makes the span of the one thing that an attempt consisted of.
func (a *attempts) inner(ctx context.Context, name string, kind trace.SpanKind, e *observe.Performed) {
	_, span := a.tracer.Start(ctx, name, trace.WithTimestamp(e.Start), trace.WithSpanKind(kind))
	span.SetAttributes(a.module...)
	span.SetAttributes(KeyTarget.String(e.Target))
	fail(span, e)
	span.End(trace.WithTimestamp(e.Start.Add(e.Duration)))
}

// fail marks the span of an attempt that failed. One that was cancelled did not.
func fail(span trace.Span, e *observe.Performed) {
	if e.Err == nil || e.Outcome == observe.OutcomeCanceled {
		return
	}
	span.SetStatus(codes.Error, e.Outcome)
	span.RecordError(e.Err, trace.WithTimestamp(e.Start.Add(e.Duration)))
}
