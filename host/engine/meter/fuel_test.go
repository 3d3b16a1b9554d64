package meter

import (
	"context"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// engines are both of wazero's. Fuel is the same in each.
func engines() map[string]wazero.RuntimeConfig {
	return map[string]wazero.RuntimeConfig{
		"compiler":    wazero.NewRuntimeConfigCompiler(),
		"interpreter": wazero.NewRuntimeConfigInterpreter(),
	}
}

// TestRewrite_fuel holds what each kind of basic block and instruction costs.
func TestRewrite_fuel(t *testing.T) {
	oneMemory, oneTable := cat(1, 1, 1, 10), cat(1, typeFunc, 1, 2, 100)
	self := cat(1, 0, i32Const(0), opEnd, 1, 0) // table[0] = function 0
	for _, c := range []struct {
		name string
		p    program
		args []uint64
		fuel int64
	}{
		{"empty", program{funcs: []fn{{}}}, nil, 0},
		{"structure is free", program{funcs: []fn{{code: cat(0x01, block(0x01), loop(0x01))}}}, nil, 0},
		{"one each", program{funcs: []fn{{code: cat(i32Const(1), i32Const(2), opI32Add, 0x1a)}}}, nil, 3},
		{"64-bit ones too", program{funcs: []fn{{code: cat(opI64Const, 1, opI64Const, 2, 0x80, 0x1a)}}}, nil, 2 + costDivide},
		{"divisions cost more", program{funcs: []fn{{code: cat(i32Const(1), i32Const(2), 0x6d, 0x1a)}}}, nil, 2 + costDivide},
		{"behind an end", program{funcs: []fn{{code: cat(block(i32Const(1), 0x1a), i32Const(1), 0x1a)}}}, nil, 2},
		{"taken", program{funcs: []fn{{params: i32, code: cat(get(0), ifThen(i32Const(1), 0x1a), i32Const(1), 0x1a)}}}, []uint64{1}, 4},
		{"not taken", program{funcs: []fn{{params: i32, code: cat(get(0), ifThen(i32Const(1), 0x1a), i32Const(1), 0x1a)}}}, []uint64{0}, 3},
		{"else", program{funcs: []fn{{params: i32, code: cat(get(0), opIf, blockEmpty, opElse, i32Const(1), i32Const(1), 0x1a, 0x1a, opEnd)}}}, []uint64{0}, 4},
		{"a block is charged whole", program{funcs: []fn{{params: i32, code: block(get(0), brIf(0), i32Const(1), 0x1a)}}}, []uint64{1}, 3},
		{"behind a branch nothing", program{funcs: []fn{{code: block(opBr, 0, i32Const(1), 0x1a)}}}, nil, 1},
		{"behind a branch nothing, nested", program{funcs: []fn{{code: block(opBr, 0, i32Const(1), opIf, blockEmpty, i32Const(1), 0x1a, opElse, i32Const(1), 0x1a, opEnd, call(0))}}}, nil, 1},
		{"else behind a return", program{funcs: []fn{{params: i32, code: cat(get(0), opIf, blockEmpty, opReturn, opElse, i32Const(1), 0x1a, opEnd)}}}, []uint64{0}, 3},
		{"else behind a return in a dead block", program{funcs: []fn{{code: block(opBr, 0, i32Const(1), opIf, blockEmpty, opReturn, opElse, i32Const(1), 0x1a, opEnd)}}}, nil, 1},
		{"behind a return nothing", program{funcs: []fn{{code: cat(block(opReturn, i32Const(1), 0x1a), i32Const(1), 0x1a)}}}, nil, 1},
		{"loop, ten rounds", program{funcs: []fn{{params: i32, code: loop(get(0), i32Const(1), opI32Sub, opLocalTee, 0, brIf(0))}}}, []uint64{10}, 50},
		{"loop with parameters", program{types: [][]byte{functype(i32, i32)}, funcs: []fn{{params: i32, code: cat(
			get(0), opLoop, 0, i32Const(1), opI32Sub, set(0), get(0), get(0), brIf(0), opEnd, 0x1a)}}}, []uint64{3}, 1 + 3*6},
		{"br_table", program{funcs: []fn{{params: i32, code: cat(block(block(get(0), opBrTable, 2, 0, 1, 2), i32Const(1), 0x1a), i32Const(1), 0x1a)}}}, []uint64{1}, 3},
		{"br_table to the function", program{funcs: []fn{{params: i32, code: cat(block(block(get(0), opBrTable, 2, 0, 1, 2), i32Const(1), 0x1a), i32Const(1), 0x1a)}}}, []uint64{2}, 2},
		{"call", program{funcs: []fn{{code: call(1)}, {code: cat(i32Const(1), 0x1a)}}}, nil, costCall + 1},
		{"call_indirect", program{table: oneTable, elems: self, funcs: []fn{{params: i32, code: cat(
			get(0), ifThen(i32Const(0), i32Const(0), opCallIndirect, 0, 0))}}}, []uint64{1}, 2 + 2 + costIndirect + 2},
		{"return_call", program{funcs: []fn{{params: i32, code: cat(get(0), ifThen(get(0), i32Const(1), opI32Sub, opReturnCall, 0))}}}, []uint64{2}, 2*(2+3+costCall) + 2},
		{"return_call that cannot stay one", program{types: [][]byte{functype(string(times(7, i64)), "")}, funcs: []fn{{params: string(times(7, i64)), code: cat(
			get(0), 0xa7, ifThen(get(0), opI64Const, 1, opI64Sub, each(6, func(int) []byte { return get(1) }), opReturnCall, 0))}}},
			[]uint64{2, 0, 0, 0, 0, 0, 0}, 2*(3+9+costCall) + 3},
		{"memory.fill", program{memory: oneMemory, funcs: []fn{{params: i32, code: cat(i32Const(0), i32Const(0), get(0), opMisc, miscMemoryFill, 0)}}}, []uint64{807}, 4 + 100},
		{"memory.copy", program{memory: oneMemory, funcs: []fn{{params: i32, code: cat(i32Const(0), i32Const(0), get(0), opMisc, miscMemoryCopy, 0, 0)}}}, []uint64{8}, 4 + 1},
		{"memory.init", program{memory: oneMemory, data: cat(1, 1, 16, times(16, 7)), funcs: []fn{{code: cat(i32Const(0), i32Const(0), i32Const(16), opMisc, miscMemoryInit, 0, 0)}}}, nil, 4 + 2},
		{"memory.grow", program{memory: oneMemory, funcs: []fn{{params: i32, code: cat(get(0), opMemoryGrow, 0, 0x1a)}}}, []uint64{2}, 2 + growCost + 2*growPageCost},
		{"memory.grow refused", program{memory: oneMemory, funcs: []fn{{params: i32, code: cat(get(0), opMemoryGrow, 0, 0x1a)}}}, []uint64{20}, 2 + growCost + 20*growPageCost},
		{"table.grow", program{table: oneTable, funcs: []fn{{params: i32, code: cat(opRefNull, typeFunc, get(0), opMisc, miscTableGrow, 0, 0x1a)}}}, []uint64{16}, 3 + 2},
		{"table.fill", program{table: oneTable, funcs: []fn{{code: cat(i32Const(0), opRefNull, typeFunc, i32Const(2), opMisc, miscTableFill, 0)}}}, nil, 4},
		{"table.copy", program{table: oneTable, funcs: []fn{{code: cat(i32Const(0), i32Const(1), i32Const(1), opMisc, miscTableCopy, 0, 0)}}}, nil, 4},
		{"table.init", program{table: oneTable, elems: cat(1, 1, 0, 1, 0), funcs: []fn{{code: cat(i32Const(0), i32Const(0), i32Const(1), opMisc, miscTableInit, 0, 0)}}}, nil, 4},
		{"vectors", program{funcs: []fn{{params: i32, code: cat(get(0), 0xfd, 0x11, get(0), 0xfd, 0x11, 0xfd, 0xae, 0x01, 0x1a)}}}, []uint64{1}, 5},
		{"several results", program{funcs: []fn{{params: i32, results: i32 + i64, code: cat(get(0), opIf, blockEmpty, get(0), opI64Const, 2, opReturn, opEnd, get(0), opI64Const, 1)}}}, []uint64{1}, 7},
		{"a then that leaves has paid for what is behind it", program{funcs: []fn{{params: i32, code: cat(get(0), ifThen(opReturn), i32Const(1), 0x1a)}}}, []uint64{1}, 2 + 1 + 1},
		{"but only as far as the next block", program{funcs: []fn{{params: i32, code: cat(get(0), ifThen(opReturn), block(), i32Const(1), 0x1a)}}}, []uint64{1}, 2 + 1},
		{"behind an else a segment begins", program{funcs: []fn{{params: i32, code: cat(get(0), opIf, blockEmpty, opReturn, opElse, opEnd, i32Const(1), 0x1a)}}}, []uint64{1}, 2 + 1},
		{"behind a then with a block, too", program{funcs: []fn{{params: i32, code: cat(get(0), ifThen(block(), opReturn), i32Const(1), 0x1a)}}}, []uint64{1}, 2 + 1},
		{"and behind an if with an if", program{funcs: []fn{{params: i32, code: cat(get(0), ifThen(get(0), ifThen(opReturn), i32Const(1), 0x1a), i32Const(1), 0x1a)}}}, []uint64{1}, 2 + 2 + 1 + 1},
		{"one if after another", program{funcs: []fn{{params: i32, code: cat(get(0), ifThen(i32Const(1), 0x1a), get(0), ifThen(i32Const(1), 0x1a), i32Const(1), 0x1a)}}}, []uint64{1}, 2 + 2 + 1 + 1 + 1},
		{"a then behind a branch", program{funcs: []fn{{code: cat(block(opBr, 0, i32Const(1), ifThen(i32Const(1), 0x1a)), i32Const(1), 0x1a)}}}, nil, 1 + 1},
		{"a loop's test holds for the ifs in it", program{funcs: []fn{{params: i32, code: loop(get(0), ifThen(get(0), i32Const(1), opI32Sub, set(0), opBr, 1), i32Const(1), 0x1a)}}}, []uint64{3}, 4*(2+1) + 3*5},
		{"imports are charged by the host", program{
			imports: [][]byte{cat(named("env"), named("f"), 0, 0)}, types: [][]byte{functype("", "")}, funcs: []fn{{code: call(0)}}}, nil, costCall + 7},
		{"two functions", program{funcs: []fn{{}, {}}}, nil, 0},
	} {
		for engine, config := range engines() {
			t.Run(c.name+"/"+engine, func(t *testing.T) {
				c.p.funcs[0].export = "f"
				m, err := Rewrite(c.p.bytes(), Limits{})
				require.NoError(t, err)
				mod := startWith(t, config, m.Bytes)
				const full = 1 << 40
				refuel(mod, full)
				_, err = mod.ExportedFunction("f").Call(t.Context(), c.args...)
				require.NoError(t, err)
				require.Equal(t, c.fuel, full-counter(mod, FuelGlobal))
				require.EqualValues(t, DefaultDepth, counter(mod, DepthGlobal))

				fresh := startWith(t, config, m.Bytes)
				refuel(fresh, c.fuel)
				_, err = fresh.ExportedFunction("f").Call(t.Context(), c.args...)
				require.NoError(t, err, "exactly enough")
				require.Zero(t, counter(fresh, FuelGlobal))
			})
		}
	}
}

// startWith instantiates a module whose import env.f charges 7 fuel, as host functions do.
func startWith(t *testing.T, config wazero.RuntimeConfig, wasm []byte) api.Module {
	r := wazero.NewRuntimeWithConfig(t.Context(), config.WithCoreFeatures(features))
	t.Cleanup(func() { require.NoError(t, r.Close(t.Context())) })
	_, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, _ []uint64) {
			g := m.ExportedGlobal(FuelGlobal).(api.MutableGlobal)
			g.Set(g.Get() - 7)
		}), nil, nil).Export("f").Instantiate(t.Context())
	require.NoError(t, err)
	m, err := r.Instantiate(t.Context(), wasm)
	require.NoError(t, err)
	return m
}

// TestRewrite_outOfFuel: each way to burn fuel for ever ends, with the counter below zero and the depth above.
func TestRewrite_outOfFuel(t *testing.T) {
	oneMemory := cat(1, 1, 1, 10)
	for name, p := range map[string]program{
		"endless loop":          {funcs: []fn{{code: loop(opBr, 0)}}},
		"loop with empty head":  {funcs: []fn{{code: loop(block(), opBr, 0)}}},
		"loop by br_table":      {funcs: []fn{{code: loop(i32Const(0), opBrTable, 0, 0)}}},
		"loop into loop":        {funcs: []fn{{code: loop(loop(opBr, 1))}}},
		"tail calls":            {funcs: []fn{{code: cat(opReturnCall, 0)}}},
		"doubling calls":        {funcs: append(doubling(60), fn{})},
		"memory.fill":           {memory: oneMemory, funcs: []fn{{code: loop(i32Const(0), i32Const(0), i32Const(65536), opMisc, miscMemoryFill, 0, opBr, 0)}}},
		"fill beyond the end":   {memory: oneMemory, funcs: []fn{{code: cat(i32Const(0), i32Const(0), i32Const(-1), opMisc, miscMemoryFill, 0)}}},
		"memory.grow":           {memory: oneMemory, funcs: []fn{{code: cat(i32Const(-1), opMemoryGrow, 0, 0x1a)}}},
		"a call behind the end": {funcs: []fn{{code: cat(call(1), loop(call(1), opBr, 0))}, {code: cat(i32Const(1), 0x1a)}}},
	} {
		for engine, config := range engines() {
			t.Run(name+"/"+engine, func(t *testing.T) {
				p.funcs[0].export = "f"
				m, err := Rewrite(p.bytes(), Limits{})
				require.NoError(t, err)
				mod := startWith(t, config, m.Bytes)
				refuel(mod, 100_000)
				_, err = mod.ExportedFunction("f").Call(t.Context())
				require.ErrorContains(t, err, "unreachable")
				require.Negative(t, counter(mod, FuelGlobal))
				require.Positive(t, counter(mod, DepthGlobal))
			})
		}
	}
}

// doubling is a chain of functions that each call the next twice: 2^n calls without a loop or recursion.
func doubling(n int) []fn {
	fns := make([]fn, n)
	for i := range fns {
		fns[i].code = cat(call(i+1), call(i+1))
	}
	return fns
}

// TestRewrite_traps: a guest's own trap leaves both counters above zero; unreachable stores the exact fuel first.
func TestRewrite_traps(t *testing.T) {
	m, err := Rewrite(single(fn{export: "f", code: cat(i32Const(1), 0x1a, opUnreachable)}), Limits{})
	require.NoError(t, err)
	mod := startWith(t, wazero.NewRuntimeConfigCompiler(), m.Bytes)
	refuel(mod, 10)
	_, err = mod.ExportedFunction("f").Call(t.Context())
	require.ErrorContains(t, err, "unreachable")
	require.EqualValues(t, 8, counter(mod, FuelGlobal))
	require.EqualValues(t, DefaultDepth, counter(mod, DepthGlobal))
}

// TestRewrite_depth: recursion of any kind ends with the depth below zero and little stack used, even by functions made to have large frames.
func TestRewrite_depth(t *testing.T) {
	load := cat(get(0), 0x28, 2, 0)
	vector := cat(get(0), 0xfd, 0x00, 0, 0)
	lane := cat(0xfd, 0x15, 0, call(1))
	wide := string(times(100, i32))
	for name, f := range map[string]fn{
		"minimal":           {params: i32, code: cat(get(0), call(0))},
		"parameters":        {params: wide, code: cat(times(100, get(0)), call(0))},
		"indirect":          {params: i32, code: cat(get(0), i32Const(0), opCallIndirect, 0, 0)},
		"wide tail call":    {params: wide, code: cat(times(100, get(0)), opReturnCall, 0)},
		"100 loads":         {params: i32, code: cat(times(100, load), get(0), call(0), times(100, call(1)))},
		"10,000 loads":      {params: i32, code: cat(times(10_000, load), get(0), call(0), times(10_000, call(1)))},
		"100 vectors":       {params: i32, code: cat(times(100, vector), get(0), call(0), times(100, lane))},
		"1,000 vectors":     {params: i32, code: cat(times(1_000, vector), get(0), call(0), times(1_000, lane))},
		"10,000 vectors":    {params: i32, code: cat(times(10_000, vector), get(0), call(0), times(10_000, lane))},
		"live over a call":  {params: i32, code: cat(get(0), call(0), times(1000, load, get(0), call(1), call(1)))},
		"locals over calls": {params: i32, locals: cat(1, leb(1000), i32), code: cat(each(1000, func(i int) []byte { return cat(load, set(i+1)) }), get(0), call(0), each(1000, func(i int) []byte { return cat(get(i+1), call(1)) }))},
	} {
		t.Run(name, func(t *testing.T) {
			f.export = "f"
			p := program{
				memory: cat(1, 0, 1), table: cat(1, typeFunc, 0, 1), elems: cat(1, 0, i32Const(0), opEnd, 1, 0),
				funcs: []fn{f, {params: i32}},
			}
			m, err := Rewrite(p.bytes(), Limits{})
			require.NoError(t, err)
			mod := startWith(t, wazero.NewRuntimeConfigCompiler(), m.Bytes)
			refuel(mod, math.MaxInt64)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = mod.ExportedFunction("f").Call(t.Context(), make([]uint64, len(f.params))...)
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, "unreachable")
			require.Negative(t, counter(mod, DepthGlobal))
			require.Positive(t, counter(mod, FuelGlobal))
			require.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(64), "MiB of stack, all its sizes together")
		})
	}
}

// TestRewrite_depthGivenBack: every exit of a recursive function gives its depth back.
func TestRewrite_depthGivenBack(t *testing.T) {
	again := cat(get(0), i32Const(1), opI32Sub, call(0))
	for name, exit := range map[string][]byte{
		"end":         cat(get(0), ifThen(again)),
		"return":      cat(get(0), ifThen(again, opReturn)),
		"branch":      cat(get(0), ifThen(again, opBr, 1)),
		"br_if":       cat(get(0), ifThen(again, get(0), brIf(1))),
		"br_table":    cat(get(0), ifThen(again, get(0), opBrTable, 1, 0, 1)),
		"tail call":   cat(get(0), ifThen(again, i32Const(0), opReturnCall, 0)),
		"from a loop": cat(get(0), ifThen(again, loop(opReturn))),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Rewrite(single(fn{export: "f", params: i32, code: exit}), Limits{})
			require.NoError(t, err)
			mod := startWith(t, wazero.NewRuntimeConfigCompiler(), m.Bytes)
			refuel(mod, math.MaxInt64)
			for range 3 {
				_, err = mod.ExportedFunction("f").Call(t.Context(), 7)
				require.NoError(t, err)
				require.EqualValues(t, DefaultDepth, counter(mod, DepthGlobal))
			}
		})
	}
}
