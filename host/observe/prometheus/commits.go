package prometheus

import (
	"math/bits"
	"sync/atomic"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/crhost/crhost/host/observe"
)

// countBounds are the upper ends of the buckets of batches: 1, 2, 4, ... actions. There may be a batch for each action, so that batches are counted
// in cells like sends.
const countBounds = 14

// commits are the batches of one module, spread over cells by shard.
type commits struct {
	cells []commitCell // a power of two
}

type commitCell struct {
	failures, bytes, actions atomic.Int64
	latency                  distribution
	sizes                    [countBounds + 1]atomic.Uint64
	_                        [64]byte // as in cell
}

func newCommits() *commits { return &commits{cells: make([]commitCell, stripes())} }

func (c *commits) add(e *observe.Committed) {
	cell := &c.cells[e.Shard&(len(c.cells)-1)]
	if e.Err != nil {
		cell.failures.Add(1)
		return
	}
	cell.bytes.Add(int64(e.Bytes))
	cell.actions.Add(int64(e.Actions))
	cell.latency.add(e.Latency)
	cell.sizes[min(bits.Len(uint(max(e.Actions, 1)-1)), countBounds)].Add(1)
}

// commitCollector sums the cells of each loaded module when somebody scrapes.
type commitCollector struct {
	modules                           func() []loadedModule
	latency, actions, bytes, failures *prom.Desc
}

func newCommitCollector(prefix string, modules func() []loadedModule) *commitCollector {
	desc := func(name, help string) *prom.Desc {
		return prom.NewDesc(prefix+"_"+name, help, moduleLabels(nil), nil)
	}
	return &commitCollector{
		modules:  modules,
		latency:  desc("commit_latency_seconds", "Time until a batch of records was durable."),
		actions:  desc("commit_batch_actions", "Actions in a batch of records."),
		bytes:    desc("commit_bytes_total", "Bytes of durable records."),
		failures: desc("commit_failures_total", "Batches that did not become durable."),
	}
}

// Describe implements prom.Collector.
func (c *commitCollector) Describe(out chan<- *prom.Desc) {
	for _, desc := range []*prom.Desc{c.latency, c.actions, c.bytes, c.failures} {
		out <- desc
	}
}

// Collect implements prom.Collector.
func (c *commitCollector) Collect(out chan<- prom.Metric) {
	for _, m := range c.modules() {
		var latency total
		var sizes [countBounds + 1]uint64
		var failures, bytes, actions int64
		for i := range m.commits.cells {
			cell := &m.commits.cells[i]
			latency.include(&cell.latency)
			failures += cell.failures.Load()
			bytes += cell.bytes.Load()
			actions += cell.actions.Load()
			for k := range sizes {
				sizes[k] += cell.sizes[k].Load()
			}
		}
		cumulative, batches := make(map[float64]uint64, countBounds), uint64(0)
		for k, n := range sizes {
			if batches += n; k < countBounds {
				cumulative[float64(uint64(1)<<k)] = batches
			}
		}
		out <- latency.metric(c.latency, m.tenant, m.module)
		out <- prom.MustNewConstHistogram(c.actions, batches, float64(actions), cumulative, m.tenant, m.module)
		out <- prom.MustNewConstMetric(c.bytes, prom.CounterValue, float64(bytes), m.tenant, m.module)
		out <- prom.MustNewConstMetric(c.failures, prom.CounterValue, float64(failures), m.tenant, m.module)
	}
}
