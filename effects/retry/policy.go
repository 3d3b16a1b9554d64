package retry

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Defaults of Policy.
const (
	DefaultInitial    = 100 * time.Millisecond
	DefaultMultiplier = 2.0
	DefaultMax        = 30 * time.Second
	DefaultRetries    = 5
	DefaultTimeout    = 30 * time.Second
	DefaultParkLimit  = 24 * time.Hour
)

// MaxRetries is the most retries that a policy may have.
const MaxRetries = 1000

// OnOpen is what becomes of a leaf whose target's breaker is open, or whose budget is spent.
type OnOpen string

// The choices. Empty stands for Park.
const (
	Park       OnOpen = "park"       // it waits, up to ParkLimit
	DeadLetter OnOpen = "deadletter" // it is given up at once: the seed's rule
)

// Policy says how often and when a leaf is tried. The zero value is the documented default. It is comparable and may be copied.
type Policy struct {
	// Initial is the longest delay before the first retry. Defaults to 100 ms.
	Initial time.Duration

	// Multiplier makes the longest delay before each further retry out of that before it. 1 or more. Defaults to 2.
	Multiplier float64

	// Max bounds the delays; but see [After]. At least Initial. Defaults to 30 s, or to Initial if that is longer.
	Max time.Duration

	// Retries is how many attempts may follow the first one, up to MaxRetries. Below zero is none. Defaults to 5.
	Retries int

	// Timeout bounds each attempt, unless the effect names its own. Defaults to 30 s.
	Timeout time.Duration

	// OnOpen is what happens while the target's breaker is open or its budget spent. Defaults to Park.
	OnOpen OnOpen

	// ParkLimit is how long a leaf may be parked before it is given up. Defaults to 24 h.
	ParkLimit time.Duration
}

// OrDefault fills in what is zero.
func (p Policy) OrDefault() Policy {
	fill(&p.Initial, DefaultInitial)
	fill(&p.Multiplier, DefaultMultiplier)
	fill(&p.Max, max(DefaultMax, p.Initial))
	fill(&p.Retries, DefaultRetries)
	fill(&p.Timeout, DefaultTimeout)
	fill(&p.OnOpen, Park)
	fill(&p.ParkLimit, DefaultParkLimit)
	return p
}

func fill[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Validate reports all that is wrong with the policy.
func (p Policy) Validate() error {
	d := p.OrDefault()
	var faults []error
	for _, f := range []struct {
		name  string
		value time.Duration
	}{{"Initial", d.Initial}, {"Max", d.Max}, {"Timeout", d.Timeout}, {"ParkLimit", d.ParkLimit}} {
		if f.value < 0 {
			faults = append(faults, fmt.Errorf("%s is %v, want 0 (the default) or more", f.name, f.value))
		}
	}
	bad := func(name string, value any, want string) {
		faults = append(faults, fmt.Errorf("%s is %v, want %s", name, value, want))
	}
	if d.Max >= 0 && d.Max < d.Initial {
		bad("Max", d.Max, fmt.Sprintf("0 (the default) or Initial, %v, and more", d.Initial))
	}
	if !(d.Multiplier >= 1) || math.IsInf(d.Multiplier, 1) {
		bad("Multiplier", d.Multiplier, "0 (the default) or 1 and more")
	}
	if d.Retries > MaxRetries {
		bad("Retries", d.Retries, fmt.Sprintf("0 (the default), below (none) or up to %d", MaxRetries))
	}
	if d.OnOpen != Park && d.OnOpen != DeadLetter {
		bad("OnOpen", d.OnOpen, fmt.Sprintf("%s (the default) or %s", Park, DeadLetter))
	}
	return errors.Join(faults...)
}

// String is what is in force, on one line.
func (p Policy) String() string {
	d := p.OrDefault()
	return fmt.Sprintf("initial=%v multiplier=%g max=%v retries=%d timeout=%v on_open=%s park_limit=%v",
		d.Initial, d.Multiplier, d.Max, max(d.Retries, 0), d.Timeout, d.OnOpen, d.ParkLimit)
}

// Attempts is how many attempts there are at most, the first included.
func (p Policy) Attempts() int { return 1 + max(p.OrDefault().Retries, 0) }

// Delay is how long to wait after an attempt that failed, counted from 1: uniform in [0, d], where d is Initial * Multiplier^(attempt-1), at
// most Max. Chance comes from r, or from the runtime if that is nil; the latter may be used from many goroutines.
//
// REQUIRES: Validate finds nothing.
func (p Policy) Delay(attempt int, r *rand.Rand) time.Duration {
	d := p.OrDefault()
	longest := d.Max
	if f := float64(d.Initial) * math.Pow(d.Multiplier, float64(max(attempt, 1)-1)); f < float64(d.Max) {
		longest = time.Duration(f)
	}
	if longest == math.MaxInt64 {
		longest-- // so that there is room for the 1 below
	}
	if r == nil {
		return time.Duration(rand.Int64N(int64(longest) + 1))
	}
	return time.Duration(r.Int64N(int64(longest) + 1))
}

// Next says whether another attempt follows one that failed with err, counted from 1, and after what delay. None does after a Permanent error
// and after the last attempt. What After asks for comes before the policy's delay and not instead of it, so that those who were
// told the same do not come back all at once; it may be longer than Max.
//
// REQUIRES: Validate finds nothing.
func (p Policy) Next(attempt int, err error, r *rand.Rand) (delay time.Duration, again bool) {
	if IsPermanent(err) || attempt >= p.Attempts() {
		return 0, false
	}
	asked, _ := AfterOf(err)
	delay = p.Delay(attempt, r)
	return asked + min(delay, math.MaxInt64-asked), true
}
