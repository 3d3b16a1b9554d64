package otel

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/observe"
)

// Keys of attributes.
const (
	KeyTenant        = attribute.Key("crhost.tenant")
	KeyModule        = attribute.Key("crhost.module")
	KeyStoreKey      = attribute.Key("crhost.store.key")
	KeyAction        = attribute.Key("crhost.action")
	KeyCorrelationID = attribute.Key("crhost.correlation_id")
	KeySeq           = attribute.Key("crhost.seq")
	KeyRevision      = attribute.Key("crhost.revision")
	KeyCode          = attribute.Key("crhost.code")
	KeyFuel          = attribute.Key("crhost.fuel")
	KeyCause         = attribute.Key("crhost.cause")
	KeyLeaf          = attribute.Key("crhost.effect.leaf")
	KeyKind          = attribute.Key("crhost.effect.kind")
	KeyTarget        = attribute.Key("crhost.effect.target")
	KeyDrive         = attribute.Key("crhost.effect.drive")
	KeyAttempt       = attribute.Key("crhost.effect.attempt")
	KeyOutcome       = attribute.Key("crhost.effect.outcome")
)

// scope names the instrumentation in each span.
const scope = "github.com/crhost/crhost/host/observe/otel"

// New returns an observer that makes spans with the given provider. REQUIRES: provider is not nil.
func New(provider trace.TracerProvider) *observe.Observer {
	tracer := provider.Tracer(scope)
	return &observe.Observer{
		ModuleLoaded: func(m observe.Module) *observe.ModuleHooks {
			module := []attribute.KeyValue{KeyTenant.String(m.Tenant), KeyModule.String(m.Name)}
			s, e := sends{tracer, module}, attempts{tracer, module}
			return &observe.ModuleHooks{SendStarted: s.started, Sent: s.sent, EffectStarted: e.started, Performed: e.performed}
		},
		Traceparent: Traceparent,
	}
}

// header is the name of the field that carries a trace.
const header = "traceparent"

// Traceparent is the W3C traceparent of the span in ctx, empty when there is none.
func Traceparent(ctx context.Context) string {
	carrier := make(propagation.MapCarrier, 2)
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

// resume returns ctx with the span of a traceparent as its remote one, unless it has a span already.
func resume(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" || trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: traceparent})
}

// answers are the refusals that are no failure of the host or the guest: the action was wrong, or the caller went away.
var answers = []abi.Code{
	abi.CodeRejected, abi.CodeBadAction, abi.CodeMalformed, abi.CodeTooLarge, abi.CodeUnknownAction, abi.CodeInternalAction,
	abi.CodeBadAddress, abi.CodeBadRequest, abi.CodeNotFound, abi.CodeNever, abi.CodeCanceled,
}

// sends makes the spans of one module's sends.
type sends struct {
	tracer trace.Tracer
	module []attribute.KeyValue
}

func (s *sends) started(ctx context.Context, e *observe.SendStart) context.Context {
	ctx, span := s.tracer.Start(resume(ctx, e.Trace), "store.send", trace.WithTimestamp(e.Start))
	if span.IsRecording() {
		span.SetAttributes(s.module...)
		span.SetAttributes(KeyStoreKey.String(e.Key), KeyAction.String(e.ActionType), KeyCause.String(e.Cause))
	}
	return ctx
}

func (s *sends) sent(ctx context.Context, e *observe.Sent) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		span.End()
		return
	}
	if e.Reduce > 0 {
		s.reduced(ctx, e)
	}
	end := e.Start.Add(e.Total)
	if e.CorrelationID != "" {
		span.SetAttributes(KeyCorrelationID.String(e.CorrelationID))
	}
	if e.Code == "" {
		span.SetAttributes(KeySeq.Int64(int64(e.Seq)), KeyRevision.String(e.Revision))
	} else {
		span.SetAttributes(KeyCode.String(e.Code))
		if !slices.Contains(answers, abi.Code(e.Code)) {
			span.SetStatus(codes.Error, e.Code)
			if e.Err != nil {
				span.RecordError(e.Err, trace.WithTimestamp(end))
			}
		}
	}
	span.End(trace.WithTimestamp(end))
}

// reduced makes the span of the guest's part of a send, which lies between waiting for the shard and waiting for the journal.
func (s *sends) reduced(ctx context.Context, e *observe.Sent) {
	start := e.Start.Add(e.LockWait)
	_, span := s.tracer.Start(ctx, "reducer.reduce", trace.WithTimestamp(start))
	span.SetAttributes(s.module...)
	span.SetAttributes(KeyAction.String(e.ActionType), KeyFuel.Int64(e.Fuel))
	span.End(trace.WithTimestamp(start.Add(e.Reduce)))
}
