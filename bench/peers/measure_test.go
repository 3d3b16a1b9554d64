package peers

import (
	"context"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestField_allSidesCountTheSame(t *testing.T) {
	ctx := context.Background()
	f, err := Open(ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	for _, r := range f.runners {
		r.batch = 100
	}
	results, err := f.Measure(ctx, 2)
	require.NoError(t, err)

	var sides []string
	for _, r := range results {
		sides = append(sides, r.Side)
		require.Len(t, r.Rounds, 2, r.Side)
		require.Positive(t, slices.Min(r.Rounds), r.Side)
	}
	require.Equal(t, []string{Ours, OursSend, Extism, ExtismTimeout, ExtismLean, GoPlugin}, sides)
	for _, r := range f.runners {
		count, err := r.count(ctx)
		require.NoError(t, err, r.name)
		require.EqualValues(t, 3*100*By, count, "side %s: a turn to warm up and two to measure", r.name)
	}

	process := f.runners[len(f.runners)-1].side.(*goPluginSide).process.ReattachConfig().Pid
	require.NoError(t, syscall.Kill(process, 0))
	require.NoError(t, f.Close())
	require.ErrorIs(t, syscall.Kill(process, 0), syscall.ESRCH, "the plug-in process is ended and waited for")
	require.NoDirExists(t, f.dir)
}

// forgetful is the mutant: a side that loses an action of each turn.
type forgetful struct{ sum int64 }

func (s *forgetful) run(_ context.Context, n int) error {
	s.sum += int64(n-1) * By
	return nil
}
func (s *forgetful) count(context.Context) (int64, error) { return s.sum, nil }
func (s *forgetful) close() error                         { return nil }

func TestMeasure_sideThatLosesActions(t *testing.T) {
	f := &Field{runners: []*runner{{name: "forgetful", batch: 10, side: &forgetful{}}}}
	_, err := f.Measure(context.Background(), 4)
	var wrong *CountError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, CountError{Side: "forgetful", Want: 50 * By, Have: 45 * By}, *wrong)
}

func TestMeasure_canceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f := &Field{runners: []*runner{{name: "forgetful", batch: 10, side: &forgetful{}}}}
	_, err := f.Measure(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
}

func TestResult_Median(t *testing.T) {
	for _, c := range []struct {
		rounds []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{9, 1, 3}, 3},
		{[]float64{100, 1, 3, 5}, 4},
	} {
		require.Equal(t, c.want, Result{Rounds: c.rounds}.Median())
	}
}

func results(ours float64) []Result {
	var all []Result
	for _, side := range []struct {
		name string
		ns   float64
	}{{Ours, ours}, {OursSend, 700}, {Extism, 41800}, {ExtismTimeout, 64500}, {ExtismLean, 23000}, {GoPlugin, 56000}} {
		all = append(all, Result{Side: side.name, Actions: 10, Rounds: []float64{side.ns, side.ns - 1, side.ns + 1}})
	}
	return all
}

func TestReport(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Report(&b, results(153.1)))
	_, comparisons, _ := strings.Cut(b.String(), "reduce vs")
	require.Equal(t, `reduce vs extism ours=153ns theirs=41800ns ratio=273
reduce vs extism-timeout ours=153ns theirs=64500ns ratio=421
reduce vs extism-lean ours=153ns theirs=23000ns ratio=150
reduce vs go-plugin ours=153ns theirs=56000ns ratio=366
send vs extism ours=700ns theirs=41800ns ratio=60
send vs go-plugin ours=700ns theirs=56000ns ratio=80
`, "reduce vs"+comparisons)
	require.Contains(t, b.String(), "# ours                  153  (152 to 154 over 3 rounds of 10)\n")
}

func TestReport_belowThePromise(t *testing.T) {
	var b strings.Builder
	err := Report(&b, results(841))
	require.ErrorIs(t, err, ErrBelow)
	require.EqualError(t, err, "below the promised ratio: reduce vs extism is 49.7, want at least 50\n"+
		"below the promised ratio: reduce vs go-plugin is 66.6, want at least 100")
	require.Contains(t, b.String(), "ratio=50\n", "the lines are printed all the same")
}

// broken is a writer on a full disk.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestReport_writerFails(t *testing.T) {
	require.ErrorIs(t, Report(broken{}, results(153)), os.ErrClosed)
	require.ErrorIs(t, Benchfmt(broken{}, results(153)), os.ErrClosed)
}

func TestBenchfmt(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Benchfmt(&b, results(153)[:1]))
	require.True(t, strings.HasSuffix(b.String(), `pkg: github.com/crhost/crhost/bench/peers
BenchmarkReduce/side=ours 10 153.0 ns/op
BenchmarkReduce/side=ours 10 152.0 ns/op
BenchmarkReduce/side=ours 10 154.0 ns/op
`), b.String())
}

func TestBuild_failure(t *testing.T) {
	err := buildProgram(context.Background(), module+"/bench/nothing", t.TempDir()+"/nothing")
	require.ErrorContains(t, err, "build github.com/crhost/crhost/bench/nothing: ")
}
