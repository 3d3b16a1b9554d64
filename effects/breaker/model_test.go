package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/effects/breaker"
)

// model is a breaker that remembers everything, and works each answer out from the whole of it.
type model struct {
	c       breaker.Config
	epoch   time.Time
	state   breaker.State
	manual  bool
	since   time.Time
	results []result  // of this state, in order
	out     []*permit // of this state, that are not settled
}

type result struct {
	at     time.Time
	failed bool
}

type permit struct {
	real  *breaker.Permit
	given time.Time
}

func (m *model) change(to breaker.State, manual bool) {
	m.state, m.manual, m.since, m.results, m.out = to, manual, time.Now(), nil, nil
}

func (m *model) probes() (n int) {
	for _, p := range m.out {
		if m.state == breaker.HalfOpen && time.Since(p.given) < m.c.Open {
			n++
		}
	}
	return n
}

func (m *model) allow() bool {
	switch {
	case m.state == breaker.Closed:
		return true
	case m.state == breaker.Opened && (m.manual || time.Since(m.since) < m.c.Open):
		return false
	case m.state == breaker.Opened:
		m.change(breaker.HalfOpen, false)
	}
	return m.probes() < m.c.Probes
}

func (m *model) settle(p *permit, r *result) {
	for i, o := range m.out {
		if o == p {
			m.out = append(append([]*permit(nil), m.out[:i]...), m.out[i+1:]...)
			if r != nil && !m.manual {
				m.results = append(m.results, *r)
				m.judge()
			}
			return
		}
	}
}

func (m *model) judge() {
	failed := m.results[len(m.results)-1].failed
	switch {
	case m.state == breaker.HalfOpen && failed:
		m.change(breaker.Opened, false)
	case m.state == breaker.HalfOpen && len(m.results) == m.c.Successes:
		m.change(breaker.Closed, false)
	case m.state == breaker.Closed && failed && m.tripped():
		m.change(breaker.Opened, false)
	}
}

func (m *model) tripped() bool {
	if m.c.Rate == 0 {
		row := 0
		for _, r := range m.results {
			if row++; !r.failed {
				row = 0
			}
		}
		return row >= m.c.Failures
	}
	slice := func(at time.Time) int64 { return int64(at.Sub(m.epoch) / (m.c.Window / 10)) }
	failures, all := 0, 0
	for _, r := range m.results {
		if slice(r.at) > slice(time.Now())-10 {
			all++
			if r.failed {
				failures++
			}
		}
	}
	return all >= m.c.Minimum && float64(failures)/float64(all) >= float64(m.c.Rate)/100
}

func TestBreaker_model(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// rapid would ask a *testing.T for its deadline, which it does not tell in a bubble.
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			c := breaker.Config{
				Failures:  rapid.IntRange(1, 4).Draw(t, "failures"),
				Rate:      rapid.SampledFrom([]int{0, 0, 30, 50, 100}).Draw(t, "rate"),
				Window:    10 * time.Second,
				Minimum:   rapid.IntRange(1, 6).Draw(t, "minimum"),
				Open:      rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second}).Draw(t, "open"),
				Successes: rapid.IntRange(1, 3).Draw(t, "successes"),
				Probes:    rapid.IntRange(1, 3).Draw(t, "probes"),
			}
			b := breaker.New(c, nil)
			m := &model{c: c, epoch: time.Now(), since: time.Now()}
			var all []*permit
			settle := func(t *rapid.T, do func(*breaker.Permit), r *result) {
				if len(all) == 0 {
					t.Skip("no permit")
				}
				p := rapid.SampledFrom(all).Draw(t, "permit") // perhaps one that was settled before
				do(p.real)
				m.settle(p, r)
			}
			t.Repeat(map[string]func(*rapid.T){
				"allow": func(t *rapid.T) {
					p, err := b.Allow()
					require.Equal(t, m.allow(), err == nil)
					if err == nil {
						all = append(all, &permit{real: p, given: time.Now()})
						m.out = append(m.out, all[len(all)-1])
					}
				},
				"success": func(t *rapid.T) { settle(t, (*breaker.Permit).Success, &result{time.Now(), false}) },
				"failure": func(t *rapid.T) { settle(t, (*breaker.Permit).Failure, &result{time.Now(), true}) },
				"cancel":  func(t *rapid.T) { settle(t, (*breaker.Permit).Cancel, nil) },
				"pass":    func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond) },
				"manual": func(t *rapid.T) {
					switch rapid.IntRange(0, 9).Draw(t, "which") {
					case 0:
						b.Open()
						if !m.manual || m.state != breaker.Opened {
							m.change(breaker.Opened, true)
						}
					case 1:
						b.Close()
						if !m.manual || m.state != breaker.Closed {
							m.change(breaker.Closed, true)
						}
					case 2, 3, 4:
						b.Auto()
						if m.manual && m.state == breaker.Opened {
							m.change(breaker.HalfOpen, false)
						} else if m.manual {
							m.change(breaker.Closed, false)
						}
					}
				},
				"": func(t *rapid.T) {
					s := b.Status()
					want := m.state
					if want == breaker.Opened && !m.manual && time.Since(m.since) >= c.Open {
						want = breaker.HalfOpen
					}
					require.Equal(t, want, s.State)
					require.Equal(t, m.manual, s.Manual)
					require.Equal(t, m.probes(), s.Probes)
				},
			})
		})
	})
}
