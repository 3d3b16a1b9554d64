package breaker_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/breaker"
)

// allow takes a permit that has to be there.
func allow(t *testing.T, b *breaker.Breaker) *breaker.Permit {
	t.Helper()
	p, err := b.Allow()
	require.NoError(t, err)
	return p
}

// refused expects a refusal until some time from now.
func refused(t *testing.T, b *breaker.Breaker, until time.Duration) {
	t.Helper()
	_, err := b.Allow()
	var open *breaker.OpenError
	require.ErrorAs(t, err, &open)
	require.ErrorIs(t, err, breaker.ErrOpen)
	require.Equal(t, until, time.Until(open.Until))
}

func fail(t *testing.T, b *breaker.Breaker, n int) {
	t.Helper()
	for range n {
		allow(t, b).Failure()
	}
}

// E7: the seed's defaults. 5 failures open, 60 s, 2 successes close.
func TestE7_defaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		b := breaker.New(breaker.Config{}, func(c breaker.Change) {
			require.Equal(t, time.Now(), c.At)
			changes = append(changes, fmt.Sprint(c.From, " to ", c.To))
		})
		fail(t, b, 4)
		allow(t, b).Success()
		fail(t, b, 4)
		require.Equal(t, breaker.Closed, b.State(), "4 in a row, 8 in all")
		require.Equal(t, 4, b.Status().Failures)
		fail(t, b, 1)
		require.True(t, b.IsOpen())
		time.Sleep(59 * time.Second)
		refused(t, b, time.Second)
		time.Sleep(time.Second)
		require.Equal(t, breaker.HalfOpen, b.State())
		require.False(t, b.IsOpen())
		allow(t, b).Success()
		require.Equal(t, breaker.HalfOpen, b.State())
		allow(t, b).Failure()
		require.True(t, b.IsOpen(), "a probe that fails opens it again, however many succeeded")
		refused(t, b, 60*time.Second)
		time.Sleep(time.Minute)
		allow(t, b).Success()
		require.Equal(t, 1, b.Status().Successes, "those before do not count")
		allow(t, b).Success()
		require.Equal(t, breaker.Closed, b.State())
		require.Zero(t, b.Status().Failures)
		require.Equal(t, []string{"closed to open", "open to half-open", "half-open to open", "open to half-open", "half-open to closed"}, changes)
	})
}

// At most Probes at a time; one that is cancelled counts as nothing and gives its place back; one that is lost loses it.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Failures: 1, Open: 10 * time.Second, Successes: 3, Probes: 2}, nil)
		fail(t, b, 1)
		time.Sleep(10 * time.Second)
		first := allow(t, b)
		time.Sleep(time.Second)
		second := allow(t, b)
		refused(t, b, 9*time.Second)
		require.Equal(t, 2, b.Status().Probes)

		second.Cancel()
		second.Success()
		second.Failure()
		require.Equal(t, breaker.Status{State: breaker.HalfOpen, Since: b.Status().Since, Probes: 1}, b.Status(), "settled once is settled")
		third := allow(t, b)
		refused(t, b, 9*time.Second)

		time.Sleep(9 * time.Second) // first is lost
		require.Equal(t, 1, b.Status().Probes)
		fourth := allow(t, b)
		refused(t, b, time.Second)
		first.Success() // after all: it counts, and frees nobody else's place
		require.Equal(t, 1, b.Status().Successes)
		require.Equal(t, 2, b.Status().Probes)
		third.Success()
		fourth.Success()
		require.Equal(t, breaker.Closed, b.State())
	})
}

// A breaker whose probes are all lost goes on asking for probes.
func TestProbes_lost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Failures: 1}, nil)
		fail(t, b, 1)
		for range 5 {
			time.Sleep(time.Minute)
			allow(t, b)
			refused(t, b, time.Minute)
		}
		time.Sleep(time.Minute)
		allow(t, b).Success()
		allow(t, b).Success()
		require.Equal(t, breaker.Closed, b.State())
	})
}

// What was asked in an earlier state says nothing.
func TestPermit_late(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Failures: 1, Successes: 1}, nil)
		slow, slower, slowest := allow(t, b), allow(t, b), allow(t, b)
		fail(t, b, 1)
		slow.Success()
		require.True(t, b.IsOpen())
		time.Sleep(time.Minute)
		probe := allow(t, b)
		slower.Failure()
		slowest.Success()
		require.Equal(t, breaker.HalfOpen, b.State())
		require.Equal(t, 1, b.Status().Probes)
		probe.Success()
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Rate: 50, Window: 10 * time.Second, Minimum: 10}, nil)
		fail(t, b, 9)
		require.Equal(t, breaker.Closed, b.State(), "too few to say")
		time.Sleep(11 * time.Second)
		require.Zero(t, b.Status().Results)
		for range 6 {
			allow(t, b).Success()
		}
		fail(t, b, 5)
		require.Equal(t, breaker.Status{State: breaker.Closed, Since: b.Status().Since, Failures: 5, Results: 11}, b.Status())
		time.Sleep(5 * time.Second)
		fail(t, b, 1)
		require.True(t, b.IsOpen(), "6 of 12")
		time.Sleep(time.Minute)
		allow(t, b).Failure()
		time.Sleep(time.Minute)
		allow(t, b).Success()
		allow(t, b).Success()
		require.Zero(t, b.Status().Results, "closed anew")
		fail(t, b, 9)
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestManual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []breaker.Change
		b := breaker.New(breaker.Config{Failures: 1, Successes: 1}, func(c breaker.Change) { c.At = time.Time{}; changes = append(changes, c) })
		b.Auto() // it is
		b.Open()
		b.Open()
		time.Sleep(24 * time.Hour)
		_, err := b.Allow()
		require.EqualError(t, err, "circuit breaker open, by hand")
		require.Equal(t, breaker.Status{State: breaker.Opened, Manual: true, Since: time.Now().Add(-24 * time.Hour)}, b.Status())
		b.Auto()
		allow(t, b).Failure()
		refused(t, b, time.Minute)

		b.Close()
		fail(t, b, 100)
		allow(t, b).Success()
		require.Equal(t, breaker.Closed, b.State())
		b.Auto()
		fail(t, b, 1)
		require.True(t, b.IsOpen())
		b.Open()
		b.Close()
		require.Equal(t, []breaker.Change{
			{From: breaker.Closed, To: breaker.Opened, Manual: true},
			{From: breaker.Opened, To: breaker.HalfOpen},
			{From: breaker.HalfOpen, To: breaker.Opened},
			{From: breaker.Opened, To: breaker.Closed, Manual: true},
			{From: breaker.Closed, To: breaker.Closed},
			{From: breaker.Closed, To: breaker.Opened},
			{From: breaker.Opened, To: breaker.Opened, Manual: true},
			{From: breaker.Opened, To: breaker.Closed, Manual: true},
		}, changes)
	})
}

func TestSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{}, nil)
		fail(t, b, 3)
		b.Set(breaker.Config{Failures: 4, Open: 10 * time.Second})
		fail(t, b, 1)
		time.Sleep(8 * time.Second)
		refused(t, b, 2*time.Second)
		b.Set(breaker.Config{Open: 5 * time.Second, Probes: 2, Successes: 1})
		allow(t, b)
		b.Set(breaker.Config{Open: 5 * time.Second, Probes: 1, Successes: 1})
		refused(t, b, 5*time.Second)
		b.Set(breaker.Config{Rate: 10, Minimum: 3, Window: time.Minute, Successes: 1, Probes: 2})
		allow(t, b).Success() // closed
		allow(t, b).Success()
		b.Set(breaker.Config{Rate: 20, Minimum: 3, Window: time.Minute})
		require.Equal(t, 1, b.Status().Results)
		b.Set(breaker.Config{Rate: 20, Minimum: 3, Window: time.Hour})
		require.Zero(t, b.Status().Results, "counted by other slices")
		allow(t, b).Success()
		allow(t, b).Success()
		fail(t, b, 1)
		require.True(t, b.IsOpen(), "1 of 3")
	})
}

// onChange may ask and change the breaker, and is told one change after the other.
func TestChange_order(t *testing.T) {
	var told []breaker.State
	var b *breaker.Breaker
	b = breaker.New(breaker.Config{Failures: 1}, func(c breaker.Change) {
		told = append(told, c.To) // twice, with nothing in between
		if len(told) < 6 {
			if c.To == breaker.Opened {
				b.Close()
			} else {
				b.Open()
			}
		}
		told = append(told, c.To)
	})
	fail(t, b, 1)
	require.Equal(t, []breaker.State{
		breaker.Opened, breaker.Opened, breaker.Closed, breaker.Closed, breaker.Opened, breaker.Opened, breaker.Closed, breaker.Closed,
	}, told)
}

// One that panics does not keep others from being told.
func TestChange_panic(t *testing.T) {
	n := 0
	b := breaker.New(breaker.Config{}, func(breaker.Change) {
		if n++; n == 1 {
			panic("boom")
		}
	})
	require.PanicsWithValue(t, "boom", b.Open)
	b.Close()
	require.Equal(t, 2, n)
}

func TestHammer(t *testing.T) {
	var last atomic.Int32 // state that was told last
	b := breaker.New(breaker.Config{Failures: 3, Open: time.Microsecond, Probes: 2}, func(c breaker.Change) {
		if !last.CompareAndSwap(int32(c.From), int32(c.To)) {
			t.Errorf("told of %v to %v after %v", c.From, c.To, breaker.State(last.Load()))
		}
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5000 {
				p, err := b.Allow()
				if err != nil {
					if !errors.Is(err, breaker.ErrOpen) {
						t.Error(err)
					}
					continue
				}
				switch rand.IntN(10) {
				case 0, 1, 2, 3:
					p.Success()
				case 4, 5, 6, 7:
					p.Failure()
				case 8:
					p.Cancel()
				}
				if s := b.Status(); s.Probes > 2 {
					t.Errorf("%d probes", s.Probes)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 1000 {
			[]func(){b.Open, b.Auto, b.Close, b.Auto, func() { b.Set(breaker.Config{Failures: 1 + i%5, Open: time.Microsecond, Probes: 2}) }}[i%5]()
		}
	})
	wg.Wait()
	b.Auto()
	b.Set(breaker.Config{Open: time.Hour}) // or an open one would by now be half-open, which is told only when somebody asks
	require.Equal(t, int32(b.Status().State), last.Load())
}

func TestConfig(t *testing.T) {
	require.NoError(t, breaker.Config{}.Validate())
	require.Equal(t, "failures=5 open=1m0s successes=2 probes=1", breaker.Config{}.String())
	require.Equal(t, "rate=50% window=1m0s minimum=20 open=1m0s successes=2 probes=1", breaker.Config{Rate: 50}.String())
	require.EqualError(t, breaker.Config{Failures: -1, Rate: 101, Window: 1, Minimum: -1, Open: -1, Successes: -1, Probes: 1001}.Validate(),
		`Failures is -1, want 0 (the default) to 1048576
Rate is 101, want 0 (the default) to 100
Minimum is -1, want 0 (the default) to 1048576
Successes is -1, want 0 (the default) to 1048576
Probes is 1001, want 0 (the default) to 1000
Window is 1ns, want 0 (the default) or 10ms and more
Open is -1ns, want 0 (the default) or 1ns and more`)
}

func Example() {
	b := breaker.New(breaker.Config{Failures: 2}, func(c breaker.Change) { fmt.Println(c.From, "->", c.To) })
	for range 3 {
		permit, err := b.Allow()
		if err != nil {
			fmt.Println(errors.Is(err, breaker.ErrOpen), b.IsOpen())
			break
		}
		permit.Failure() // of the request that was made in between
	}
	// Output:
	// closed -> open
	// true true
}

func BenchmarkAllow(b *testing.B) {
	br := breaker.New(breaker.Config{}, nil)
	b.ReportAllocs()
	for b.Loop() {
		p, _ := br.Allow()
		p.Success()
	}
}
