package prometheus

import (
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/crhost/crhost/host/observe"
)

// maxStripes bounds the cells of one action, about 700 bytes each.
const maxStripes = 16

// sends are the finished sends of one module. Metrics.mu guards it.
type sends struct {
	actions []*actionSends
}

// actionSends are the finished sends of one action type, spread over cells by shard.
type actionSends struct {
	typ   string
	cells []cell // a power of two
}

// cell is what the sends of one action add to on one shard.
type cell struct {
	refused, fuel            atomic.Int64
	reduce, lockWait, answer distribution // lockWait only of those that waited
	_                        [64]byte     // keeps the next shard's cell out of this one's cache lines
}

// action returns the sends of a type, new ones when the module never had it.
func (s *sends) action(typ string) *actionSends {
	if i := slices.IndexFunc(s.actions, func(a *actionSends) bool { return a.typ == typ }); i >= 0 {
		return s.actions[i]
	}
	a := &actionSends{typ: typ, cells: make([]cell, stripes())}
	s.actions = append(s.actions, a)
	return a
}

// stripes is over how many cells something is spread: a power of two.
func stripes() int {
	n := 1
	for n < min(runtime.GOMAXPROCS(0), maxStripes) {
		n *= 2
	}
	return n
}

func (a *actionSends) cell(shard int) *cell { return &a.cells[shard&(len(a.cells)-1)] }

func (c *cell) add(e *observe.Sent) {
	if e.Code != "" {
		c.refused.Add(1)
	}
	c.answer.add(e.Total)
	if e.Reduce == 0 {
		return // Refused before it came to a reduce: its waiting would count in the quantiles of those that did.
	}
	c.reduce.add(e.Reduce)
	if e.LockWait > 0 {
		c.lockWait.add(e.LockWait)
	}
	c.fuel.Add(max(e.Fuel, 0))
}

// sendCollector sums the cells of each loaded module when somebody scrapes.
type sendCollector struct {
	modules                                 func() []loadedModule
	actions, fuel, reduce, lockWait, answer *prom.Desc
}

func newSendCollector(prefix string, modules func() []loadedModule) *sendCollector {
	desc := func(name, help string, labels ...string) *prom.Desc {
		return prom.NewDesc(prefix+"_"+name, help, moduleLabels(labels), nil)
	}
	return &sendCollector{
		modules:  modules,
		actions:  desc("actions_total", "Finished sends, by action type and whether the action was accepted or refused.", "action", "outcome"),
		fuel:     desc("fuel_total", "Fuel that reduces used.", "action"),
		reduce:   desc("reducer_duration_seconds", "Time in the guest's reduce.", "action"),
		lockWait: desc("lock_wait_seconds", "Time that a send waited for its shard."),
		answer:   desc("send_duration_seconds", "Time from a send's start to its answer."),
	}
}

// Describe implements prom.Collector.
func (s *sendCollector) Describe(out chan<- *prom.Desc) {
	for _, desc := range []*prom.Desc{s.actions, s.fuel, s.reduce, s.lockWait, s.answer} {
		out <- desc
	}
}

// Collect implements prom.Collector.
func (s *sendCollector) Collect(out chan<- prom.Metric) {
	for _, m := range s.modules() {
		var lockWait, answer total
		for _, a := range m.actions {
			var refused, fuel int64
			var reduce, waited, answered total
			for i := range a.cells {
				c := &a.cells[i]
				refused += c.refused.Load()
				fuel += c.fuel.Load()
				reduce.include(&c.reduce)
				waited.include(&c.lockWait)
				answered.include(&c.answer)
			}
			// Sends go on while this reads: nothing derived may come out below zero.
			accepted := int64(answered.count()) - min(refused, int64(answered.count()))
			waited.buckets[0] += reduce.count() - min(waited.count(), reduce.count())
			lockWait.merge(&waited)
			answer.merge(&answered)
			count := func(desc *prom.Desc, n int64, labels ...string) {
				out <- prom.MustNewConstMetric(desc, prom.CounterValue, float64(n), append([]string{m.tenant, m.module, a.typ}, labels...)...)
			}
			count(s.actions, accepted, "accepted")
			count(s.actions, refused, "refused")
			count(s.fuel, fuel)
			out <- reduce.metric(s.reduce, m.tenant, m.module, a.typ)
		}
		out <- lockWait.metric(s.lockWait, m.tenant, m.module)
		out <- answer.metric(s.answer, m.tenant, m.module)
	}
}

// total is the sum of distributions.
type total struct {
	buckets [len(durationBounds) + 1]uint64
	sum     time.Duration
}

func (t *total) include(d *distribution) {
	for i := range d.buckets {
		t.buckets[i] += d.buckets[i].Load()
	}
	t.sum += time.Duration(d.sum.Load())
}

func (t *total) merge(other *total) {
	for i, n := range other.buckets {
		t.buckets[i] += n
	}
	t.sum += other.sum
}

func (t *total) count() uint64 {
	n := uint64(0)
	for _, k := range t.buckets {
		n += k
	}
	return n
}

func (t *total) metric(desc *prom.Desc, labels ...string) prom.Metric {
	cumulative := make(map[float64]uint64, len(durationBounds))
	count := uint64(0)
	for i, n := range t.buckets {
		count += n
		if i < len(durationBuckets) {
			cumulative[durationBuckets[i]] = count
		}
	}
	return prom.MustNewConstHistogram(desc, count, t.sum.Seconds(), cumulative, labels...)
}
