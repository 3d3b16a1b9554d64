package prometheus

import (
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
)

// Values of labels that no manifest and no code can hold, for their forms have no parentheses.
const (
	unknown = "(unknown)"
	other   = "(other)"
)

// outcomes are those of observe.Deployed.
var outcomes = []string{"activated", "unchanged", "refused"}

var (
	durationBuckets = seconds(durationBounds[:])
	// stageBuckets suit compiling and deploying, which take milliseconds to minutes.
	stageBuckets = []float64{1e-3, 5e-3, 10e-3, 50e-3, 100e-3, 500e-3, 1, 2.5, 5, 10, 30, 60, 120}
)

func seconds(bounds []time.Duration) []float64 {
	buckets := make([]float64, len(bounds))
	for i, bound := range bounds {
		buckets[i] = float64(bound) / float64(time.Second)
	}
	return buckets
}

// families are the metrics of everything but sends and gauges.
type families struct {
	prefix     string
	collectors []prom.Collector
	ofModules  []interface{ DeletePartialMatch(prom.Labels) int } // those with the labels tenant and module

	refusals *prom.CounterVec

	effects, effectFailures, effectRetries *prom.CounterVec
	effectDuration                         *prom.HistogramVec
	buried, lost, redriven, discarded      *prom.CounterVec
	refused                                *prom.CounterVec

	rebuilds, replayed *prom.CounterVec
	rebuildDuration    *prom.HistogramVec
	traps, halts       *prom.CounterVec
	resumes, logLines  *prom.CounterVec
	gaps, gapActions   *prom.CounterVec
	replays            *prom.CounterVec
	durability         *prom.GaugeVec
	swapPause          *prom.HistogramVec

	deploys         *prom.CounterVec
	deployDuration  *prom.HistogramVec
	compileDuration *prom.HistogramVec
	compileFailures prom.Counter
}

func newFamilies(prefix string) families {
	f := families{prefix: prefix}

	f.refusals = f.counter("refusals_total", "Refused sends, by the refusal's code.", "code")

	f.effects = f.counter("effects_total", "Attempts at leaves of effects.", "kind")
	f.effectFailures = f.counter("effect_failures_total", "Attempts at leaves of effects that failed.", "kind")
	f.effectRetries = f.counter("effect_retries_total", "Attempts at leaves of effects that were not the first of their drive.", "kind")
	f.effectDuration = f.histogram("effect_duration_seconds", "Time of one attempt at a leaf.", durationBuckets, "kind")

	f.refused = f.counter("feedback_refused_total", "Actions fed back by effects and timers that their store refused, or trapped on.")
	f.buried = f.counter("dead_letters_total", "Leaves that became dead letters, by reason.", "reason")
	f.lost = f.counter("dead_letters_lost_total", "Leaves that were given up and of which no letter was kept, as the module had as many as it may.")
	f.redriven = f.counter("redrives_total", "Dead letters that were done again.")
	f.discarded = f.counter("dead_letters_discarded_total", "Dead letters that were discarded.")

	f.rebuilds = f.counter("rebuilds_total", "States rebuilt from base and tail, by cause.", "cause")
	f.replayed = f.counter("rebuild_actions_total", "Actions reduced again in rebuilds.")
	f.rebuildDuration = f.histogram("rebuild_duration_seconds", "Time of a rebuild.", durationBuckets)
	f.traps = f.counter("traps_total", "Instances that trapped, by cause.", "cause")
	f.halts = f.counter("halts_total", "Stores that halted, by code.", "code")
	f.resumes = f.counter("resumes_total", "Halted stores that resumed.")
	f.logLines = f.counter("guest_log_lines_total", "Lines that guests logged.")
	f.replays = f.counter("replays_total", "Commands answered with the receipt of an earlier one that had their idempotency key.")
	f.gaps = f.counter("gaps_total", "Times that a subscriber missed actions.")
	f.gapActions = f.counter("gap_actions_total", "Actions that subscribers missed.")
	f.swapPause = f.histogram("swap_pause_seconds", "Time that a shard was locked to flip to another revision.", durationBuckets)

	f.durability = prom.NewGaugeVec(prom.GaugeOpts{
		Name: f.name("durability"), Help: "1 for what an acknowledgement means: memory, all ends with the process; fsync, it is on disk.",
	}, []string{"durability"})
	f.collectors = append(f.collectors, f.durability)

	// Deploys carry no names: those of refused ones are anything a caller made up.
	f.deploys = prom.NewCounterVec(prom.CounterOpts{Name: f.name("deploys_total"), Help: "Ended deploys, by outcome."}, []string{"outcome"})
	f.deployDuration = prom.NewHistogramVec(prom.HistogramOpts{
		Name: f.name("deploy_duration_seconds"), Help: "Time of a deploy.", Buckets: stageBuckets,
	}, []string{"outcome"})
	for _, outcome := range outcomes {
		f.deploys.WithLabelValues(outcome)
		f.deployDuration.WithLabelValues(outcome)
	}
	f.compileDuration = prom.NewHistogramVec(prom.HistogramOpts{
		Name: f.name("compile_duration_seconds"), Help: "Time to meter and compile a module, or to load it compiled from the cache.", Buckets: stageBuckets,
	}, []string{"cached"})
	f.compileDuration.WithLabelValues("false")
	f.compileDuration.WithLabelValues("true")
	f.compileFailures = prom.NewCounter(prom.CounterOpts{Name: f.name("compile_failures_total"), Help: "Modules that did not compile."})
	f.collectors = append(f.collectors, f.deploys, f.deployDuration, f.compileDuration, f.compileFailures)
	return f
}

func (f *families) name(name string) string { return f.prefix + "_" + name }

// counter adds a counter whose series belong to modules.
func (f *families) counter(name, help string, labels ...string) *prom.CounterVec {
	v := prom.NewCounterVec(prom.CounterOpts{Name: f.name(name), Help: help}, moduleLabels(labels))
	f.collectors = append(f.collectors, v)
	f.ofModules = append(f.ofModules, v)
	return v
}

// histogram adds a histogram whose series belong to modules.
func (f *families) histogram(name, help string, buckets []float64, labels ...string) *prom.HistogramVec {
	v := prom.NewHistogramVec(prom.HistogramOpts{Name: f.name(name), Help: help, Buckets: buckets}, moduleLabels(labels))
	f.collectors = append(f.collectors, v)
	f.ofModules = append(f.ofModules, v)
	return v
}

func moduleLabels(more []string) []string { return append([]string{"tenant", "module"}, more...) }

// drop deletes every series of a module.
func (f *families) drop(name moduleName) {
	for _, family := range f.ofModules {
		family.DeletePartialMatch(prom.Labels{"tenant": name.tenant, "module": name.module})
	}
}
