package meter

import (
	"crypto/sha256"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// TestRewrite_module: what the engine is told about a module.
func TestRewrite_module(t *testing.T) {
	p := program{
		types:   [][]byte{functype(i32+i64, f64)},
		imports: [][]byte{cat(named("env"), named("f"), KindFunction, 0)},
		memory:  cat(1, 1, 2, 10),
		globals: cat(1, i32, 0, i32Const(1), opEnd),
		exports: [][]byte{cat(named("memory"), KindMemory, 0), cat(named("g"), KindGlobal, 0)},
		funcs:   []fn{{export: "run", params: i64, results: i32 + i32, code: cat(i32Const(1), i32Const(2))}, {}},
		start:   []byte{2},
	}
	m, err := Rewrite(p.bytes(), Limits{Depth: 77, StartFuel: 88, MemoryPages: 5})
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(m.Bytes), m.Digest)
	m.Digest, m.Bytes = [32]byte{}, nil
	require.Equal(t, &Module{
		Imports: []Import{{Module: "env", Name: "f", Params: []byte(i32 + i64), Results: []byte(f64)}},
		Exports: []Export{
			{Name: "memory", Kind: KindMemory},
			{Name: "g", Kind: KindGlobal, Results: []byte(i32)},
			{Name: "run", Kind: KindFunction, Index: 1, Params: []byte(i64), Results: []byte(i32 + i32)},
		},
		Start: true, HasMemory: true, MemoryMin: 2, MemoryMax: 5, Depth: 77, Chain: 1,
	}, m)
}

// TestRewrite_start: a start function runs on StartFuel, which is part of the bytes; so is Depth.
func TestRewrite_start(t *testing.T) {
	endless := program{funcs: []fn{{code: loop(opBr, 0)}}, start: []byte{0}}.bytes()
	m, err := Rewrite(endless, Limits{StartFuel: 1000})
	require.NoError(t, err)
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	defer r.Close(t.Context())
	_, err = r.Instantiate(t.Context(), m.Bytes)
	require.ErrorContains(t, err, "unreachable")

	other, err := Rewrite(endless, Limits{StartFuel: 1001})
	require.NoError(t, err)
	require.NotEqual(t, m.Digest, other.Digest)
}

// TestRewrite_memory: the limit is written into the module, below a larger maximum and beside none; a smaller maximum stays.
func TestRewrite_memory(t *testing.T) {
	for _, c := range []struct {
		memory []byte
		pages  uint64
	}{
		{cat(1, 0, 1), 5},
		{cat(1, 1, 1, leb(65536)), 5},
		{cat(1, 1, 1, 3), 3},
	} {
		m, err := Rewrite(program{memory: c.memory, funcs: []fn{{export: "f", params: i32, results: i32, code: cat(get(0), opMemoryGrow, 0, 0x1a, 0x3f, 0)}}}.bytes(), Limits{MemoryPages: 5})
		require.NoError(t, err)
		mod := startWith(t, wazero.NewRuntimeConfigInterpreter(), m.Bytes)
		for range 10 {
			refuel(mod, math.MaxInt64)
			got, err := mod.ExportedFunction("f").Call(t.Context(), 1)
			require.NoError(t, err)
			require.LessOrEqual(t, got[0], c.pages)
		}
		require.EqualValues(t, c.pages<<16, mod.Memory().Size())
		require.EqualValues(t, c.pages, m.MemoryMax)
	}
}

// TestRewrite_tables: tables without a maximum share what is left.
func TestRewrite_tables(t *testing.T) {
	p := program{
		table: cat(3, typeFunc, 0, 10, typeExtern, 1, 1, 20, typeFunc, 0, 30),
		funcs: []fn{{export: "f", params: i32, results: i32, code: cat(opRefNull, typeFunc, get(0), opMisc, miscTableGrow, 2)}},
	}
	m, err := Rewrite(p.bytes(), Limits{TableEntries: 100})
	require.NoError(t, err)
	mod := startWith(t, wazero.NewRuntimeConfigInterpreter(), m.Bytes)
	grow := func(n uint64) int32 {
		got, err := mod.ExportedFunction("f").Call(t.Context(), n)
		require.NoError(t, err)
		return api.DecodeI32(got[0])
	}
	require.EqualValues(t, -1, grow(21))
	require.EqualValues(t, 30, grow(20))
	require.EqualValues(t, -1, grow(1))
}

// TestRewrite_concurrent: any number of goroutines may rewrite the same bytes.
func TestRewrite_concurrent(t *testing.T) {
	wasm := smallGuest()
	want, err := Rewrite(wasm, Limits{})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if m, err := Rewrite(wasm, Limits{}); err != nil || m.Digest != want.Digest {
					t.Errorf("%v, digest %x", err, m.Digest)
				}
			}
		})
	}
	wg.Wait()
}
