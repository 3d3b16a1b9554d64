package slog

import (
	"context"
	"log/slog"

	"github.com/crhost/crhost/host/observe"
)

// New returns an observer that writes to logger. REQUIRES: logger is not nil.
func New(logger *slog.Logger) *observe.Observer {
	l := lines{logger}
	return &observe.Observer{ModuleLoaded: l.moduleLoaded, Deployed: l.deployed, Compiled: l.compiled, BreakerChanged: l.breakerChanged}
}

// lines writes the lines of a host, or with a module's name in each, those of a module.
type lines struct {
	logger *slog.Logger
}

func (l lines) write(level slog.Level, message string, attrs ...slog.Attr) {
	l.writeIn(context.Background(), level, message, attrs...)
}

// writeIn hands the handler a context, whose trace some put into their lines.
func (l lines) writeIn(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	l.logger.LogAttrs(ctx, level, message, attrs...)
}

func (l lines) deployed(e observe.Deployed) {
	level := slog.LevelInfo
	if e.Err != nil {
		level = slog.LevelWarn
	}
	l.write(level, "deploy", with(e.Err, text("tenant", e.Tenant), text("module", e.Module), text("revision", e.Revision), text("digest", e.Digest),
		text("outcome", e.Outcome), slog.Duration("duration", e.Duration))...)
}

func (l lines) compiled(e observe.Compiled) {
	level := slog.LevelInfo
	switch {
	case e.Err != nil:
		level = slog.LevelWarn
	case e.Cached:
		level = slog.LevelDebug
	}
	l.write(level, "compile", with(e.Err, text("digest", e.Digest), slog.Int("bytes", e.Bytes), slog.Int("metered_bytes", e.MeteredBytes),
		slog.Bool("cached", e.Cached), slog.Duration("duration", e.Duration))...)
}

func (l lines) moduleLoaded(m observe.Module) *observe.ModuleHooks {
	l = lines{l.logger.With(text("tenant", m.Tenant), text("module", m.Name))}
	l.write(slog.LevelInfo, "module loaded", slog.Int("actions", len(m.Actions)))
	hooks := &observe.ModuleHooks{
		Committed: l.committed,
		Trapped:   l.trapped,
		Halted:    l.halted,
		Gap:       l.gap,
		Performed: l.performed,
		Buried:    l.buried,
		Redriven:  l.redriven,
		Log:       l.guestLog,
		Unloaded:  func() { l.write(slog.LevelInfo, "module unloaded") },
	}
	if l.logger.Enabled(context.Background(), slog.LevelDebug) {
		hooks.Sent, hooks.Rebuilt, hooks.Swapped = l.sent, l.rebuilt, l.swapped
	}
	return hooks
}

func (l lines) sent(ctx context.Context, e *observe.Sent) {
	attrs := []slog.Attr{
		text("key", e.Key), text("action", e.ActionType), text("cause", e.Cause), slog.Duration("duration", e.Total),
		slog.Duration("lock_wait", e.LockWait), slog.Duration("reduce", e.Reduce), slog.Duration("commit", e.Commit), slog.Int64("fuel", e.Fuel),
	}
	if e.CorrelationID != "" {
		attrs = append(attrs, text("correlation_id", e.CorrelationID))
	}
	if e.Code == "" {
		attrs = append(attrs, slog.Uint64("seq", e.Seq), text("revision", e.Revision))
	} else {
		attrs = with(e.Err, append(attrs, text("code", e.Code))...)
	}
	l.writeIn(ctx, slog.LevelDebug, "send", attrs...)
}

func (l lines) committed(e *observe.Committed) {
	if e.Err == nil {
		return
	}
	l.write(slog.LevelError, "commit", with(e.Err, slog.Int("actions", e.Actions), slog.Int("bytes", e.Bytes), slog.Uint64("lag", e.Lag),
		slog.Duration("duration", e.Latency))...)
}

func (l lines) rebuilt(e *observe.Rebuilt) {
	l.write(slog.LevelDebug, "rebuild", text("key", e.Key), text("cause", e.Cause), slog.Int("replayed", e.Replayed), slog.Duration("duration", e.Duration))
}

func (l lines) trapped(e *observe.Trapped) {
	attrs := []slog.Attr{text("key", e.Key), text("cause", e.Cause), text("message", e.Message), slog.Int64("fuel", e.Fuel)}
	l.write(slog.LevelWarn, "trap", traced(e.Trace, attrs)...)
}

func (l lines) halted(e *observe.Halted) {
	level, message := slog.LevelError, "store halted"
	if e.Resumed {
		level, message = slog.LevelInfo, "store resumed"
	}
	l.write(level, message, text("key", e.Key), text("code", e.Code), text("reason", e.Reason))
}

func (l lines) gap(e *observe.Gap) {
	l.write(slog.LevelWarn, "subscriber gap", text("key", e.Key), slog.Uint64("from", e.From), slog.Uint64("to", e.To))
}

func (l lines) swapped(e *observe.Swapped) {
	l.write(slog.LevelDebug, "swap", slog.Int("shard", e.Shard), text("revision", e.Revision), slog.Duration("duration", e.Pause))
}

func (l lines) guestLog(e *observe.GuestLog) {
	level := slog.LevelDebug + slog.Level(4*min(max(e.Level, 0), 3)) // slog's levels lie four apart, from debug to error
	l.write(level, "guest log", text("key", e.Key), text("text", e.Text))
}

// with adds an error to attributes, if there is one.
func with(err error, attrs ...slog.Attr) []slog.Attr {
	if err == nil {
		return attrs
	}
	return append(attrs, text("error", err.Error()))
}
