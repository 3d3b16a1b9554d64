package breaker

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrOpen is in every refusal of Allow. It says nothing about the request that was not made.
var ErrOpen = errors.New("circuit breaker open")

// OpenError is a refusal.
type OpenError struct {
	// Until is when to ask again at the latest; zero while the breaker is held open by hand. Before, a change of state, or the end of
	// a probe, may make it worth while.
	Until time.Time
}

func (e *OpenError) Error() string {
	if e.Until.IsZero() {
		return ErrOpen.Error() + ", by hand"
	}
	return fmt.Sprintf("%v until %s", ErrOpen, e.Until.UTC().Format(time.RFC3339))
}

// Unwrap returns ErrOpen.
func (e *OpenError) Unwrap() error { return ErrOpen }

// State of a breaker.
type State uint8

// The states.
const (
	Closed   State = iota // everybody gets a permit
	Opened                // nobody does
	HalfOpen              // a few do, as probes
)

var stateNames = [...]string{"closed", "open", "half-open"}

func (s State) String() string { return stateNames[s] }

// Change is a change of state.
type Change struct {
	From, To State
	Manual   bool // To is held by hand
	At       time.Time
}

// Breaker is the breaker of one target.
type Breaker struct {
	onChange func(Change)
	epoch    time.Time // of the windows

	mu         sync.Mutex // guards what follows
	config     Config
	state      State
	manual     bool      // state is held by hand
	since      time.Time // of the last change
	generation uint64    // counts changes; permits of earlier ones do not count
	failures   int       // closed: in a row
	window     window    // closed; successes only with Rate
	successes  int       // half-open
	probes     []probe   // half-open: those that are out
	news       []Change  // not told yet
	telling    bool      // somebody tells them
}

type probe struct {
	permit *Permit
	until  time.Time // when it loses its place
}

// New returns a closed breaker. onChange, which may be nil, is called for each change, one at a time, by whoever asked or settled something;
// it may call the breaker.
//
// REQUIRES: c.Validate finds nothing.
func New(c Config, onChange func(Change)) *Breaker {
	now := time.Now()
	b := &Breaker{onChange: onChange, epoch: now, config: c.OrDefault(), since: now}
	b.forget()
	return b
}

// Set changes the config. What was counted stays, but for a window that gets another length; the time that an open breaker has been open counts.
//
// REQUIRES: c.Validate finds nothing.
func (b *Breaker) Set(c Config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c = c.OrDefault()
	other := c.Window != b.config.Window
	b.config = c
	if other {
		b.window = window{slice: c.Window / slicesPerWindow}
	}
}

// Allow gives a permit to try the target once, which has to be settled. The error is an *OpenError.
func (b *Breaker) Allow() (*Permit, error) {
	b.mu.Lock()
	defer b.unlock()
	if b.state == Closed {
		return &Permit{breaker: b, generation: b.generation}, nil
	}
	now := time.Now()
	if b.state == Opened {
		if b.manual {
			return nil, &OpenError{}
		}
		if until := b.since.Add(b.config.Open); now.Before(until) {
			return nil, &OpenError{Until: until}
		}
		b.change(HalfOpen, false)
	}
	b.probes = slices.DeleteFunc(b.probes, func(p probe) bool { return !now.Before(p.until) })
	if len(b.probes) >= b.config.Probes {
		first := b.probes[0].until
		for _, p := range b.probes {
			if p.until.Before(first) {
				first = p.until
			}
		}
		return nil, &OpenError{Until: first}
	}
	p := &Permit{breaker: b, generation: b.generation}
	b.probes = append(b.probes, probe{p, now.Add(b.config.Open)})
	return p, nil
}

// Permit is the right to try the target once. Exactly one of its methods is called, when the attempt has ended; further calls do nothing.
type Permit struct {
	breaker    *Breaker
	generation uint64
	settled    bool // guarded by the breaker's mu
}

// Success says that the target has answered. An answer that refuses the request is one.
func (p *Permit) Success() { p.breaker.settle(p, (*Breaker).succeeded) }

// Failure says that the target has not answered, or that it cannot work.
func (p *Permit) Failure() { p.breaker.settle(p, (*Breaker).failed) }

// Cancel says that nobody will know: the attempt was cancelled or not made.
func (p *Permit) Cancel() { p.breaker.settle(p, func(*Breaker) {}) }

func (b *Breaker) settle(p *Permit, count func(*Breaker)) {
	b.mu.Lock()
	defer b.unlock()
	if p.settled {
		return
	}
	p.settled = true
	if p.generation != b.generation {
		return
	}
	b.probes = slices.DeleteFunc(b.probes, func(other probe) bool { return other.permit == p })
	count(b)
}

// succeeded counts a success of the present generation.
//
// REQUIRES: mu is held.
func (b *Breaker) succeeded() {
	b.failures = 0
	switch {
	case b.manual:
	case b.state == HalfOpen:
		if b.successes++; b.successes >= b.config.Successes {
			b.change(Closed, false)
		}
	case b.config.Rate != 0:
		b.window.add(time.Since(b.epoch), false)
	}
}

// failed counts a failure of the present generation.
//
// REQUIRES: mu is held.
func (b *Breaker) failed() {
	switch {
	case b.manual:
	case b.state == HalfOpen:
		b.change(Opened, false)
	default:
		b.failures++
		b.window.add(time.Since(b.epoch), true)
		if b.tripped() {
			b.change(Opened, false)
		}
	}
}

func (b *Breaker) tripped() bool {
	if b.config.Rate == 0 {
		return b.failures >= b.config.Failures
	}
	failures, results := b.window.sum()
	return results >= b.config.Minimum && 100*failures >= b.config.Rate*results
}

// Open holds the breaker open until Close or Auto.
func (b *Breaker) Open() { b.force(Opened, true) }

// Close holds the breaker closed until Open or Auto, whatever fails.
func (b *Breaker) Close() { b.force(Closed, true) }

// Auto ends Open or Close: what was held open is half-open, what was held closed starts anew. Otherwise it does nothing.
func (b *Breaker) Auto() { b.force(HalfOpen, false) }

func (b *Breaker) force(to State, manual bool) {
	b.mu.Lock()
	defer b.unlock()
	if b.manual == manual && (!manual || b.state == to) {
		return
	}
	if !manual && b.state == Closed {
		to = Closed
	}
	b.change(to, manual)
}

// change begins another state, or the same one held otherwise.
//
// REQUIRES: mu is held.
func (b *Breaker) change(to State, manual bool) {
	now := time.Now()
	if b.onChange != nil {
		b.news = append(b.news, Change{From: b.state, To: to, Manual: manual, At: now})
	}
	b.state, b.manual, b.since = to, manual, now
	b.generation++
	b.forget()
}

// forget starts counting anew.
//
// REQUIRES: mu is held.
func (b *Breaker) forget() {
	b.failures, b.successes, b.probes = 0, 0, nil
	b.window = window{slice: b.config.Window / slicesPerWindow}
}

// unlock reports what has not been told yet, and gives mu back. Who comes while another tells leaves it to that one, which keeps the order.
func (b *Breaker) unlock() {
	defer b.mu.Unlock()
	for !b.telling && len(b.news) > 0 {
		c := b.news[0]
		b.news = b.news[1:]
		b.tellOne(c)
	}
}

// tellOne reports one change, without the lock.
//
// REQUIRES: mu is held; it is held again on return, and when onChange panics.
func (b *Breaker) tellOne(c Change) {
	b.telling = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.telling = false
	}()
	b.onChange(c)
}
