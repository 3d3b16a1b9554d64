package host

import (
	"context"
	"net/http"
	"time"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/outbox"
)

// attempting tells the hooks of a leaf's module of an attempt that begins. It goes on with the context that this returns.
func (h *Host) attempting(ctx context.Context, l *ledger.Leaf, attempt int) context.Context {
	m, err := h.registry.Find(moduleOf(l.Store))
	if err != nil {
		return ctx
	}
	started := m.Place(l.Store.Key).Hooks().EffectStarted
	if started == nil {
		return ctx
	}
	return started(ctx, &observe.EffectStart{Leaf: m.Describe(l), Attempt: attempt, Start: time.Now()})
}

// performed counts an attempt that has ended, and tells the hooks of the leaf's module.
func (h *Host) performed(p *outbox.Performed) {
	if !p.Canceled {
		h.failures.add(moduleOf(p.Leaf.Store), p.Err != nil)
	}
	m, err := h.registry.Find(moduleOf(p.Leaf.Store))
	if err != nil {
		return
	}
	place := m.Place(p.Leaf.Store.Key)
	place.Performed(p.Leaf.Store.Key, p.Took, p.Err != nil && !p.Canceled)
	hook := place.Hooks().Performed
	if hook == nil {
		return
	}
	e := &observe.Performed{
		EffectStart: observe.EffectStart{Leaf: m.Describe(p.Leaf), Attempt: p.Attempt, Start: p.Started},
		Duration:    p.Took, Outcome: observe.OutcomeDone, Err: p.Err,
	}
	switch {
	case p.Canceled:
		e.Outcome = observe.OutcomeCanceled
	case p.Err == nil:
	case p.GivenUp:
		e.Outcome = observe.OutcomeDead
	default:
		e.Outcome = observe.OutcomeFailed
	}
	hook(p.Context, e)
}

// leaves adds the gauges of a module's leaves.
func (h *Host) leaves(id journal.ModuleID, s *observe.ModuleStats) {
	o := h.outbox.Stats(id)
	s.OpenLeaves, s.RunningLeaves, s.TimedLeaves, s.ParkedLeaves = o.Tasks, o.Running, o.Timed, o.Parked
}

// traced passes a trace on to peers.
func traced(traceparent func(context.Context) string) func(context.Context, http.Header) {
	if traceparent == nil {
		return nil
	}
	return func(ctx context.Context, headers http.Header) {
		if trace := traceparent(ctx); trace != "" {
			headers.Set("Traceparent", trace)
		}
	}
}
