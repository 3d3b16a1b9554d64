package meter

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

const fuzzFuel = 10_000

// fuzzLimits keep what a fuzzer may allocate small.
var fuzzLimits = Limits{ModuleBytes: 1 << 16, MemoryPages: 16, TableEntries: 1 << 20, StartFuel: fuzzFuel}

// FuzzRewrite: never a panic; what Rewrite accepts is valid after exactly if it was before; and where the metered run ends within its fuel, the original
// does the same, and the compiler burns what the interpreter burns.
func FuzzRewrite(f *testing.F) {
	f.Add(smallGuest())
	f.Add(single(fn{export: "f", params: i32, results: i32 + i64, code: cat(get(0), opIf, blockEmpty, get(0), opI64Const, 2, opReturn, opEnd, get(0), opI64Const, 1)}))
	f.Add(single(fn{export: "f", params: i32, code: cat(get(0), ifThen(get(0), i32Const(1), opI32Sub, opReturnCall, 0))}))
	f.Add(single(fn{export: "f", params: i32, code: cat(block(block(get(0), opBrTable, 2, 0, 1, 2), i32Const(1), 0x1a), loop(get(0), brIf(0)))}))
	f.Add(program{
		memory: cat(1, 1, 1, 10), table: cat(1, typeFunc, 1, 2, 100), elems: cat(1, 0, i32Const(0), opEnd, 1, 0), data: cat(1, 1, 2, 7, 7), start: []byte{1},
		funcs: []fn{
			{export: "f", params: i32, code: cat(get(0), ifThen(get(0), i32Const(0), opCallIndirect, 0, 0), i32Const(0), i32Const(0), get(0), opMisc, miscMemoryFill, 0)},
			{code: cat(i32Const(0), i32Const(0), i32Const(2), opMisc, miscMemoryInit, 0, 0, i32Const(1), opMemoryGrow, 0, 0x1a)},
		},
		extra: sec(sectionCustom, named("name"), sec(1, vec(cat(0, named("f"))))),
	}.bytes())
	f.Add(single(fn{params: i32, code: cat(get(0), 0xfd, 0x11, get(0), 0xfd, 0x11, 0xfd, 0xae, 0x01, 0x1a)}))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := Rewrite(wasm, fuzzLimits)
		if err != nil {
			require.NotContains(t, err.Error(), "\n", "one sentence")
			return
		}
		original, originalErr := fuzzCompile(t, wazero.NewRuntimeConfigInterpreter(), wasm)
		if originalErr != nil && strings.Contains(originalErr.Error(), "custom section") {
			return // wazero cannot read an empty one at the very end; the binary format allows it
		}
		metered, meteredErr := fuzzCompile(t, wazero.NewRuntimeConfigInterpreter(), m.Bytes)
		compiled, compiledErr := fuzzCompile(t, wazero.NewRuntimeConfigCompiler(), m.Bytes)
		require.Equal(t, originalErr == nil, meteredErr == nil, "original: %v\nmetered: %v", originalErr, meteredErr)
		require.Equal(t, originalErr == nil, compiledErr == nil, "original: %v\ncompiled: %v", originalErr, compiledErr)
		if originalErr == nil && len(m.Imports) == 0 {
			fuzzRun(t, m, original, metered, compiled)
		}
	})
}

type fuzzModule struct {
	wazero.Runtime
	wazero.CompiledModule
}

func fuzzCompile(t *testing.T, config wazero.RuntimeConfig, wasm []byte) (fuzzModule, error) {
	r := wazero.NewRuntimeWithConfig(t.Context(), config.WithCoreFeatures(features).WithMemoryLimitPages(fuzzLimits.MemoryPages))
	t.Cleanup(func() { r.Close(context.Background()) })
	c, err := r.CompileModule(t.Context(), wasm)
	return fuzzModule{r, c}, err
}

func (f fuzzModule) start(t *testing.T) (api.Module, error) {
	return f.InstantiateModule(t.Context(), f.CompiledModule, wazero.NewModuleConfig().WithStartFunctions())
}

// fuzzRun calls every exported function. The original goes last: it runs only what is known to end.
func fuzzRun(t *testing.T, m *Module, original, metered, compiled fuzzModule) {
	meteredMod, err := metered.start(t)
	if err != nil {
		return // out of fuel or a trap at start
	}
	compiledMod, err := compiled.start(t)
	require.NoError(t, err)
	originalMod, err := original.start(t)
	require.NoError(t, err)
	for _, e := range m.Exports {
		if e.Kind != KindFunction || slices.Contains(e.Params, typeV128) || slices.Contains(e.Results, typeV128) {
			continue
		}
		args := make([]uint64, len(e.Params))
		for i := range args {
			args[i] = uint64(i + 1)
			if e.Params[i] == typeFunc || e.Params[i] == typeExtern {
				args[i] = 0
			}
		}
		call := func(mod api.Module) ([]uint64, error) {
			refuel(mod, fuzzFuel)
			f := mod.ExportedFunction(e.Name)
			results, err := f.Call(t.Context(), args...)
			if err == nil {
				normalise(results, f.Definition().ResultTypes(), nil)
			}
			return append([]uint64{}, results...), err
		}
		got, err := call(meteredMod)
		fuel, depth := counter(meteredMod, FuelGlobal), counter(meteredMod, DepthGlobal)
		if fuel < 0 || depth < 0 || err != nil && strings.Contains(err.Error(), "stack overflow") {
			return // the instances went different ways
		}
		want, wantErr := call(originalMod)
		require.Equal(t, cause(wantErr), cause(err), e.Name)
		require.Equal(t, want, got, e.Name)
		got, err = call(compiledMod)
		require.Equal(t, cause(wantErr), cause(err), e.Name)
		require.Equal(t, want, got, e.Name)
		require.Equal(t, fuel, counter(compiledMod, FuelGlobal), "%s: fuel", e.Name)
	}
}

// FuzzRewrite_programs does the same with programs that are valid by construction, so that nearly every input runs.
func FuzzRewrite_programs(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 400 {
		choices := make([]byte, 20+n)
		for i := range choices {
			choices[i] = byte(random.Uint32())
		}
		f.Add(choices)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		g := &generator{choices: choices[:min(len(choices), 2000)]}
		wasm := g.program()
		m, err := Rewrite(wasm, fuzzLimits)
		require.NoError(t, err)
		original, err := fuzzCompile(t, wazero.NewRuntimeConfigInterpreter(), wasm)
		require.NoError(t, err)
		metered, err := fuzzCompile(t, wazero.NewRuntimeConfigInterpreter(), m.Bytes)
		require.NoError(t, err)
		compiled, err := fuzzCompile(t, wazero.NewRuntimeConfigCompiler(), m.Bytes)
		require.NoError(t, err)
		fuzzRun(t, m, original, metered, compiled)
	})
}
