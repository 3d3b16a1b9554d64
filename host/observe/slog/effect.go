package slog

import (
	"context"
	"log/slog"
	"strings"

	"github.com/crhost/crhost/host/observe"
)

// performed writes of attempts that failed.
func (l lines) performed(ctx context.Context, e *observe.Performed) {
	if e.Err == nil || e.Outcome == observe.OutcomeCanceled {
		return
	}
	l.writeIn(ctx, slog.LevelWarn, "effect", leaf(&e.Leaf,
		slog.Int("attempt", e.Attempt), text("outcome", e.Outcome), slog.Duration("duration", e.Duration), text("error", e.Err.Error()))...)
}

func (l lines) buried(e *observe.Buried) {
	attrs := []slog.Attr{text("reason", e.Reason), slog.Bool("fed", e.Fed)}
	if e.Err != "" {
		attrs = append(attrs, text("error", e.Err))
	}
	if e.Lost {
		attrs = append(attrs, slog.Bool("lost", true))
	}
	l.write(slog.LevelError, "dead letter", leaf(&e.Leaf, attrs...)...)
}

func (l lines) redriven(e *observe.Redriven) {
	message := "dead letter redriven"
	if e.Discarded {
		message = "dead letter discarded"
	}
	l.write(slog.LevelInfo, message, leaf(&e.Leaf, text("reason", e.Reason))...)
}

func (l lines) breakerChanged(e observe.BreakerChanged) {
	level := slog.LevelInfo
	if e.To == observe.BreakerOpen {
		level = slog.LevelWarn
	}
	l.write(level, "breaker", text("tenant", e.Tenant), text("target", e.Target), text("was", e.From), text("state", e.To), slog.Bool("manual", e.Manual))
}

// leaf is what every line about a leaf begins with, and attrs.
func leaf(e *observe.Leaf, attrs ...slog.Attr) []slog.Attr {
	all := []slog.Attr{
		text("key", e.Key), slog.Uint64("seq", e.Seq), slog.Int("leaf", e.Index), text("target", e.KindName+"="+e.Target), slog.Int("drive", e.Drive),
	}
	return append(traced(e.Trace, all), attrs...)
}

// traced adds the id of the trace of a traceparent, if there is one.
func traced(traceparent string, attrs []slog.Attr) []slog.Attr {
	if parts := strings.Split(traceparent, "-"); len(parts) > 1 { // version, trace, span, flags
		attrs = append(attrs, text("trace_id", parts[1]))
	}
	return attrs
}
