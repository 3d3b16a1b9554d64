package host

import (
	"context"
	"net/http"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
)

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
