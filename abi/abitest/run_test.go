package abitest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/abitest"
	"github.com/crhost/crhost/abi/pack"
)

func TestRun_counterWithoutSDK(t *testing.T) {
	report, err := abitest.Run(context.Background(), open(t, counter), abitest.Config{})
	require.NoError(t, err)
	require.Empty(t, report.Findings, "%s", report)
	require.Len(t, report.Passed, len(abitest.Rules()), "%s", report)
}

// simple makes of the counter a guest that knows nothing of residency: one state, the last.
var simple = strings.NewReplacer(
	`"\a5slots"`+"\n", `"\a4none"`+"\n",
	`(i32.const 217)`, `(i32.const 216)`,
	`(i32.add (i32.const 0x0800) (i32.mul (local.get $slot) (i32.const 24)))`, `(i32.const 0x0800)`,
	`(if (call $holds (local.get $slot) (local.get $ticket))`, `(if (i32.const 0)`, // cr1_evict may do nothing
).Replace(counter)

func TestRun_residencyNone(t *testing.T) {
	report, err := abitest.Run(context.Background(), open(t, simple), abitest.Config{})
	require.NoError(t, err)
	require.Empty(t, report.Findings, "%s", report)
	require.Equal(t, []string{"evict", "leak", "idle"}, report.Inapplicable)
	require.Len(t, report.Passed, len(abitest.Rules())-3)
}

func TestRun_isDeterministic(t *testing.T) {
	reports := make([]*abitest.Report, 3)
	for n := range reports {
		var err error
		reports[n], err = abitest.Run(context.Background(), open(t, mutants[0].source(t)), abitest.Config{Seed: 7, Rounds: 1000})
		require.NoError(t, err)
	}
	require.Equal(t, reports[0], reports[1])
	require.Equal(t, reports[0], reports[2])
}

// A fault behind an action that cannot be derived from the manifest is found by a sample of the caller's.
func TestRun_givenActions(t *testing.T) {
	src := strings.Replace(counter, addition, addition+` (if (i64.eq (local.get $by) (i64.const 99)) (then unreachable))`, 1)
	report, err := abitest.Run(context.Background(), open(t, src), abitest.Config{Rounds: 1000})
	require.NoError(t, err)
	require.True(t, report.OK(), "%s", report)

	action := pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 2), "type"), "increment")
	action = pack.AppendInt(pack.AppendString(action, "by"), 99)
	report, err = abitest.Run(context.Background(), open(t, src), abitest.Config{Rounds: 1000, Actions: [][]byte{action}})
	require.NoError(t, err)
	finding := report.Finding("answers")
	require.NotNil(t, finding, "%s", report)
	require.Contains(t, finding.Detail, `{"type": "increment", "by": 99}`)
}

// The kit finds out that id takes a string, and reaches what only a string reaches.
func TestRun_learnsForms(t *testing.T) {
	src := strings.NewReplacer(
		`(i64.const 0x7962)`, `(i64.const 0x6469)`, // "id" for "by"
		`(local.set $default (call $int))`,
		`(local.set $default (if (result i64) (i32.eq (local.get $size) (i32.const 2)) (then (call $string)) (else (call $int))))`,
		addition, addition+` (if (i64.eq (local.get $by) (i64.const 9)) (then unreachable))`,
	).Replace(counter)
	report, err := abitest.Run(context.Background(), open(t, src), abitest.Config{Rounds: 1000})
	require.NoError(t, err)
	finding := report.Finding("answers")
	require.NotNil(t, finding, "%s", report)
	require.Contains(t, finding.Detail, `"id": "sample `)
}

func TestRun_nothingAccepted(t *testing.T) {
	src := strings.Replace(counter, `(if (i64.lt_s (local.get $over) (i64.const 0))`, `(if (i32.const 1)`, 1)
	report, err := abitest.Run(context.Background(), open(t, src), abitest.Config{})
	require.NoError(t, err)
	require.Len(t, report.Findings, 1, "%s", report)
	require.Equal(t, "coverage", report.Findings[0].Rule)
	require.Equal(t, abitest.Error, report.Findings[0].Severity, "a run that saw nothing proves nothing")
}

func TestRun_declaredEffects(t *testing.T) {
	src := strings.NewReplacer(
		`"\87"`, `"\88" "\a7effects" "\91\82\a4kind\a4call\a7targets\91\a2x*"`,
		`(i32.const 217)`, `(i32.const 249)`,
		`(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))`+"\n\n  ;; Traps", `(i32.const 23) (i32.const 0) (i32.const 0) (i32.const 0x03d0)))
		 (data (i32.const 0x03d0) "\91\82\a4kind\a4call\a6target\a3xyz")`+"\n\n  ;; Traps",
	).Replace(counter)
	report, err := abitest.Run(context.Background(), open(t, src), abitest.Config{Rounds: 1000})
	require.NoError(t, err)
	require.Empty(t, report.Findings, "%s", report)
	require.Equal(t, abi.KindCall, report.Manifest.Effects[0].Kind)
}

// Findings come in the order of the rules, whichever check ran into them.
func TestReport_order(t *testing.T) {
	var both mutant
	for _, m := range mutants {
		if m.name == "effects that are no list" || m.name == "a code without rejection" {
			both.replace = append(both.replace, m.replace...)
		}
	}
	report, err := abitest.Run(context.Background(), open(t, both.source(t)), abitest.Config{})
	require.NoError(t, err)
	require.Len(t, report.Findings, 2)
	require.Equal(t, "status", report.Findings[0].Rule)
	require.Equal(t, "effects", report.Findings[1].Rule)
	require.Contains(t, report.String(), "2 findings")
}

func TestRun_errors(t *testing.T) {
	ctx := context.Background()
	broken := errors.New("no memory for an instance")
	_, err := abitest.Run(ctx, func(context.Context) (abitest.Guest, error) { return nil, broken }, abitest.Config{})
	require.ErrorIs(t, err, broken)

	_, err = abitest.Run(ctx, open(t, counter), abitest.Config{Actions: [][]byte{{0x80}}})
	require.ErrorContains(t, err, "sample action 0: msgpack at byte 1: the action has no type")

	action := pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 1), "type"), "explode")
	_, err = abitest.Run(ctx, open(t, counter), abitest.Config{Actions: [][]byte{action}})
	require.ErrorContains(t, err, `sample action 0: the guest has no action "explode"`)

	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_, err = abitest.Run(ctx, open(t, counter), abitest.Config{})
	require.ErrorIs(t, err, context.Canceled)
}

// closing counts the instances that are open.
type closing struct {
	abitest.Guest
	open *int
}

func (c closing) Close() error {
	*c.open--
	return c.Guest.Close()
}

func TestRun_closesInstances(t *testing.T) {
	for _, src := range []string{counter, mutants[2].source(t)} {
		opened, now := 0, 0
		inner := open(t, src)
		_, err := abitest.Run(context.Background(), func(ctx context.Context) (abitest.Guest, error) {
			g, err := inner(ctx)
			opened++
			now++
			return closing{g, &now}, err
		}, abitest.Config{Rounds: 1000})
		require.NoError(t, err)
		require.Positive(t, opened)
		require.Zero(t, now)
	}
}

func TestRules_areSentences(t *testing.T) {
	names := map[string]bool{}
	for _, rule := range abitest.Rules() {
		require.Regexp(t, `^[a-z_]+$`, rule.Name)
		require.Regexp(t, `^[A-Zc].*\.$`, rule.Statement)
		require.False(t, names[rule.Name], "rule %s twice", rule.Name)
		names[rule.Name] = true
	}
}

func ExampleRun() {
	ctx := context.Background()
	src, err := os.ReadFile("testdata/counter.wat")
	if err != nil {
		panic(err)
	}
	module, err := compile(ctx, strings.Replace(string(src), evicting, `(if (i32.const 0)`, 1)) // one that forgets to evict
	if err != nil {
		panic(err)
	}
	defer module.close(ctx)

	report, err := abitest.Run(ctx, module.open, abitest.Config{Rounds: 1000})
	if err != nil {
		panic(err)
	}
	for _, finding := range report.Findings {
		fmt.Println(finding)
	}
	fmt.Println("unproven:", report.Unproven)
	fmt.Println(len(report.Passed), "of", len(abitest.Rules()), "rules passed")
	// Output:
	// error: evict: cr1_state answers OK after cr1_evict
	// unproven: [leak]
	// 25 of 27 rules passed
}
