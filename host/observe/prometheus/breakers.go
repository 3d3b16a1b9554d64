package prometheus

import (
	"sync"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/crhost/crhost/host/observe"
)

// breakers counts the circuit breakers of each tenant by state, as their changes tell: each begins closed.
type breakers struct {
	modules        func() []loadedModule
	state, changes *prom.Desc

	mu      sync.Mutex // guards tenants and what it holds
	tenants map[string]*tenantBreakers
}

// tenantBreakers are kept as long as the host is: a tenant whose modules are all unloaded still has its breakers.
type tenantBreakers struct {
	now     map[string]int // by state
	changes map[string]int // to a state
}

// states are those that have series; whatever is not open or half-open is closed.
var states = []string{observe.BreakerClosed, observe.BreakerOpen, observe.BreakerHalfOpen}

func newBreakers(prefix string, modules func() []loadedModule) *breakers {
	return &breakers{
		modules: modules,
		state:   prom.NewDesc(prefix+"_breakers", "Circuit breakers that are not closed, by state.", []string{"tenant", "state"}, nil),
		changes: prom.NewDesc(prefix+"_breaker_changes_total", "Changes of circuit breakers, by the state that they came to.", []string{"tenant", "state"}, nil),
		tenants: make(map[string]*tenantBreakers),
	}
}

func (b *breakers) changed(e observe.BreakerChanged) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tenants[e.Tenant]
	if t == nil {
		t = &tenantBreakers{make(map[string]int), make(map[string]int)}
		b.tenants[e.Tenant] = t
	}
	t.now[e.From]--
	t.now[e.To]++
	t.changes[e.To]++
}

// Describe implements prom.Collector.
func (b *breakers) Describe(out chan<- *prom.Desc) {
	out <- b.state
	out <- b.changes
}

// Collect implements prom.Collector.
func (b *breakers) Collect(out chan<- prom.Metric) {
	seen := make(map[string]bool)
	modules := b.modules()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range modules {
		if seen[m.tenant] {
			continue
		}
		seen[m.tenant] = true
		t := b.tenants[m.tenant]
		if t == nil {
			t = new(tenantBreakers)
		}
		for _, state := range states {
			if state != observe.BreakerClosed {
				// Two changes that follow each other closely may be told in the other order.
				out <- prom.MustNewConstMetric(b.state, prom.GaugeValue, float64(max(t.now[state], 0)), m.tenant, state)
			}
			out <- prom.MustNewConstMetric(b.changes, prom.CounterValue, float64(t.changes[state]), m.tenant, state)
		}
	}
}
