package prometheus

import (
	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/crhost/crhost/host/observe"
)

// gauges is a collector that asks each loaded module for its stats when somebody scrapes.
type gauges struct {
	modules func() []loadedModule
	list    []gauge
}

type gauge struct {
	desc *prom.Desc
	of   func(*observe.ModuleStats) float64
}

func newGauges(prefix string, modules func() []loadedModule) *gauges {
	g := &gauges{modules: modules}
	add := func(name, help string, of func(*observe.ModuleStats) float64) {
		g.list = append(g.list, gauge{prom.NewDesc(prefix+"_"+name, help, moduleLabels(nil), nil), of})
	}
	add("dlq_size", "Dead letters kept.", func(s *observe.ModuleStats) float64 { return float64(s.DeadLetters) })
	add("open_leaves", "Leaves that have their turn and are not done.", func(s *observe.ModuleStats) float64 { return float64(s.OpenLeaves) })
	add("running_leaves", "Leaves that are attempted, or feed back.", func(s *observe.ModuleStats) float64 { return float64(s.RunningLeaves) })
	add("timed_leaves", "Leaves that wait for a time: delays, and attempts to come.", func(s *observe.ModuleStats) float64 { return float64(s.TimedLeaves) })
	add("parked_leaves", "Leaves that wait for a breaker, a budget or a module.", func(s *observe.ModuleStats) float64 { return float64(s.ParkedLeaves) })
	add("shards", "Shards.", func(s *observe.ModuleStats) float64 { return float64(s.Shards) })
	add("stores", "Stores known.", func(s *observe.ModuleStats) float64 { return float64(s.Stores) })
	add("halted_stores", "Stores that are halted.", func(s *observe.ModuleStats) float64 { return float64(s.Halted) })
	add("residents", "Decoded states in guests.", func(s *observe.ModuleStats) float64 { return float64(s.Residents) })
	add("guest_memory_bytes", "Linear memory of live instances.", func(s *observe.ModuleStats) float64 { return float64(s.GuestMemoryBytes) })
	add("queue_depth", "Actions that wait for their shard.", func(s *observe.ModuleStats) float64 { return float64(s.QueueDepth) })
	add("watermark_lag", "Accepted actions that are not known durable.", func(s *observe.ModuleStats) float64 { return float64(s.WatermarkLag) })
	add("subscribers", "Subscribers.", func(s *observe.ModuleStats) float64 { return float64(s.Subscribers) })
	return g
}

// Describe implements prom.Collector.
func (g *gauges) Describe(out chan<- *prom.Desc) {
	for _, gauge := range g.list {
		out <- gauge.desc
	}
}

// Collect implements prom.Collector.
func (g *gauges) Collect(out chan<- prom.Metric) {
	for _, m := range g.modules() {
		if m.stats == nil {
			continue
		}
		stats := m.stats()
		for _, gauge := range g.list {
			out <- prom.MustNewConstMetric(gauge.desc, prom.GaugeValue, gauge.of(&stats), m.tenant, m.module)
		}
	}
}
