package peers

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// Result is what one side did.
type Result struct {
	Side    string
	Actions int       // in a round
	Rounds  []float64 // ns per action, by round
}

// Median of the rounds, in ns per action. REQUIRES: there was a round.
func (r Result) Median() float64 {
	sorted := slices.Sorted(slices.Values(r.Rounds))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// Measure runs all sides in turns, about a second a round, and checks their counts. Results are in the order of the package doc. Errors:
// *CountError, ctx's own, and those of the sides.
//
// REQUIRES: rounds > 0.
func (f *Field) Measure(ctx context.Context, rounds int) ([]Result, error) {
	results := make([]Result, len(f.runners))
	for i, r := range f.runners {
		results[i] = Result{Side: r.name, Actions: r.batch}
		// The first calls pay for what is done once: start-up of guests, connections, caches.
		if _, err := r.turn(ctx); err != nil {
			return nil, err
		}
	}
	for round := range rounds {
		for turn := range f.runners {
			i := (round + turn) % len(f.runners)
			took, err := f.runners[i].turn(ctx)
			if err != nil {
				return nil, err
			}
			results[i].Rounds = append(results[i].Rounds, float64(took.Nanoseconds())/float64(results[i].Actions))
		}
	}
	return results, f.check(ctx)
}

// turn runs a batch of actions.
func (r *runner) turn(ctx context.Context) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	runtime.GC()
	start := time.Now()
	err := r.run(ctx, r.batch)
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("run side %s: %w", r.name, err)
	}
	r.total += int64(r.batch)
	return took, nil
}
