package retry

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// Defaults of BudgetConfig.
const (
	DefaultRatio     = 0.2
	DefaultPerSecond = 10.0
	DefaultReserve   = 100.0
)

// BudgetConfig says how many retries a target gets. The zero value is the documented default. It is comparable and may be copied.
type BudgetConfig struct {
	// Ratio is how many retries each first attempt earns, up to 1. Below zero is none. Defaults to 0.2: one retry for five attempts.
	Ratio float64

	// PerSecond is how many retries a second there are besides, so that a target with few attempts is retried too. Defaults to 10.
	PerSecond float64

	// Reserve is how many unused retries are kept, and how many there are at first: a burst. 1 or more. Defaults to 100.
	Reserve float64
}

// OrDefault fills in what is zero.
func (c BudgetConfig) OrDefault() BudgetConfig {
	fill(&c.Ratio, DefaultRatio)
	fill(&c.PerSecond, DefaultPerSecond)
	fill(&c.Reserve, DefaultReserve)
	return c
}

// Validate reports all that is wrong with the config.
func (c BudgetConfig) Validate() error {
	d := c.OrDefault()
	var faults []error
	for _, f := range []struct {
		name        string
		value       float64
		least, most float64
	}{{"Ratio", d.Ratio, math.Inf(-1), 1}, {"PerSecond", d.PerSecond, 1e-3, 1e6}, {"Reserve", d.Reserve, 1, 1e6}} {
		if !(f.value >= f.least && f.value <= f.most) { // NaN is neither
			faults = append(faults, fmt.Errorf("%s is %g, want 0 (the default) or %g to %g", f.name, f.value, f.least, f.most))
		}
	}
	return errors.Join(faults...)
}

// String is what is in force, on one line.
func (c BudgetConfig) String() string {
	d := c.OrDefault()
	return fmt.Sprintf("ratio=%g per_second=%g reserve=%g", max(d.Ratio, 0), d.PerSecond, d.Reserve)
}

// Budget bounds the retries of one target. It is a bucket of tokens: a first attempt adds Ratio, a second adds PerSecond, a retry takes 1.
//
//  1. In any span of time there are at most Reserve + Ratio * first attempts + PerSecond * seconds retries.
//  2. Who waits as long as Retry says gets one, if nobody else took it.
type Budget struct {
	mu     sync.Mutex // guards what follows
	config BudgetConfig
	tokens float64 // at time at
	at     time.Time
}

// NewBudget returns a budget with its reserve full.
//
// REQUIRES: c.Validate finds nothing.
func NewBudget(c BudgetConfig) *Budget {
	c = c.OrDefault()
	return &Budget{config: c, tokens: c.Reserve, at: time.Now()}
}

// Set changes the config. Tokens beyond the new reserve are lost.
//
// REQUIRES: c.Validate finds nothing.
func (b *Budget) Set(c BudgetConfig) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accrue()
	b.config = c.OrDefault()
	b.add(0)
}

// First counts a first attempt.
func (b *Budget) First() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < b.config.Reserve { // a full one has no use for the clock
		b.accrue()
		b.add(b.config.Ratio)
	}
}

// Retry asks to make a retry. Without a token left, wait is when there will be one at the latest, unless others take it.
func (b *Budget) Retry() (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accrue()
	if b.tokens >= 1 {
		b.tokens--
		return 0, true
	}
	return 1 + time.Duration((1-b.tokens)/b.config.PerSecond*float64(time.Second)), false
}

// accrue adds what time has brought.
//
// REQUIRES: mu is held.
func (b *Budget) accrue() {
	now := time.Now()
	b.add(now.Sub(b.at).Seconds() * b.config.PerSecond)
	b.at = now
}

// add adds n tokens, if that is more than none.
//
// REQUIRES: mu is held.
func (b *Budget) add(n float64) { b.tokens = min(b.tokens+max(n, 0), b.config.Reserve) }
