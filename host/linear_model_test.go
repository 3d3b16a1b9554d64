package host_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// op is what a client asks of a store.
type op uint8

const (
	opAdd    op = iota // increment by n
	opReset            // to zero
	opRead             // State
	opDelete           // and what comes after begins at seq 1
	opResume           // tells whether the store is there
	opWait             // for seq n
)

// input is one operation.
type input struct {
	key string
	op  op
	n   int64
}

// verdict is how an operation ended. Operations that certainly did nothing and tell nothing (a failed batch, a trap, a full queue, a host
// that shuts down) are not in a history at all.
type verdict uint8

const (
	done     verdict = iota // with the seq, or the state read
	overflow                // rejected by the reducer, which tells of the count
	missing                 // there is no such store or seq
	unknown                 // the caller went away: it may take effect at any time from then on, or never
)

type output struct {
	verdict verdict
	seq     uint64
	count   int64
}

// counterState is a counter store as the model sees it. Seq 0 is a store that does not exist.
type counterState struct {
	seq   uint64
	count int64
}

// counterModel says what one store may answer. Histories are partitioned by store.
var counterModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		var parts [][]porcupine.Operation
		at := make(map[string]int)
		for _, o := range history {
			key := o.Input.(input).key
			i, known := at[key]
			if !known {
				i, at[key] = len(parts), len(parts)
				parts = append(parts, nil)
			}
			parts[i] = append(parts[i], o)
		}
		return parts
	},
	Init: func() any { return counterState{} },
	Step: func(state, in, out any) (bool, any) { return step(state.(counterState), in.(input), out.(output)) },
	DescribeOperation: func(in, out any) string {
		i, o := in.(input), out.(output)
		name := [...]string{"add", "reset", "state", "delete", "resume", "wait"}[i.op]
		result := [...]string{fmt.Sprintf("seq %d count %d", o.seq, o.count), "overflow", "missing", "unknown"}[o.verdict]
		return fmt.Sprintf("%s %s %d: %s", i.key, name, i.n, result)
	},
	DescribeState: func(state any) string { return fmt.Sprintf("%+v", state) },
}

func step(s counterState, in input, out output) (legal bool, next counterState) {
	switch in.op {
	case opAdd, opReset:
		return stepAction(s, in, out)
	case opRead:
		if out.verdict == missing {
			return s.seq == 0, s
		}
		return s.seq != 0 && s == counterState{out.seq, out.count}, s
	case opDelete:
		switch out.verdict {
		case missing:
			return s.seq == 0, s
		case done:
			return s.seq != 0, counterState{}
		}
		return true, counterState{}
	case opResume:
		return (s.seq == 0) == (out.verdict == missing), s
	case opWait:
		return (s.seq < uint64(in.n)) == (out.verdict == missing), s
	}
	return false, s
}

func stepAction(s counterState, in input, out output) (legal bool, next counterState) {
	next = counterState{seq: s.seq + 1}
	overflows := false
	if in.op == opAdd {
		next.count = s.count + in.n
		overflows = in.n > 0 && s.count > math.MaxInt64-in.n || in.n < 0 && s.count < math.MinInt64-in.n
	}
	switch {
	case out.verdict == unknown && overflows:
		return true, s
	case out.verdict == unknown:
		return true, next
	case out.verdict == overflow:
		return overflows, s
	}
	return !overflows && out.seq == next.seq, next
}

// linearizable checks a history, and leaves a picture of one that is not.
func linearizable(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(counterModel, history, time.Minute)
	if result != porcupine.Ok {
		file := filepath.Join(t.ArtifactDir(), "history.html")
		require.NoError(t, porcupine.VisualizePath(counterModel, info, file))
		t.Logf("the history is drawn in %s", file)
	}
	require.Equal(t, porcupine.Ok, result)
}

// long is whether the long versions of tests run.
func long() bool { return os.Getenv("CRHOST_LONG") == "1" }

// The model is of use only if it tells right from wrong.
func TestModel(t *testing.T) {
	add, read := input{op: opAdd, n: 2}, input{op: opRead}
	type step struct {
		in        input
		out       output
		call, ret int64
	}
	for name, tc := range map[string]struct {
		history []step
		want    porcupine.CheckResult
	}{
		"in order":          {[]step{{add, output{seq: 1}, 1, 2}, {read, output{seq: 1, count: 2}, 3, 4}}, porcupine.Ok},
		"wrong count":       {[]step{{add, output{seq: 1}, 1, 2}, {read, output{seq: 1, count: 3}, 3, 4}}, porcupine.Illegal},
		"a seq twice":       {[]step{{add, output{seq: 1}, 1, 2}, {add, output{seq: 1}, 3, 4}}, porcupine.Illegal},
		"a seq left out":    {[]step{{add, output{seq: 1}, 1, 2}, {add, output{seq: 3}, 3, 4}}, porcupine.Illegal},
		"stale read":        {[]step{{add, output{seq: 1}, 1, 2}, {add, output{seq: 2}, 3, 4}, {read, output{seq: 1, count: 2}, 5, 6}}, porcupine.Illegal},
		"concurrent read":   {[]step{{add, output{seq: 1}, 1, 2}, {add, output{seq: 2}, 3, 6}, {read, output{seq: 1, count: 2}, 4, 5}}, porcupine.Ok},
		"read not written":  {[]step{{read, output{seq: 1, count: 2}, 1, 2}}, porcupine.Illegal},
		"unknown happened":  {[]step{{add, output{verdict: unknown}, 1, 99}, {read, output{seq: 1, count: 2}, 3, 4}}, porcupine.Ok},
		"unknown did not":   {[]step{{add, output{verdict: unknown}, 1, 99}, {read, output{verdict: missing}, 3, 4}}, porcupine.Ok},
		"unknown vanished":  {[]step{{add, output{verdict: unknown}, 1, 99}, {read, output{seq: 1, count: 2}, 3, 4}, {read, output{verdict: missing}, 5, 6}}, porcupine.Illegal},
		"deleted":           {[]step{{add, output{seq: 1}, 1, 2}, {input{op: opDelete}, output{}, 3, 4}, {add, output{seq: 1}, 5, 6}}, porcupine.Ok},
		"undead":            {[]step{{add, output{seq: 1}, 1, 2}, {input{op: opDelete}, output{}, 3, 4}, {read, output{seq: 1, count: 2}, 5, 6}}, porcupine.Illegal},
		"false overflow":    {[]step{{add, output{verdict: overflow}, 1, 2}}, porcupine.Illegal},
		"overflow accepted": {[]step{{add, output{seq: 1}, 1, 2}, {input{op: opAdd, n: math.MaxInt64}, output{seq: 2}, 3, 4}}, porcupine.Illegal},
		"waited too soon":   {[]step{{add, output{seq: 1}, 1, 2}, {input{op: opWait, n: 2}, output{}, 3, 4}}, porcupine.Illegal},
		"resumed nobody":    {[]step{{input{op: opResume}, output{}, 1, 2}}, porcupine.Illegal},
	} {
		t.Run(name, func(t *testing.T) {
			var history []porcupine.Operation
			for i, s := range tc.history {
				history = append(history, porcupine.Operation{ClientId: i, Input: s.in, Output: s.out, Call: s.call, Return: s.ret})
			}
			require.Equal(t, tc.want, porcupine.CheckOperationsTimeout(counterModel, history, time.Minute))
		})
	}
}
