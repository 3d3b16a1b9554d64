package meter

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// goGuest is testdata/goguest, built once per process.
var goGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "goguest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "goguest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, ".")
	build.Dir = filepath.Join("testdata", "goguest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if msg, err := build.CombinedOutput(); err != nil {
		return nil, &exec.Error{Name: string(msg), Err: err}
	}
	return os.ReadFile(out)
})

// start instantiates a guest that may use WASI and runs its _initialize.
func start(tb testing.TB, config wazero.RuntimeConfig, wasm []byte) api.Module {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(features))
	tb.Cleanup(func() { require.NoError(tb, r.Close(ctx)) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	m, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	require.NoError(tb, err)
	return m
}

// refuel sets both counters as a host does before each call.
func refuel(m api.Module, fuel int64) {
	if g, ok := m.ExportedGlobal(FuelGlobal).(api.MutableGlobal); ok {
		g.Set(uint64(fuel))
		m.ExportedGlobal(DepthGlobal).(api.MutableGlobal).Set(DefaultDepth)
	}
}

// BenchmarkRatio calls a metered and an unmetered guest in turns and reports how much longer the metered one takes.
// The goal is at most 1.3 for a reduce.
func BenchmarkRatio(b *testing.B) {
	guest, err := goGuest()
	require.NoError(b, err)
	small := smallGuest()
	for _, c := range []struct {
		name, export string
		wasm         []byte
		args         []uint64
	}{
		{"guest=go/work=increment", "increment", guest, []uint64{1}},
		{"guest=go/work=fib", "fib", guest, []uint64{20}},
		{"guest=go/work=words", "words", guest, []uint64{50}},
		{"guest=go/work=sieve", "sieve", guest, []uint64{20000}},
		{"guest=go/work=matrix", "matrix", guest, []uint64{40}},
		{"guest=go/work=fault", "fault", guest, []uint64{5}},
		{"guest=small/work=increment", "increment", small, []uint64{1}},
		{"guest=small/work=fib", "fib", small, []uint64{20}},
		{"guest=small/work=sum", "sum", small, []uint64{1000}},
		{"guest=small/work=divide", "divide", small, []uint64{1000}},
		{"guest=small/work=fill", "fill", small, []uint64{65536}},
	} {
		b.Run(c.name, func(b *testing.B) {
			m, err := Rewrite(c.wasm, Limits{})
			require.NoError(b, err)
			plain, metered := start(b, wazero.NewRuntimeConfigCompiler(), c.wasm), start(b, wazero.NewRuntimeConfigCompiler(), m.Bytes)
			pf, mf := plain.ExportedFunction(c.export), metered.ExportedFunction(c.export)
			stack := make([]uint64, 4)
			batch := func(f api.Function, n int) time.Duration {
				began := time.Now()
				for range n {
					copy(stack, c.args)
					if err := f.CallWithStack(context.Background(), stack); err != nil {
						b.Fatal(err)
					}
				}
				return time.Since(began)
			}
			const much = 1 << 60
			refuel(metered, much)
			batch(mf, 1)
			batch(pf, 1)
			one := max(batch(pf, 3)/3, 50*time.Nanosecond)
			size := int(max(1, 200*time.Microsecond/one))
			refuel(metered, much)
			best := [2]time.Duration{1 << 62, 1 << 62}
			calls := 0
			b.ReportAllocs()
			for b.Loop() {
				best[0] = min(best[0], batch(pf, size))
				best[1] = min(best[1], batch(mf, size))
				calls += size
			}
			burnt := float64(much-counter(metered, FuelGlobal)) / float64(calls)
			perCall := float64(best[1]) / float64(size)
			b.ReportMetric(float64(best[0])/float64(size), "plain-ns/call")
			b.ReportMetric(perCall, "metered-ns/call")
			b.ReportMetric(float64(best[1])/float64(best[0]), "ratio")
			b.ReportMetric(burnt/perCall, "fuel/ns")
		})
	}
}

// smallGuest is written by hand, as small as an AssemblyScript or Rust guest would be.
func smallGuest() []byte {
	return program{
		memory:  cat(1, 0, 1),
		globals: cat(1, i64, 1, opI64Const, 0, opEnd),
		funcs: []fn{
			{params: i64, results: i64, export: "increment", code: cat(
				opGlobalGet, 0, get(0), opI64Add, opGlobalSet, 0, opGlobalGet, 0)},
			{params: i32, results: i32, export: "fib", code: cat(
				get(0), i32Const(2), 0x48, opIf, blockEmpty, get(0), opReturn, opEnd,
				get(0), i32Const(1), opI32Sub, call(1), get(0), i32Const(2), opI32Sub, call(1), opI32Add)},
			{params: i32, results: i32, export: "sum", locals: cat(1, 1, i32), code: cat(
				loop(get(1), get(0), opI32Add, set(1), get(0), i32Const(1), opI32Sub, opLocalTee, 0, brIf(0)), get(1))},
			{params: i32, results: i32, export: "divide", locals: cat(1, 1, i32), code: cat(
				loop(get(1), i32Const(100), get(0), 0x6e, opI32Add, set(1), get(0), i32Const(1), opI32Sub, opLocalTee, 0, brIf(0)), get(1))},
			{params: i32, export: "fill", code: cat(i32Const(0), i32Const(7), get(0), 0xfc, 0x0b, 0)},
		},
	}.bytes()
}

// BenchmarkRewrite meters the Go guest, and reports how much longer compiling it takes.
func BenchmarkRewrite(b *testing.B) {
	guest, err := goGuest()
	require.NoError(b, err)
	b.SetBytes(int64(len(guest)))
	b.ReportAllocs()
	var m *Module
	for b.Loop() {
		m, err = Rewrite(guest, Limits{})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(len(m.Bytes))/float64(len(guest)), "size-ratio")
	compile := func(wasm []byte) time.Duration {
		r := wazero.NewRuntimeWithConfig(b.Context(), wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features))
		defer r.Close(context.Background())
		began := time.Now()
		_, err := r.CompileModule(b.Context(), wasm)
		require.NoError(b, err)
		return time.Since(began)
	}
	best := [2]time.Duration{1 << 62, 1 << 62}
	for range 3 {
		best[0], best[1] = min(best[0], compile(guest)), min(best[1], compile(m.Bytes))
	}
	b.ReportMetric(float64(best[1])/float64(best[0]), "compile-ratio")
}
