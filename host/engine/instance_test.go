package engine_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/stretchr/testify/require"
)

// Fuel is an exact function of the module and the calls made: the same in the compiler, in the interpreter, and in every instance.
func TestFuel_isExact(t *testing.T) {
	sequence := func(i *engine.Instance) (used []int64) {
		r := rand.New(rand.NewPCG(1, 2))
		for n := range 300 {
			send(t, i, []abi.Mode{abi.Fresh, abi.Resident, abi.Resident}[min(n%7, 2)], 0, r.Int64N(1<<40)-1<<39)
			used = append(used, i.Fuel())
			count(t, i, 0)
			used = append(used, i.Fuel())
			require.NoError(t, i.Housekeep())
		}
		return used
	}
	compiler, interpreter := open(t, engine.Config{}), open(t, engine.Config{Interpreter: true})
	m := load(t, compiler, "t", enginetest.Counter(t))
	first := sequence(instantiate(t, m))
	require.Equal(t, first, sequence(instantiate(t, m)))
	require.Equal(t, first, sequence(instantiate(t, load(t, interpreter, "t", enginetest.Counter(t)))))
}

// The same trap costs the same fuel wherever it happens, whatever the limit.
func TestFuel_ofTrapsIsExact(t *testing.T) {
	for _, name := range []string{"spin", "bulk", "flood", "exit", "random"} {
		var used []int64
		for _, interpreter := range []bool{false, true} {
			i := instantiate(t, load(t, open(t, engine.Config{Interpreter: interpreter}), "t", hostileGuest(t, name)))
			require.Error(t, reduceOn(i, littleFuel/10))
			used = append(used, i.Fuel())
		}
		require.Equal(t, used[0], used[1], name)
	}
}

// A call that overdraws its fuel on the way out, where nothing looks at the counter, is out of fuel all the same: with one unit less than
// it uses, and with any less.
func TestFuel_overdrawnAtTheEnd(t *testing.T) {
	wasm := enginetest.Guest(t, `(func (export "cr1_reduce") (param $len i32) (result i64) (local $span i64)
	  (local.set $span (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))
	  (if (local.get $len) (then (local.set $len (i32.mul (local.get $len) (i32.const 3)))))
	  (local.get $span))`)
	m := load(t, open(t, engine.Config{}), "t", wasm)
	in := abi.ReduceInput{Mode: abi.Fresh, Body: enginetest.Action("increment", 1)}
	var out abi.Output
	i := instantiate(t, m)
	require.NoError(t, i.Reduce(&in, fuel, &out))
	used := i.Fuel()
	require.NoError(t, instantiate(t, m).Reduce(&in, used, &out), "exactly enough")
	for short := int64(1); short <= used; short++ {
		err := instantiate(t, m).Reduce(&in, used-short, &out)
		var trap *engine.Trap
		require.ErrorAs(t, err, &trap, "%d short", short)
		require.Equal(t, engine.CauseFuel, trap.Cause)
	}
}

// A call that returns leaves the depth as it found it, whichever way it returned: each next call may nest as deep as the first.
func TestDepth_isGivenBack(t *testing.T) {
	i := guest(t, enginetest.Guest(t, `
		(func $down (param $n i32) (result i32)
		  (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
		  (block $out
		    (br_if $out (i32.and (local.get $n) (i32.const 1)))
		    (return_call $down (i32.sub (local.get $n) (i32.const 1))))
		  (call $down (i32.sub (local.get $n) (i32.const 1))))
		(func (export "cr1_reduce") (param i32) (result i64)
		  (drop (call $down (i32.const 1000)))
		  (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))`))
	before := engine.DepthLeft(i)
	var out abi.Output
	for range 100 {
		require.NoError(t, i.Reduce(&abi.ReduceInput{}, fuel, &out))
		require.Equal(t, before, engine.DepthLeft(i))
	}
}

// The stack that a deep call left behind on the host's heap is given back by housekeeping.
func TestHousekeep_givesStackBack(t *testing.T) {
	i := guest(t, enginetest.Guest(t, `
		(func $down (param $n i32) (result i32)
		  (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
		  (i32.add (call $down (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
		(func (export "cr1_reduce") (param i32) (result i64)
		  (drop (call $down (i32.load16_u (i32.const 65542))))
		  (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))`))
	heap := func(depth uint16, calls int) int {
		var out abi.Output
		for range calls {
			require.NoError(t, i.Reduce(&abi.ReduceInput{Action: depth}, fuel, &out))
			require.NoError(t, i.Housekeep())
		}
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc)
	}
	before := heap(1, 1)
	require.Greater(t, heap(9000, 1), before+256<<10)
	require.Less(t, heap(1, engine.HousekeepingCalls), before+64<<10)
}

const clockAndRandom = `
	(import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
	(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
	(func (export "cr1_reduce") (param i32) (result i64)
	  (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 96)))
	  (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 104)))
	  (drop (call $random (i32.const 112) (i32.const 8)))
	  (drop (call $random (i32.const 120) (i32.const 8)))
	  (call $answer (i32.const 0) (i32.const 0) (i32.const 32)))
	(func (export "cr1_state") (param i32 i64) (result i64)
	  (i32.store8 (i32.const 96) (i32.const 0xc4)) ;; 16 bytes of binary
	  (i32.store8 (i32.const 97) (i32.const 16))
	  (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 98)))
	  (drop (call $random (i32.const 106) (i32.const 8)))
	  (call $answer (i32.const 0) (i32.const 0) (i32.const 18)))
	(func (export "cr1_evict") (param i32 i64))`

func TestEnvironment(t *testing.T) {
	i := guest(t, enginetest.Guest(t, clockAndRandom))
	reduce := func(now int64, seed byte) (realtime, monotonic int64, r1, r2 uint64) {
		var out abi.Output
		require.NoError(t, i.Reduce(&abi.ReduceInput{Now: now, Seed: [16]byte{seed}}, fuel, &out))
		u := func(at int) uint64 { return binary.LittleEndian.Uint64(out.Body[at:]) }
		return int64(u(0)), int64(u(8)), u(16), u(24)
	}
	now, mono, a, b := reduce(1000, 1)
	require.EqualValues(t, 1000, now)
	require.EqualValues(t, 1000, mono)
	require.NotEqual(t, a, b)
	key := [32]byte{1}
	want := rand.NewChaCha8(key)
	require.Equal(t, []uint64{want.Uint64(), want.Uint64()}, []uint64{a, b}, "chacha8rand under seed and zeros")

	now, mono, a2, b2 := reduce(500, 1)
	require.EqualValues(t, 500, now)
	require.EqualValues(t, 1000, mono, "monotonic never goes back")
	require.Equal(t, []uint64{a, b}, []uint64{a2, b2}, "the same seed, the same bytes, whatever was asked before")
	_, _, c, _ := reduce(500, 2)
	require.NotEqual(t, a, c)

	first, err := i.State(0, 0)
	require.NoError(t, err)
	text := string(first)
	reduce(9999, 3)
	again, err := i.State(0, 0)
	require.NoError(t, err)
	require.Equal(t, text, string(again), "a state does not depend on when it is encoded")
	require.Zero(t, binary.LittleEndian.Uint64(again[2:]), "calls without a time have time 0")
}

func TestOnLog(t *testing.T) {
	i := guest(t, enginetest.Guest(t, `
		(import "crhost" "log" (func $log (param i32 i32 i32)))
		(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
		(data (i32.const 40000) "\20\9c\00\00\05\00\00\00") ;; 5 bytes at 39968
		(data (i32.const 39968) "a\nbc\n")
		(data (i32.const 40100) "\20\9c\00\00\03\00\00\00") ;; 3 bytes
		(func (export "cr1_reduce") (param i32) (result i64)
		  (drop (call $write (i32.const 1) (i32.const 40000) (i32.const 1) (i32.const 40200)))
		  (drop (call $write (i32.const 1) (i32.const 40100) (i32.const 1) (i32.const 40200)))
		  (call $log (i32.const 0) (i32.const 39968) (i32.const 1))
		  (call $log (i32.const 99) (i32.const 39970) (i32.const 2))
		  (drop (call $write (i32.const 2) (i32.const 40100) (i32.const 1) (i32.const 40200)))
		  (drop (call $write (i32.const 7) (i32.const 40100) (i32.const 1) (i32.const 40200)))
		  (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))`))
	var lines []string
	var out abi.Output
	require.NoError(t, i.Reduce(&abi.ReduceInput{}, fuel, &out), "nobody listens")
	i.OnLog(func(level int, text string) { lines = append(lines, strconv.Itoa(level)+" "+text) })
	require.NoError(t, i.Reduce(&abi.ReduceInput{}, fuel, &out))
	require.Equal(t, []string{"1 a", "1 bc", "1 a", "1 b", "0 a", "3 bc", "2 a", "2 b"}, lines)
}

// configurable rejects a config longer than a byte, keeps the rest as its state and migrates by counting schemas up and down.
const configurable = `
	(global $config (mut i32) (i32.const 0))
	(func (export "cr1_configure") (param i32) (result i64)
	  (if (i32.gt_u (i32.load (i32.const 65540)) (i32.const 1))
	    (then
	      (drop (call $answer (i32.const 1) (i32.const 0) (i32.const 0)))
	      (i32.store (i32.const 84) (i32.const 4))
	      (i32.store (i32.const 96) (i32.const 0x676e6f6c)) ;; "long"
	      (return (i64.const 0x4000000024))))
	  (global.set $config (i32.load8_u (i32.const 65552)))
	  (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))
	(func (export "cr1_reduce") (param i32) (result i64) (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))
	(func (export "cr1_state") (param i32 i64) (result i64)
	  (i32.store8 (i32.const 96) (global.get $config))
	  (call $answer (i32.const 0) (i32.const 0) (i32.const 1)))
	(func (export "cr1_evict") (param i32 i64))
	(func (export "cr1_migrate") (param i32) (result i64)
	  (if (i32.eq (i32.load (i32.const 65548)) (i32.const 9)) (then (return (call $answer (i32.const 3) (i32.const 0) (i32.const 0)))))
	  (i32.store8 (i32.const 96) (i32.load (i32.const 65548)))
	  (call $answer (i32.const 0) (i32.const 0) (i32.const 1)))
	(func (export "cr1_migrate_down") (param i32) (result i64)
	  (i32.store8 (i32.const 96) (i32.const 0xc1)) ;; no msgpack
	  (call $answer (i32.const 0) (i32.const 0) (i32.const 1)))`

func TestInstantiate_configures(t *testing.T) {
	m := load(t, open(t, engine.Config{}), "t", enginetest.Guest(t, configurable))
	i, err := m.Instantiate(context.Background(), []byte{42})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, i.Close()) })
	state, err := i.State(0, 0)
	require.NoError(t, err)
	require.Equal(t, []byte{42}, state)

	_, err = m.Instantiate(context.Background(), []byte{0x92, 1, 2})
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeRejected, Reason: "long"})
	_, err = m.Instantiate(context.Background(), make([]byte, abi.MaxConfigBytes+1))
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeTooLarge})

	plain := load(t, open(t, engine.Config{}), "t", enginetest.Counter(t))
	i, err = plain.Instantiate(context.Background(), []byte{42})
	require.NoError(t, err, "a module that takes no config is not bothered with one")
	require.NoError(t, i.Close())
}

func TestMigrate(t *testing.T) {
	i := guest(t, enginetest.Guest(t, configurable))
	state, err := i.Migrate(1, 2, []byte{0x80}, false)
	require.NoError(t, err)
	require.Equal(t, []byte{2}, state)
	_, err = i.Migrate(1, 9, []byte{0x80}, false)
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeStateUnreadable})
	require.False(t, i.Poisoned(), "that was an answer")
	_, err = guest(t, enginetest.Counter(t)).Migrate(1, 2, []byte{0x80}, false)
	require.ErrorIs(t, err, engine.ErrNoMigration)
	_, err = i.Migrate(2, 1, []byte{0x80}, true)
	require.EqualError(t, err, "cr1_migrate_down: output: the state is not one msgpack value: "+pack.Valid([]byte{0xc1}).Error())
	require.True(t, i.Poisoned())
}

// A state over the limit and one that is not msgpack poison the instance.
func TestState_isChecked(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"too large":    {`(call $answer (i32.const 0) (i32.const 0) (i32.const 1001))`, "cr1_state: output: a state of 1001 bytes, the limit is 1000"},
		"not msgpack":  {`(call $answer (i32.const 0) (i32.const 0) (i32.const 2))`, "cr1_state: output: the state is not one msgpack value: "},
		"wrong status": {`(call $answer (i32.const 2) (i32.const 0) (i32.const 0))`, "cr1_state: output: status BAD_ACTION"},
		"trap":         {`(unreachable)`, "cr1_state: unreachable in "},
		"spin":         {`(loop $l (br $l)) (i64.const 0)`, "cr1_state: out of fuel, the limit is 1000064000 in "},
	} {
		t.Run(name, func(t *testing.T) {
			wasm := enginetest.GuestWith(t, manifest(func(m *abi.Manifest) { m.Limits.StateBytes = 1000 }), reduce+`
				(func (export "cr1_state") (param i32 i64) (result i64) `+test.body+`)
				(func (export "cr1_evict") (param i32 i64))`)
			i := guest(t, wasm)
			_, err := i.State(0, 0)
			require.ErrorContains(t, err, test.want)
			require.True(t, i.Poisoned())
		})
	}
}

// The input buffer is asked for once, and again only for a frame that does not fit.
func TestBuffer(t *testing.T) {
	counting := func(result string) []byte {
		src := `(module (memory (export "memory") 4)
		  (global $asked (mut i32) (i32.const 0))
		  (func (export "cr1_buffer") (param i32) (result i32)
		    (global.set $asked (i32.add (global.get $asked) (i32.const 1))) (i32.const ` + result + `))
		  (func (export "cr1_reduce") (param i32) (result i64)
		    (i64.store (i32.const 0) (i64.const 0x200001)) (i64.store (i32.const 8) (i64.extend_i32_u (global.get $asked)))
		    (i64.store (i32.const 16) (i64.const 0)) (i64.store (i32.const 24) (i64.const 0)) (i64.const 32))
		  (func (export "cr1_state") (param i32 i64) (result i64) (i64.const 0))
		  (func (export "cr1_evict") (param i32 i64))`
		out := abi.Output{Body: enginetest.Manifest().Append(nil)}
		frame := out.Append(nil)
		src += `(func (export "cr1_describe") (result i64) (i64.const ` + strconv.FormatUint(abi.Span(1024, uint32(len(frame))), 10) + `)) (data (i32.const 1024) "`
		for _, c := range frame {
			src += `\` + strconv.FormatUint(uint64(c)+256, 16)[1:]
		}
		return enginetest.Wat(t, src+`"))`)
	}
	i := guest(t, counting("65536"))
	for n, want := range map[int]uint64{0: 1, 100: 1, 3000: 1} {
		var out abi.Output
		require.NoError(t, i.Reduce(&abi.ReduceInput{Body: make([]byte, n)}, fuel, &out))
		require.Equal(t, want, out.SizeHint)
	}
	for _, n := range []int{60_000, 61_000, 70_000} { // a quarter is to spare
		var out abi.Output
		require.NoError(t, i.Reduce(&abi.ReduceInput{Body: make([]byte, n)}, fuel, &out))
		require.EqualValues(t, 2, out.SizeHint)
	}
	for result, want := range map[string]string{
		"65540":      "cr1_buffer: output: the buffer at 0x10004 is not 8-aligned",
		"262136":     "cr1_buffer: output: the buffer [262136, 266232) is outside memory of 262144 bytes",
		"0xfffffff8": "cr1_buffer: output: the buffer [4294967288, 4294971384) is outside memory of 262144 bytes",
	} {
		i := guest(t, counting(result))
		var out abi.Output
		require.EqualError(t, i.Reduce(&abi.ReduceInput{}, fuel, &out), want)
		require.True(t, i.Poisoned())
	}
	i = guest(t, counting("65536"))
	require.ErrorContains(t, i.Reduce(&abi.ReduceInput{Body: make([]byte, 65<<20)}, fuel, new(abi.Output)), "does not fit memory of at most 67108864")
}

func TestHousekeep(t *testing.T) {
	i := guest(t, enginetest.Guest(t, `
		(global $idles (mut i32) (i32.const 0))
		(func (export "cr1_reduce") (param i32) (result i64)
		  (if (i32.load16_u (i32.const 65542)) (then (drop (memory.grow (i32.const 1)))))
		  (i32.store8 (i32.const 96) (global.get $idles))
		  (call $answer (i32.const 0) (i32.const 0) (i32.const 1)))
		(func (export "cr1_idle") (param i64) (global.set $idles (i32.add (global.get $idles) (i32.const 1))))`))
	idles := func(action uint16) byte {
		var out abi.Output
		require.NoError(t, i.Reduce(&abi.ReduceInput{Action: action}, fuel, &out))
		n := out.Body[0]
		require.NoError(t, i.Housekeep())
		return n
	}
	require.EqualValues(t, 0, idles(0))
	require.EqualValues(t, 0, idles(1))
	require.EqualValues(t, 1, idles(0), "memory grew")
	for range engine.HousekeepingCalls - 1 {
		require.EqualValues(t, 1, idles(0))
	}
	require.EqualValues(t, 2, idles(0), "after 1,000 calls")
}

func TestClose(t *testing.T) {
	e, err := engine.New(context.Background(), engine.Config{})
	require.NoError(t, err)
	m, err := e.Load(context.Background(), "t", enginetest.Counter(t))
	require.NoError(t, err)
	i, err := m.Instantiate(context.Background(), nil)
	require.NoError(t, err)
	require.NoError(t, i.Close())
	require.NoError(t, i.Close())
	require.ErrorIs(t, i.Reduce(&abi.ReduceInput{}, fuel, new(abi.Output)), engine.ErrPoisoned)
	_, err = i.Migrate(1, 2, nil, false)
	require.ErrorIs(t, err, engine.ErrPoisoned)
	require.NoError(t, e.Close())
	require.NoError(t, m.Close(), "a handle may outlive its engine")
	_, err = m.Instantiate(context.Background(), nil)
	require.ErrorIs(t, err, engine.ErrClosed)
}

// The path that every action takes does not allocate.
func TestReduce_allocatesNothing(t *testing.T) {
	i := guest(t, enginetest.Counter(t))
	send(t, i, abi.Fresh, 0, 1)
	var out abi.Output
	in := abi.ReduceInput{Mode: abi.Resident, Ticket: 7, Now: 1, Body: enginetest.Action("increment", 1), Meta: make([]byte, 100)}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if err := i.Reduce(&in, fuel, &out); err != nil {
			t.Fatal(err)
		}
		if err := i.Housekeep(); err != nil {
			t.Fatal(err)
		}
	}))
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if _, err := i.State(0, 7); err != nil {
			t.Fatal(err)
		}
	}))
}
