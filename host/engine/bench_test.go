package engine_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// empty is what reaching a guest costs by itself: write an action into its memory, call a function that does nothing, read an answer; no frames, no
// metering, no checks. Everything else is a multiple of it. The Go compiler's own way into an exported function costs about as much again,
// so there are two: for a guest of a few instructions, and for one made by Go.
type empty struct{ small, inGo float64 } // ns

func emptyCalls(b *testing.B) empty {
	b.Helper()
	return empty{
		small: emptyCall(b, enginetest.Wat(b, `(module (memory (export "memory") 1)
			(func (export "f") (param i32) (result i64) (i64.const 0x2000000020)))`)),
		inGo: emptyCall(b, enginetest.BuildGo(b, "./internal/guests/bare")),
	}
}

func emptyCall(b *testing.B, wasm []byte) float64 {
	b.Helper()
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	_, err := wasi_snapshot_preview1.Instantiate(ctx, r)
	require.NoError(b, err)
	m, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	require.NoError(b, err)
	// Above what Go keeps there: nobody reads it.
	f, memory, action, at := m.ExportedFunction("f"), m.Memory(), enginetest.Action("increment", 1), m.Memory().Size()-64
	stack := make([]uint64, 1)
	call := func() bool {
		ok := memory.Write(at, action)
		stack[0] = uint64(len(action))
		err := f.CallWithStack(ctx, stack)
		_, read := memory.Read(uint32(stack[0]>>32), uint32(stack[0]))
		return ok && read && err == nil
	}
	const calls, rounds = 100_000, 21
	var took []time.Duration
	for range rounds {
		start := time.Now()
		for range calls {
			if !call() {
				b.Fatal("the empty call failed")
			}
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took) // the median: one interruption must not flatter everything else
	return float64(took[rounds/2].Nanoseconds()) / calls
}

// report reports the benchmark's time as a multiple of the empty calls.
func (e empty) report(b *testing.B) {
	perOp := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	b.ReportMetric(perOp/e.small, "x-empty")
	b.ReportMetric(perOp/e.inGo, "x-empty-go")
	b.ReportMetric(e.small, "empty-ns")
	b.ReportMetric(e.inGo, "empty-go-ns")
}

// BenchmarkReduce is one action on a resident counter.
func BenchmarkReduce(b *testing.B) {
	empty := emptyCalls(b)
	for name, wasm := range map[string]func(testing.TB) []byte{
		"wat":     enginetest.Counter,
		"go":      func(tb testing.TB) []byte { return enginetest.BuildGo(tb, "./plugins/counter") },
		"go-msgp": func(tb testing.TB) []byte { return enginetest.BuildGo(tb, "./internal/guests/msgpcounter") },
	} {
		b.Run("guest="+name, func(b *testing.B) {
			i := guest(b, wasm(b))
			send(b, i, abi.Fresh, 0, 1)
			in := abi.ReduceInput{Mode: abi.Resident, Ticket: 7, Seq: 1, Now: 1e18, Body: enginetest.Action("increment", 1)}
			var out abi.Output
			b.ReportAllocs()
			used := int64(0)
			for b.Loop() {
				if err := i.Reduce(&in, fuel, &out); err != nil {
					b.Fatal(err)
				}
				in.Seq++
				used += i.Fuel()
			}
			empty.report(b)
			b.ReportMetric(float64(used)/float64(b.N), "fuel/op")
			b.ReportMetric(float64(used)/float64(b.N)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "fuel/ns")
		})
	}
}

// BenchmarkCall is a call that does nothing, with everything that this package does around one.
func BenchmarkCall(b *testing.B) {
	empty := emptyCalls(b)
	i := guest(b, enginetest.Guest(b, reduce))
	in := abi.ReduceInput{Body: enginetest.Action("increment", 1)}
	var out abi.Output
	b.ReportAllocs()
	for b.Loop() {
		if err := i.Reduce(&in, fuel, &out); err != nil {
			b.Fatal(err)
		}
	}
	empty.report(b)
}

// BenchmarkState encodes and checks a state.
func BenchmarkState(b *testing.B) {
	i := guest(b, enginetest.Counter(b))
	send(b, i, abi.Fresh, 0, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.State(0, 7); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInstantiate is what a spare instance costs.
func BenchmarkInstantiate(b *testing.B) {
	for name, wasm := range map[string]func(testing.TB) []byte{
		"wat": enginetest.Counter,
		"go":  func(tb testing.TB) []byte { return enginetest.BuildGo(tb, "./plugins/counter") },
	} {
		b.Run("guest="+name, func(b *testing.B) {
			m := load(b, open(b, engine.Config{}), "t", wasm(b))
			b.ReportAllocs()
			for b.Loop() {
				i, err := m.Instantiate(context.Background(), nil)
				if err != nil {
					b.Fatal(err)
				}
				_ = i.Close()
			}
		})
	}
}

// BenchmarkImport is a call of a host function.
func BenchmarkImport(b *testing.B) {
	for name, call := range map[string]string{
		"clock_time_get": `(drop (call $clock (i32.const 0) (i64.const 0) (i32.const 96)))`,
		"random_get":     `(drop (call $random (i32.const 96) (i32.const 16)))`,
		"random_get/64K": `(drop (call $random (i32.const 65536) (i32.const 65536)))`,
	} {
		b.Run(name, func(b *testing.B) {
			i := guest(b, enginetest.Guest(b, `
				(import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
				(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
				(func (export "cr1_reduce") (param i32) (result i64) `+call+`(call $answer (i32.const 0) (i32.const 0) (i32.const 0)))`))
			var out abi.Output
			b.ReportAllocs()
			for b.Loop() {
				if err := i.Reduce(&abi.ReduceInput{}, fuel, &out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(i.Fuel())*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "fuel/ns")
		})
	}
}
