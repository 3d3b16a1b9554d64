package retry_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/effects/retry"
)

// take makes as many retries as it may, up to most.
func take(b *retry.Budget, most int) (n int) {
	for ; n < most; n++ {
		if _, ok := b.Retry(); !ok {
			break
		}
	}
	return n
}

// E7: a retry budget per target.
func TestE7_budget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := retry.NewBudget(retry.BudgetConfig{})
		require.Equal(t, 100, take(b, 1000), "the reserve")
		for range 50 {
			b.First()
		}
		require.InDelta(t, 10, take(b, 1000), 1, "a fifth of the first attempts")
		take(b, 1)
		time.Sleep(time.Second)
		require.InDelta(t, 10, take(b, 1000), 1, "10 a second")
		time.Sleep(time.Hour)
		require.Equal(t, 100, take(b, 1000), "no more than the reserve")

		b.Set(retry.BudgetConfig{Ratio: -1, PerSecond: 2, Reserve: 3})
		for range 100 {
			b.First()
		}
		require.Zero(t, take(b, 1), "first attempts earn none")
		wait, ok := b.Retry()
		require.False(t, ok)
		require.InDelta(t, 500*time.Millisecond, wait, float64(time.Millisecond))
		time.Sleep(wait - time.Millisecond)
		_, ok = b.Retry()
		require.False(t, ok)
		time.Sleep(time.Millisecond)
		_, ok = b.Retry()
		require.True(t, ok)

		b.Set(retry.BudgetConfig{Ratio: -1, PerSecond: 3, Reserve: 1})
		take(b, 1)
		wait, _ = b.Retry()
		time.Sleep(wait)
		require.Equal(t, 1, take(b, 1000), "a third of a second is no whole number of ns")

		b.Set(retry.BudgetConfig{})
		time.Sleep(time.Hour)
		b.Set(retry.BudgetConfig{Reserve: 1})
		require.Equal(t, 1, take(b, 1000), "what is beyond a smaller reserve is lost")
	})
}

// The two invariants of Budget, whatever happens in between.
func TestBudget_invariants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// rapid would ask a *testing.T for its deadline, which it does not tell in a bubble.
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			c := retry.BudgetConfig{
				Ratio:     rapid.Float64Range(0.01, 1).Draw(t, "ratio"),
				PerSecond: rapid.Float64Range(0.001, 1000).Draw(t, "per second"),
				Reserve:   rapid.Float64Range(1, 20).Draw(t, "reserve"),
			}
			require.NoError(t, c.Validate())
			b, start := retry.NewBudget(c), time.Now()
			firsts, retries := 0, 0
			retryOne := func() time.Duration {
				wait, ok := b.Retry()
				if ok {
					retries++
					require.Zero(t, wait)
					require.LessOrEqual(t, float64(retries), c.Reserve+c.Ratio*float64(firsts)+c.PerSecond*time.Since(start).Seconds()+1e-6)
				}
				return wait
			}
			t.Repeat(map[string]func(*rapid.T){
				"first": func(*rapid.T) { b.First(); firsts++ },
				"retry": func(*rapid.T) { retryOne() },
				"pass":  func(t *rapid.T) { time.Sleep(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "for"))) },
				"wait": func(t *rapid.T) {
					if wait := retryOne(); wait > 0 {
						time.Sleep(wait)
						require.Zero(t, retryOne(), "it said that there would be one")
					}
				},
			})
		})
	})
}

func TestBudget_hammer(t *testing.T) {
	b := retry.NewBudget(retry.BudgetConfig{Ratio: 0.5, PerSecond: 0.001, Reserve: 100})
	var granted atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				b.First()
				granted.Add(int64(take(b, 3)))
				b.Set(retry.BudgetConfig{Ratio: 0.5, PerSecond: 0.001, Reserve: 100})
			}
		})
	}
	wg.Wait()
	granted.Add(int64(take(b, 1000)))
	require.InDelta(t, 100+8000/2, granted.Load(), 2, "none is lost, and none is given twice")
}

func TestBudgetConfig(t *testing.T) {
	require.NoError(t, retry.BudgetConfig{}.Validate())
	require.NoError(t, retry.BudgetConfig{Ratio: -1}.Validate())
	require.Equal(t, "ratio=0.2 per_second=10 reserve=100", retry.BudgetConfig{}.String())
	require.EqualError(t, retry.BudgetConfig{Ratio: 2, PerSecond: -1, Reserve: 0.5}.Validate(), `Ratio is 2, want 0 (the default) or -Inf to 1
PerSecond is -1, want 0 (the default) or 0.001 to 1e+06
Reserve is 0.5, want 0 (the default) or 1 to 1e+06`)
}

func ExampleBudget() {
	b := retry.NewBudget(retry.BudgetConfig{Reserve: 1, Ratio: 1})
	b.First() // earns a retry, and the reserve is full already
	_, ok := b.Retry()
	fmt.Println(ok)
	wait, ok := b.Retry()
	fmt.Println(ok, wait <= 100*time.Millisecond+time.Nanosecond)
	// Output:
	// true
	// false true
}

func BenchmarkBudget(b *testing.B) {
	budget := retry.NewBudget(retry.BudgetConfig{})
	b.ReportAllocs()
	for b.Loop() {
		budget.First()
	}
}
