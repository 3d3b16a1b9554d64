package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/stretchr/testify/require"
)

// hostile lists the guests of testdata/hostile: what their reduce is answered with.
var hostile = map[string]struct {
	cause engine.Cause
	err   string
}{
	"trap":          {engine.CauseTrap, "cr1_reduce: integer divide by zero in divide"},
	"unreachable":   {engine.CauseTrap, "cr1_reduce: unreachable in abort"},
	"table":         {engine.CauseTrap, "cr1_reduce: invalid table access in $0"},
	"memory":        {engine.CauseTrap, "cr1_reduce: out of bounds memory access in $0"},
	"log_pointer":   {engine.CauseTrap, "cr1_reduce: crhost.log of bytes outside memory in $1"},
	"spin":          {engine.CauseFuel, "cr1_reduce: out of fuel, the limit is 10000000 in spin"},
	"grow":          {engine.CauseFuel, "cr1_reduce: out of fuel, the limit is 10000000 in $0"},
	"bulk":          {engine.CauseFuel, "cr1_reduce: out of fuel, the limit is 10000000 in $0"},
	"random":        {engine.CauseFuel, "cr1_reduce: out of fuel, the limit is 10000000 in $1"},
	"vectors":       {engine.CauseFuel, "cr1_reduce: out of fuel, the limit is 10000000 in $1"},
	"recursion":     {engine.CauseDepth, "cr1_reduce: calls nested too deep, the limit is 10000 units in deeper"},
	"exit":          {engine.CauseExit, "cr1_reduce: exit with status 2 in die: panic: oops"},
	"sleep":         {engine.CauseSleep, "cr1_reduce: a reducer must not sleep in $1"},
	"flood":         {engine.CauseLog, "cr1_reduce: more than 65536 bytes written in $1"},
	"empty_flood":   {engine.CauseFuel, "cr1_reduce: out of fuel, the limit is 10000000 in $1"},
	"bad_pointer":   {engine.CauseOutput, "cr1_reduce: output: the frame [4294967288, 4294967320) is outside memory of 131072 bytes"},
	"bad_length":    {engine.CauseOutput, "cr1_reduce: output: the frame [64, 4294967359) is outside memory of 131072 bytes"},
	"unaligned":     {engine.CauseOutput, "cr1_reduce: output: the frame at 0x44 is not 8-aligned"},
	"short":         {engine.CauseOutput, "cr1_reduce: output frame: 16 bytes are fewer than its header of 32"},
	"section":       {engine.CauseOutput, "cr1_reduce: output frame: body of 4096 bytes, 0 are left"},
	"trailing":      {engine.CauseOutput, "cr1_reduce: output frame: 8 bytes after the last section"},
	"frame_version": {engine.CauseOutput, "cr1_reduce: output frame: frame version 2, want 1"},
	"status":        {engine.CauseOutput, "cr1_reduce: output frame: unknown status 9"},
	"flag":          {engine.CauseOutput, "cr1_reduce: output frame: unknown flags 0x40"},
	"no_such_slot":  {engine.CauseOutput, "cr1_reduce: output: status NO_SUCH_SLOT in answer to mode FRESH"},
	"no_code":       {engine.CauseOutput, `cr1_reduce: output: rejection code "" is not 1 to 64 of a-z, 0-9, _ and .`},
	"oversized":     {engine.CauseOutput, "cr1_reduce: output: effects of 300000 bytes, the limit is 262144"},
	"text":          {engine.CauseOutput, "cr1_reduce: output: a text of 2000 bytes, the limit is 1024"},
}

// littleFuel keeps the guests that never end short.
const littleFuel = 10_000_000

func hostileGuest(tb testing.TB, name string) []byte {
	tb.Helper()
	return enginetest.Guest(tb, hostileSource(tb, name))
}

func hostileSource(tb testing.TB, name string) string {
	tb.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", "hostile", name+".wat"))
	require.NoError(tb, err)
	return string(src)
}

func reduceHostile(i *engine.Instance) error { return reduceOn(i, littleFuel) }

func reduceOn(i *engine.Instance, fuel int64) error {
	var out abi.Output
	in := abi.ReduceInput{Mode: abi.Fresh, Ticket: 1, Seq: 1, Body: enginetest.Action("increment")}
	return i.Reduce(&in, fuel, &out)
}

func TestHostile(t *testing.T) {
	files, err := filepath.Glob("testdata/hostile/*.wat")
	require.NoError(t, err)
	require.Len(t, files, len(hostile), "every guest is in the table")
	e := open(t, engine.Config{})
	for name, want := range hostile {
		t.Run(name, func(t *testing.T) {
			m := load(t, e, "t", hostileGuest(t, name))
			i := instantiate(t, m)
			err := reduceHostile(i)
			var trap *engine.Trap
			require.ErrorAs(t, err, &trap)
			require.Equal(t, want.cause, trap.Cause)
			require.Equal(t, want.err, trap.Error())
			require.GreaterOrEqual(t, trap.Fuel, int64(0))

			require.True(t, i.Poisoned())
			require.ErrorIs(t, reduceHostile(i), engine.ErrPoisoned)
			_, err = i.State(0, 1)
			require.ErrorIs(t, err, engine.ErrPoisoned)
			require.ErrorIs(t, i.Evict(0, 1), engine.ErrPoisoned)
			for range engine.HousekeepingCalls {
				if err = i.Housekeep(); err != nil {
					break
				}
			}

			again := instantiate(t, m)
			require.EqualError(t, reduceHostile(again), want.err, "a fresh instance does the same")
			require.Equal(t, trap.Fuel, again.Fuel())
		})
	}
}

// A thousand poisoned instances leave nothing behind; the goroutines are for TestMain to count.
func TestHostile_leaksNothing(t *testing.T) {
	e := open(t, engine.Config{})
	names := []string{"trap", "recursion", "memory", "exit", "bad_pointer", "oversized", "flood"}
	var modules []*engine.Module
	small := enginetest.Manifest()
	small.Limits.MemoryPages = 32 // a bomb of 64 MiB would take the most of the test
	for _, name := range names {
		modules = append(modules, load(t, e, "t", enginetest.GuestWith(t, small, hostileSource(t, name))))
	}
	counter := instantiate(t, load(t, e, "t", enginetest.Counter(t)))
	send(t, counter, abi.Fresh, 0, 1)
	round := func(n int) uint64 {
		for k := range n {
			m := modules[k%len(modules)]
			i, err := m.Instantiate(context.Background(), nil)
			require.NoError(t, err)
			require.Error(t, reduceHostile(i))
			require.NoError(t, i.Close())
			send(t, counter, abi.Resident, 0, 1)
		}
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := round(50)
	after := round(1000)
	require.Less(t, after, before+before/20+256<<10)
	require.EqualValues(t, 1051, count(t, counter, 0), "its neighbour is untouched")
}

// Every cause is met by some guest.
func TestCauses(t *testing.T) {
	met := map[engine.Cause]bool{}
	for _, h := range hostile {
		met[h.cause] = true
	}
	for _, c := range engine.Causes() {
		require.True(t, met[c], c)
	}
	require.Len(t, met, len(engine.Causes()))
}
