package prometheus

import (
	"context"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/crhost/crhost/host/observe"
)

// module holds the handles of one loaded module.
type module struct {
	stats func() observe.ModuleStats // nil when the module has no gauges

	commits *commits
	actions []*actionSends // by index in the manifest; one more for the types that it does not know
	kinds   []kind         // likewise for effect kinds

	rebuildDuration, swapPause  prom.Observer
	replayed, resumes, logLines prom.Counter
	gaps, gapActions            prom.Counter
	replays                     prom.Counter
	lost, redriven, discarded   prom.Counter
	feedbackRefused             prom.Counter
	buried                      map[string]prom.Counter // by reason; those that the host does not have are under other

	refusals, rebuilds, traps, halts *words
}

type kind struct {
	attempts, failures, retries prom.Counter
	duration                    prom.Observer
}

func newModule(f *families, shared *loads, described observe.Module) *module {
	tenant, name := described.Tenant, described.Name
	m := &module{
		stats:   described.Stats,
		commits: shared.commits,

		rebuildDuration: f.rebuildDuration.WithLabelValues(tenant, name),
		swapPause:       f.swapPause.WithLabelValues(tenant, name),
		replayed:        f.replayed.WithLabelValues(tenant, name),
		resumes:         f.resumes.WithLabelValues(tenant, name),
		logLines:        f.logLines.WithLabelValues(tenant, name),
		gaps:            f.gaps.WithLabelValues(tenant, name),
		gapActions:      f.gapActions.WithLabelValues(tenant, name),
		replays:         f.replays.WithLabelValues(tenant, name),
		redriven:        f.redriven.WithLabelValues(tenant, name),
		lost:            f.lost.WithLabelValues(tenant, name),
		discarded:       f.discarded.WithLabelValues(tenant, name),
		feedbackRefused: f.refused.WithLabelValues(tenant, name),
		buried:          make(map[string]prom.Counter),

		refusals: newWords(f.refusals, tenant, name),
		rebuilds: newWords(f.rebuilds, tenant, name),
		traps:    newWords(f.traps, tenant, name),
		halts:    newWords(f.halts, tenant, name),
	}
	for _, typ := range withUnknown(described.Actions) {
		m.actions = append(m.actions, shared.sends.action(typ))
	}
	for _, k := range withUnknown(described.EffectKinds) {
		m.kinds = append(m.kinds, kind{
			attempts: f.effects.WithLabelValues(tenant, name, k),
			failures: f.effectFailures.WithLabelValues(tenant, name, k),
			retries:  f.effectRetries.WithLabelValues(tenant, name, k),
			duration: f.effectDuration.WithLabelValues(tenant, name, k),
		})
	}
	for _, reason := range append(observe.Reasons(), other) {
		m.buried[reason] = f.buried.WithLabelValues(tenant, name, reason)
	}
	return m
}

// withUnknown returns the names of a manifest and one for all others, at the end.
func withUnknown(names []string) []string {
	return append(names[:len(names):len(names)], unknown)
}

// at returns the handles of index i, those of the unknown when i is not an index of the manifest.
func at[T any](handles []T, i int) T {
	if uint(i) >= uint(len(handles)) {
		i = len(handles) - 1
	}
	return handles[i]
}

func (m *module) hooks(unloaded func()) *observe.ModuleHooks {
	return &observe.ModuleHooks{
		Sent:      m.sent,
		Committed: m.commits.add,
		Rebuilt:   m.rebuilt,
		Trapped:   func(e *observe.Trapped) { m.traps.inc(e.Cause) },
		Halted:    m.halted,
		Gap:       m.gap,
		Swapped:   func(e *observe.Swapped) { m.swapPause.Observe(e.Pause.Seconds()) },
		Performed: m.performed,
		Buried:    m.bury,
		Redriven:  m.redrive,
		Log:       func(*observe.GuestLog) { m.logLines.Inc() },
		Unloaded:  unloaded,
	}
}

// canceled is the code of what nobody waits for any more, such as the feedback of a leaf that was cancelled.
const canceled = "canceled"

func (m *module) sent(_ context.Context, e *observe.Sent) {
	if e.Replayed {
		m.replays.Inc()
		return
	}
	at(m.actions, e.Action).cell(e.Shard).add(e)
	if e.Code == "" {
		return
	}
	m.refusals.inc(e.Code)
	if (e.Cause == observe.CauseFeedback || e.Cause == observe.CauseTimer) && e.Code != canceled {
		m.feedbackRefused.Inc()
	}
}

func (m *module) rebuilt(e *observe.Rebuilt) {
	m.rebuilds.inc(e.Cause)
	m.rebuildDuration.Observe(e.Duration.Seconds())
	m.replayed.Add(float64(e.Replayed))
}

func (m *module) halted(e *observe.Halted) {
	if e.Resumed {
		m.resumes.Inc()
		return
	}
	m.halts.inc(e.Code)
}

func (m *module) gap(e *observe.Gap) {
	m.gaps.Inc()
	m.gapActions.Add(float64(e.To - e.From + 1))
}

func (m *module) performed(_ context.Context, e *observe.Performed) {
	k := at(m.kinds, e.Kind)
	k.attempts.Inc()
	if e.Attempt > 1 {
		k.retries.Inc()
	}
	if e.Outcome == observe.OutcomeFailed || e.Outcome == observe.OutcomeDead {
		k.failures.Inc()
	}
	k.duration.Observe(e.Duration.Seconds())
}

func (m *module) bury(e *observe.Buried) {
	if e.Lost {
		m.lost.Inc()
		return
	}
	counter := m.buried[e.Reason]
	if counter == nil {
		counter = m.buried[other]
	}
	counter.Inc()
}

func (m *module) redrive(e *observe.Redriven) {
	if e.Discarded {
		m.discarded.Inc()
		return
	}
	m.redriven.Inc()
}
