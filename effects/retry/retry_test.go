package retry_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/effects/retry"
)

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// E7: the seed's defaults.
func TestE7_defaults(t *testing.T) {
	require.Equal(t, retry.Policy{
		Initial: 100 * time.Millisecond, Multiplier: 2, Max: 30 * time.Second, Retries: 5, Timeout: 30 * time.Second, OnOpen: retry.Park, ParkLimit: 24 * time.Hour,
	}, retry.Policy{}.OrDefault())
	require.Equal(t, "initial=100ms multiplier=2 max=30s retries=5 timeout=30s on_open=park park_limit=24h0m0s", retry.Policy{}.String())
	require.Equal(t, 6, retry.Policy{}.Attempts())
	require.Equal(t, 1, retry.Policy{Retries: -1}.Attempts())
	require.Equal(t, time.Minute, retry.Policy{Initial: time.Minute}.OrDefault().Max)
}

// E7: full jitter. Over many draws the delays fill [0, d], and nothing but it.
func TestE7_delay(t *testing.T) {
	p, r := retry.Policy{Initial: 100 * time.Millisecond, Max: time.Second}, seeded()
	for attempt, longest := range []time.Duration{100, 100, 200, 400, 800, 1000, 1000} { // attempt 0 counts as 1
		longest *= time.Millisecond
		var low, high, sum time.Duration = math.MaxInt64, 0, 0
		const draws = 20_000
		for range draws {
			d := p.Delay(attempt, r)
			low, high, sum = min(low, d), max(high, d), sum+d
		}
		require.GreaterOrEqual(t, low, time.Duration(0))
		require.LessOrEqual(t, high, longest)
		require.Less(t, low, longest/100)
		require.Greater(t, high, longest-longest/100)
		require.InEpsilon(t, float64(longest)/2, float64(sum)/draws, 0.02, "attempt %d", attempt)
	}
	require.NotEqual(t, p.Delay(6, nil), p.Delay(6, nil), "chance is the runtime's")
}

func TestPolicy_delayBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := retry.Policy{
			Initial:    time.Duration(rapid.Int64Min(0).Draw(t, "initial")),
			Multiplier: rapid.Float64Range(1, math.MaxFloat64).Draw(t, "multiplier"),
			Max:        math.MaxInt64,
			Retries:    retry.MaxRetries,
		}
		require.NoError(t, p.Validate())
		attempt := rapid.IntRange(1, retry.MaxRetries).Draw(t, "attempt")
		require.GreaterOrEqual(t, p.Delay(attempt, nil), time.Duration(0))
		d, again := p.Next(attempt, retry.After(time.Hour, io.EOF), nil)
		require.True(t, again)
		require.GreaterOrEqual(t, d, time.Hour)
	})
}

// highest is a source of chance that gives the highest of numbers.
type highest struct{}

func (highest) Uint64() uint64 { return math.MaxUint64 }

func TestPolicy_longest(t *testing.T) {
	p := retry.Policy{Initial: math.MaxInt64, Max: math.MaxInt64}
	require.Equal(t, time.Duration(math.MaxInt64-1), p.Delay(9, rand.New(highest{})))
	d, again := p.Next(1, retry.After(time.Hour, io.EOF), rand.New(highest{}))
	require.True(t, again)
	require.Equal(t, time.Duration(math.MaxInt64), d)
}

// E7: what is not marked permanent is retried; Retry-After is honoured.
func TestE7_next(t *testing.T) {
	p, r := retry.Policy{Max: 10 * time.Second}, seeded()
	boom := errors.New("boom")
	for attempt := 1; attempt <= 5; attempt++ {
		d, again := p.Next(attempt, boom, r)
		require.True(t, again)
		require.LessOrEqual(t, d, time.Second*16/10)
		_, again = p.Next(attempt, fmt.Errorf("charge: %w", retry.Permanent(boom)), r)
		require.False(t, again)
	}
	_, again := p.Next(6, boom, r)
	require.False(t, again, "5 retries are over")

	d, again := p.Next(1, retry.After(time.Minute, boom), r)
	require.True(t, again)
	require.GreaterOrEqual(t, d, time.Minute, "longer than Max, as the peer wants it")
	require.LessOrEqual(t, d, time.Minute+100*time.Millisecond)
	_, again = p.Next(1, retry.After(time.Minute, retry.Permanent(boom)), r)
	require.False(t, again)
	_, again = retry.Policy{Retries: -1}.Next(1, boom, r)
	require.False(t, again)
}

func TestErrors(t *testing.T) {
	require.NoError(t, retry.Permanent(nil))
	require.NoError(t, retry.After(time.Second, nil))
	boom := errors.New("boom")
	for _, err := range []error{retry.Permanent(boom), retry.After(time.Second, boom)} {
		require.ErrorIs(t, err, boom)
		require.EqualError(t, err, "boom")
	}
	require.False(t, retry.IsPermanent(nil))
	require.False(t, retry.IsPermanent(boom))
	require.True(t, retry.IsPermanent(errors.Join(boom, fmt.Errorf("x: %w", retry.Permanent(boom)))))
	_, ok := retry.AfterOf(boom)
	require.False(t, ok)
	for asked, want := range map[time.Duration]time.Duration{-time.Second: 0, 0: 0, time.Minute: time.Minute, 1000 * time.Hour: retry.MaxAfter} {
		d, ok := retry.AfterOf(fmt.Errorf("x: %w", retry.Permanent(retry.After(asked, boom))))
		require.True(t, ok)
		require.Equal(t, want, d)
	}
	d, _ := retry.AfterOf(retry.After(time.Second, retry.After(time.Minute, boom)))
	require.Equal(t, time.Second, d, "the outermost")
}

func TestPolicy_validate(t *testing.T) {
	require.NoError(t, retry.Policy{}.Validate())
	require.EqualError(t, retry.Policy{
		Initial: -1, Multiplier: math.NaN(), Max: -2, Retries: 1001, Timeout: -3, OnOpen: "drop", ParkLimit: -4,
	}.Validate(), `Initial is -1ns, want 0 (the default) or more
Max is -2ns, want 0 (the default) or more
Timeout is -3ns, want 0 (the default) or more
ParkLimit is -4ns, want 0 (the default) or more
Multiplier is NaN, want 0 (the default) or 1 and more
Retries is 1001, want 0 (the default), below (none) or up to 1000
OnOpen is drop, want park (the default) or deadletter`)
	require.EqualError(t, retry.Policy{Max: time.Millisecond}.Validate(), "Max is 1ms, want 0 (the default) or Initial, 100ms, and more")
	require.Error(t, retry.Policy{Multiplier: 0.5}.Validate())
	require.Error(t, retry.Policy{Multiplier: math.Inf(1)}.Validate())
}

func ExamplePolicy_Next() {
	p := retry.Policy{Initial: time.Second, Retries: 1}
	r := rand.New(rand.NewPCG(1, 2))
	fmt.Println(p.Next(1, errors.New("unavailable"), r))
	fmt.Println(p.Next(2, errors.New("unavailable"), r))
	fmt.Println(p.Next(1, retry.Permanent(errors.New("no such card")), r))
	fmt.Println(p)
	// Output:
	// 769.37327ms true
	// 0s false
	// 0s false
	// initial=1s multiplier=2 max=30s retries=1 timeout=30s on_open=park park_limit=24h0m0s
}
