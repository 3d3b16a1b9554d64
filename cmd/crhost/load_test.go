package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
)

// A bucket holds what its ceiling says, and is at most 1/32 wide.
func TestHistogram_buckets(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 63, 64, 65, 127, 128, 1000, time.Millisecond, time.Hour, 1<<63 - 1} {
		top := ceiling(bucket(d))
		require.GreaterOrEqual(t, top, d)
		require.LessOrEqual(t, float64(top-d), float64(d)/32, "%v", d)
		require.Equal(t, bucket(d), bucket(top))
		if top < 1<<63-1 {
			require.Equal(t, bucket(d)+1, bucket(top+1))
		}
	}
	require.Equal(t, 0, bucket(-1))
}

func TestHistogram_quantile(t *testing.T) {
	var h, other histogram
	require.Zero(t, h.quantile(0.5))
	all := make([]time.Duration, 10_000)
	for i := range all {
		all[i] = time.Duration(rand.Int64N(int64(time.Second)))
		if i%2 == 0 {
			h.add(all[i])
		} else {
			other.add(all[i])
		}
	}
	h.merge(&other)
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999} {
		want := all[int(q*float64(len(all)))]
		require.InEpsilon(t, want, h.quantile(q), 1.0/32, "%v", q)
	}
	require.Equal(t, all[len(all)-1], h.quantile(1))
}

func TestLoad_endsAtCount(t *testing.T) {
	l := load{Concurrency: 3, Stores: 2, Duration: time.Hour, Count: 100}
	r := l.run(context.Background(), "k", func(context.Context, string) error { return nil })
	require.Equal(t, uint64(100), r.Actions)
}

func TestLoad_endsAtDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := load{Concurrency: 2, Stores: 1, Duration: 950 * time.Millisecond}
		r := l.run(context.Background(), "k", func(context.Context, string) error { time.Sleep(100 * time.Millisecond); return nil })
		require.Equal(t, uint64(20), r.Actions)
		require.InDelta(t, 1, r.Seconds, 0.001)
		require.InDelta(t, 20, r.Rate, 0.1)
		require.InEpsilon(t, 100*time.Millisecond, r.P99, 1.0/32)
	})
}

func TestLoad_endsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		l := load{Concurrency: 1, Stores: 1, Duration: time.Hour}
		r := l.run(ctx, "k", func(context.Context, string) error { time.Sleep(100 * time.Millisecond); return nil })
		require.InDelta(t, 10, r.Actions, 1)
	})
}

// A refusal is counted; anything else ends the load.
func TestLoad_errors(t *testing.T) {
	l := load{Concurrency: 1, Stores: 1, Duration: time.Hour, Count: 10}
	calls := 0
	r := l.run(context.Background(), "k", func(context.Context, string) error {
		if calls++; calls%2 == 0 {
			return &abi.Error{Code: abi.CodeRejected}
		}
		return nil
	})
	require.Equal(t, uint64(5), r.Actions)
	require.Equal(t, uint64(5), r.Refused)
	require.Equal(t, "rejected", r.First)

	calls = 0
	broken := errors.New("broken")
	r = l.run(context.Background(), "k", func(context.Context, string) error { calls++; return broken })
	require.Equal(t, 1, calls)
	require.Equal(t, broken, r.err)
}
