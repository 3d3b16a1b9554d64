package prometheus

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/crhost/crhost/host/observe"
)

// DefaultPrefix is the seed's.
const DefaultPrefix = "composable_rust"

// Config says where the metrics go. The zero value is usable.
type Config struct {
	// Registry takes the metrics. Defaults to a new one, which also holds the metrics of the Go runtime and of the process.
	Registry *prom.Registry
	// Prefix is put before each name, with an underscore between. Defaults to DefaultPrefix.
	Prefix string
}

var prefixForm = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)

// Validate reports a prefix that no metric name may start with.
func (c Config) Validate() error {
	if c.Prefix != "" && !prefixForm.MatchString(c.Prefix) {
		return fmt.Errorf("metrics prefix %q: want a letter, then letters, digits and underscores", c.Prefix)
	}
	return nil
}

// Metrics are the metrics of one host.
type Metrics struct {
	registry *prom.Registry
	families families
	breakers *breakers

	mu    sync.Mutex // guards loads and what it holds, and that series come and go with it
	loads map[moduleName]*loads
}

type moduleName struct{ tenant, module string }

// loads are the loads of one module that are not unloaded yet, the newest last; never empty. They share their series.
type loads struct {
	sends   sends
	commits *commits
	live    []*module
}

// loadedModule is what a scrape needs of a module.
type loadedModule struct {
	moduleName
	stats   func() observe.ModuleStats // the newest load's; nil when it has no gauges
	actions []*actionSends
	commits *commits
}

// New registers the metrics of one host. It returns an error when the prefix is malformed, or when a name is already taken, as by another
// host with the same registry and prefix.
func New(c Config) (*Metrics, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.Registry == nil {
		c.Registry = prom.NewRegistry()
		c.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	m := &Metrics{registry: c.Registry, families: newFamilies(c.Prefix), loads: make(map[moduleName]*loads)}
	m.breakers = newBreakers(c.Prefix, m.modules)
	for _, collector := range append(
		m.families.collectors, newSendCollector(c.Prefix, m.modules), newCommitCollector(c.Prefix, m.modules), newGauges(c.Prefix, m.modules), m.breakers,
	) {
		if err := c.Registry.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics under %s: %w", c.Prefix, err)
		}
	}
	return m, nil
}

// Handler answers scrapes with everything in the registry.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Observer returns the observer that feeds the metrics.
func (m *Metrics) Observer() *observe.Observer {
	return &observe.Observer{Opened: m.opened, ModuleLoaded: m.loaded, Deployed: m.deployed, Compiled: m.compiled, BreakerChanged: m.breakers.changed}
}

func (m *Metrics) opened(e observe.Opened) {
	m.families.durability.WithLabelValues(e.Durability).Set(1)
}

func (m *Metrics) loaded(described observe.Module) *observe.ModuleHooks {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := moduleName{described.Tenant, described.Name}
	l := m.loads[name]
	if l == nil {
		l = &loads{commits: newCommits()}
		m.loads[name] = l
	}
	loaded := newModule(&m.families, l, described)
	l.live = append(l.live, loaded)
	return loaded.hooks(func() { m.unloaded(name, loaded) })
}

// unloaded forgets one load. A replaced module is loaded again before its older load ends, so the series go with the last load.
func (m *Metrics) unloaded(name moduleName, loaded *module) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.loads[name]
	l.live = slices.DeleteFunc(l.live, func(other *module) bool { return other == loaded })
	if len(l.live) == 0 {
		delete(m.loads, name)
		m.families.drop(name)
	}
}

// modules returns the loaded modules.
func (m *Metrics) modules() []loadedModule {
	m.mu.Lock()
	defer m.mu.Unlock()
	modules := make([]loadedModule, 0, len(m.loads))
	for name, l := range m.loads {
		modules = append(modules, loadedModule{name, l.live[len(l.live)-1].stats, slices.Clone(l.sends.actions), l.commits})
	}
	return modules
}

func (m *Metrics) deployed(e observe.Deployed) {
	outcome := e.Outcome
	if !slices.Contains(outcomes, outcome) {
		outcome = other
	}
	m.families.deploys.WithLabelValues(outcome).Inc()
	m.families.deployDuration.WithLabelValues(outcome).Observe(e.Duration.Seconds())
}

func (m *Metrics) compiled(e observe.Compiled) {
	if e.Err != nil {
		m.families.compileFailures.Inc()
		return
	}
	m.families.compileDuration.WithLabelValues(strconv.FormatBool(e.Cached)).Observe(e.Duration.Seconds())
}
