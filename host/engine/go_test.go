//go:build !race

package engine_test

import (
	"strings"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/engine/meter"
	"github.com/stretchr/testify/require"
)

// The actions of testdata/goguest.
const (
	goPrint = iota
	goPanic
	goExhaust
	goAllocate
	goClock
	goRandom
	goSleep
)

// TestGo runs a guest in Go, compiled once. It has one goroutine: the race detector would make its compiling take half a minute and see nothing.
func TestGo(t *testing.T) {
	m := load(t, open(t, engine.Config{}), "t", enginetest.BuildGo(t, "./host/engine/testdata/goguest"))
	for name, test := range map[string]func(*testing.T, *engine.Module){
		"imports": testGoImports, "traps": testGoTraps, "time and seed": testGoSeesTheFrame, "memory": testGoMemoryStaysFlat, "log": testGoLogs,
		"fuel": testGoFuelIsExact,
	} {
		t.Run(name, func(t *testing.T) { test(t, m) })
	}
}

// goSay reduces an action of the Go guest and returns what it said.
func goSay(tb testing.TB, i *engine.Instance, in abi.ReduceInput) string {
	tb.Helper()
	var out abi.Output
	require.NoError(tb, i.Reduce(&in, fuel, &out))
	state, err := i.State(in.Slot, in.Ticket)
	require.NoError(tb, err)
	r := pack.NewReader(state)
	said := string(r.Str())
	require.NoError(tb, r.Err())
	return said
}

// A Go guest with fmt, errors, sort, strconv and time imports nothing that the ABI does not list: else it could not be loaded.
func testGoImports(t *testing.T, m *engine.Module) {
	metered, err := meter.Rewrite(enginetest.BuildGo(t, "./host/engine/testdata/goguest"), meter.Limits{})
	require.NoError(t, err)
	var names []string
	for _, im := range metered.Imports {
		names = append(names, im.Name)
	}
	require.Subset(t, abiImports, names)
	require.Contains(t, names, "fd_write")
	i := instantiate(t, m)
	require.Equal(t, "[one three two] 5 true 5ns", goSay(t, i, abi.ReduceInput{Action: goPrint, Seq: 5}))
}

// abiImports is the list in the ABI, "Imports".
var abiImports = []string{
	"log", "args_get", "args_sizes_get", "environ_get", "environ_sizes_get", "clock_time_get", "clock_res_get", "random_get", "fd_write",
	"fd_fdstat_get", "fd_fdstat_set_flags", "fd_prestat_get", "fd_prestat_dir_name", "fd_read", "fd_filestat_get", "fd_close", "fd_seek",
	"poll_oneoff", "sched_yield", "proc_exit",
}

func testGoTraps(t *testing.T, m *engine.Module) {
	for name, test := range map[string]struct {
		in    abi.ReduceInput
		cause engine.Cause
		says  string
	}{
		"panic":         {abi.ReduceInput{Action: goPanic, Seq: 9}, engine.CauseTrap, "panic: the sky fell on 9"},
		"out of memory": {abi.ReduceInput{Action: goExhaust}, engine.CauseTrap, "fatal error: out of memory"},
		"sleep":         {abi.ReduceInput{Action: goSleep}, engine.CauseSleep, "a reducer must not sleep"},
	} {
		t.Run(name, func(t *testing.T) {
			i := instantiate(t, m)
			var out abi.Output
			err := i.Reduce(&test.in, fuel*4, &out)
			var trap *engine.Trap
			require.ErrorAs(t, err, &trap)
			t.Log(trap)
			require.Equal(t, test.cause, trap.Cause)
			require.Contains(t, trap.Error(), test.says)
		})
	}
}

func testGoSeesTheFrame(t *testing.T, m *engine.Module) {
	a, b := instantiate(t, m), instantiate(t, m)
	in := abi.ReduceInput{Action: goClock, Now: 1_700_000_000_000_000_123}
	require.Equal(t, "1700000000000000123 0s", goSay(t, a, in))
	in.Now = 1_600_000_000_000_000_000
	require.Equal(t, "1600000000000000000 0s", goSay(t, a, in), "the clock may go back, elapsed time does not")
	in = abi.ReduceInput{Action: goRandom, Seed: [16]byte{1}}
	require.Equal(t, goSay(t, a, in), goSay(t, b, abi.ReduceInput{Action: goRandom, Seed: [16]byte{2}}),
		"Go's own source is seeded at start-up, from a constant")
}

// A guest with a collector stays small, since Housekeep runs it.
func testGoMemoryStaysFlat(t *testing.T, m *engine.Module) {
	i := instantiate(t, m)
	var out abi.Output
	in := abi.ReduceInput{Action: goAllocate}
	run := func(n int) {
		for range n {
			require.NoError(t, i.Reduce(&in, fuel, &out))
			require.NoError(t, i.Housekeep())
		}
	}
	run(200)
	warm := i.MemoryBytes()
	run(400)
	require.LessOrEqual(t, i.MemoryBytes(), warm+abi.PageBytes)
	t.Logf("guest memory %d KiB after %d KiB", i.MemoryBytes()>>10, warm>>10)
}

func testGoLogs(t *testing.T, m *engine.Module) {
	i := instantiate(t, m)
	var lines []string
	i.OnLog(func(level int, text string) { lines = append(lines, string(rune('0'+level))+" "+text) })
	goSay(t, i, abi.ReduceInput{Action: goPrint, Seq: 1})
	var out abi.Output
	require.Error(t, i.Reduce(&abi.ReduceInput{Action: goPanic}, fuel, &out))
	require.Equal(t, []string{"1 printed [one three two] 1 true 1ns", "2 panic: the sky fell on 0"}, lines[:2])
	require.Contains(t, strings.Join(lines, "\n"), "main.reduce")
}

// Fuel of a Go guest, its collector and its maps included, is the same in every instance that was asked the same, and in the interpreter.
func testGoFuelIsExact(t *testing.T, m *engine.Module) {
	sequence := func(m *engine.Module) (used []int64) {
		i := instantiate(t, m)
		used = append(used, i.Fuel())
		for n := range 40 {
			action := []uint16{goPrint, goAllocate, goClock, goRandom}[n%4]
			goSay(t, i, abi.ReduceInput{Action: action, Seq: uint64(n), Now: int64(n), Seed: [16]byte{byte(n)}})
			require.NoError(t, i.Housekeep())
			used = append(used, i.Fuel())
		}
		return used
	}
	first := sequence(m)
	require.Equal(t, first, sequence(m))
	interpreted := load(t, open(t, engine.Config{Interpreter: true}), "t", enginetest.BuildGo(t, "./host/engine/testdata/goguest"))
	require.Equal(t, first, sequence(interpreted))
}
