package peers

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
)

// comparison is a line of the report. The ratio is theirs / ours.
type comparison struct {
	what, ours, theirs string
	least              float64 // the ratio that we promise; 0 for none
}

func comparisons() []comparison {
	return []comparison{
		{"reduce", Ours, Extism, 50},
		{"reduce", Ours, ExtismTimeout, 0},
		{"reduce", Ours, ExtismLean, 0},
		{"reduce", Ours, GoPlugin, 100},
		{"send", OursSend, Extism, 0},
		{"send", OursSend, GoPlugin, 0},
	}
}

// ErrBelow is joined into Report's error when a ratio is less than what we promise.
var ErrBelow = errors.New("below the promised ratio")

// Report prints a line per comparison, and above them what was measured, in lines that begin with #. Errors: ErrBelow, and those of w.
func Report(w io.Writer, results []Result) error {
	p := printer{w: w}
	p.printf("# %s %s/%s, %d CPUs; ns per action, medians\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, r := range results {
		p.printf("# %-15s %9.0f  (%.0f to %.0f over %d rounds of %d)\n", r.Side, r.Median(), slices.Min(r.Rounds), slices.Max(r.Rounds), len(r.Rounds), r.Actions)
	}
	var below []error
	for _, c := range comparisons() {
		ours, theirs := median(results, c.ours), median(results, c.theirs)
		ratio := theirs / ours
		p.printf("%s vs %s ours=%.0fns theirs=%.0fns ratio=%.0f\n", c.what, c.theirs, ours, theirs, ratio)
		if ratio < c.least {
			below = append(below, fmt.Errorf("%w: %s vs %s is %.1f, want at least %.0f", ErrBelow, c.what, c.theirs, ratio, c.least))
		}
	}
	return errors.Join(append(below, p.err)...)
}

// Benchfmt prints every round in the form that benchstat reads.
func Benchfmt(w io.Writer, results []Result) error {
	p := printer{w: w}
	p.printf("goos: %s\ngoarch: %s\npkg: %s/bench/peers\n", runtime.GOOS, runtime.GOARCH, module)
	for _, r := range results {
		for _, ns := range r.Rounds {
			p.printf("BenchmarkReduce/side=%s %d %.1f ns/op\n", r.Side, r.Actions, ns)
		}
	}
	return p.err
}

func median(results []Result, name string) float64 {
	i := slices.IndexFunc(results, func(r Result) bool { return r.Side == name })
	return results[i].Median()
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
