package breaker

import "time"

// Status is how a breaker stands at one moment.
type Status struct {
	State     State
	Manual    bool      // State is held by hand
	Since     time.Time // of the last change
	Until     time.Time // open, and not by hand: when it asks for probes
	Failures  int       // closed: in a row or, with Rate, in the window
	Results   int       // closed, with Rate: in the window
	Successes int       // half-open: of probes
	Probes    int       // half-open: that hold a place
}

// Status tells how the breaker stands. An open one whose time has passed is half-open, though that change is told when Allow is asked next.
func (b *Breaker) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	s := Status{State: b.state, Manual: b.manual, Since: b.since}
	switch b.state {
	case Closed:
		s.Failures = b.failures
		if b.config.Rate > 0 {
			b.window.advance(now.Sub(b.epoch))
			s.Failures, s.Results = b.window.sum()
		}
	case Opened:
		if b.manual {
			break
		}
		if s.Until = b.since.Add(b.config.Open); !now.Before(s.Until) {
			s.State, s.Since, s.Until = HalfOpen, s.Until, time.Time{}
		}
	case HalfOpen:
		s.Successes = b.successes
		for _, p := range b.probes {
			if now.Before(p.until) {
				s.Probes++
			}
		}
	}
	return s
}

// State is the state of the breaker; see Status.
func (b *Breaker) State() State { return b.Status().State }

// IsOpen reports whether Allow refuses everybody.
func (b *Breaker) IsOpen() bool { return b.State() == Opened }
