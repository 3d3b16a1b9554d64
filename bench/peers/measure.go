package peers

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// Plan says how long to measure.
type Plan struct {
	Rounds int // how many rounds; the median is over them
	Divide int // runs each side that many times shorter; 0 and 1 are full length
}

// Result is what one side did.
type Result struct {
	Side    string
	Actions int       // in a round
	Rounds  []float64 // ns per action, by round
}

// Median of the rounds, in ns per action.
func (r Result) Median() float64 {
	sorted := slices.Sorted(slices.Values(r.Rounds))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// Measure runs all sides in turns and checks their counts. Results are in the order of the package doc. Errors: *CountError, ctx's own,
// and those of the sides.
func (f *Field) Measure(ctx context.Context, plan Plan) ([]Result, error) {
	results := make([]Result, len(f.runners))
	for i, r := range f.runners {
		results[i] = Result{Side: r.name, Actions: max(1, r.batch/max(1, plan.Divide))}
		// The first calls pay for what is done once: start-up of guests, connections, caches.
		if _, err := r.measure(ctx, results[i].Actions); err != nil {
			return nil, err
		}
	}
	for round := range plan.Rounds {
		for turn := range f.runners {
			i := (round + turn) % len(f.runners) // so that no side always follows the same one
			took, err := f.runners[i].measure(ctx, results[i].Actions)
			if err != nil {
				return nil, err
			}
			results[i].Rounds = append(results[i].Rounds, float64(took.Nanoseconds())/float64(results[i].Actions))
		}
	}
	return results, f.Check(ctx)
}

// measure runs n actions.
func (r *runner) measure(ctx context.Context, n int) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	runtime.GC()
	start := time.Now()
	err := r.run(ctx, n)
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("run side %s: %w", r.name, err)
	}
	r.total += int64(n)
	return took, nil
}
