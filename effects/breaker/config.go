package breaker

import (
	"errors"
	"fmt"
	"time"
)

// Defaults of Config.
const (
	DefaultFailures  = 5
	DefaultOpen      = 60 * time.Second
	DefaultSuccesses = 2
	DefaultProbes    = 1
	DefaultWindow    = 60 * time.Second
	DefaultMinimum   = 20
)

// Config of a breaker. The zero value is the documented default. It is comparable and may be copied.
type Config struct {
	// Failures is how many in a row open a closed breaker. Defaults to 5.
	Failures int

	// Rate is the percentage of failures in Window, 1 to 100, that opens it instead, once there have been Minimum results in it. Defaults to 0: Failures counts.
	Rate int

	// Window is how far back Rate looks, to a tenth of it. Defaults to 60 s.
	Window time.Duration

	// Minimum is how few results say nothing about Rate. Defaults to 20.
	Minimum int

	// Open is how long it stays open before it asks for probes, and how long a probe may keep its place. Defaults to 60 s.
	Open time.Duration

	// Successes is how many probes close it again; one that fails opens it. Defaults to 2.
	Successes int

	// Probes is how many may be out at a time. Defaults to 1.
	Probes int
}

// OrDefault fills in what is zero.
func (c Config) OrDefault() Config {
	fill(&c.Failures, DefaultFailures)
	fill(&c.Window, DefaultWindow)
	fill(&c.Minimum, DefaultMinimum)
	fill(&c.Open, DefaultOpen)
	fill(&c.Successes, DefaultSuccesses)
	fill(&c.Probes, DefaultProbes)
	return c
}

func fill[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Validate reports all that is wrong with the config.
func (c Config) Validate() error {
	var faults []error
	for _, f := range []struct {
		name  string
		value int
		most  int
	}{
		{"Failures", c.Failures, 1 << 20}, {"Rate", c.Rate, 100}, {"Minimum", c.Minimum, 1 << 20}, {"Successes", c.Successes, 1 << 20}, {"Probes", c.Probes, 1000},
	} {
		if f.value < 0 || f.value > f.most {
			faults = append(faults, fmt.Errorf("%s is %d, want 0 (the default) to %d", f.name, f.value, f.most))
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{{"Window", c.Window, slicesPerWindow * time.Millisecond}, {"Open", c.Open, 1}} {
		if f.value != 0 && f.value < f.least {
			faults = append(faults, fmt.Errorf("%s is %v, want 0 (the default) or %v and more", f.name, f.value, f.least))
		}
	}
	return errors.Join(faults...)
}

// String is what is in force, on one line.
func (c Config) String() string {
	d := c.OrDefault()
	trip := fmt.Sprintf("failures=%d", d.Failures)
	if d.Rate > 0 {
		trip = fmt.Sprintf("rate=%d%% window=%v minimum=%d", d.Rate, d.Window, d.Minimum)
	}
	return fmt.Sprintf("%s open=%v successes=%d probes=%d", trip, d.Open, d.Successes, d.Probes)
}
