package wat_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/crhost/crhost/internal/wat"
)

// instantiate runs a module in an engine that did not learn the format from this package.
func instantiate(t *testing.T, src string) api.Module {
	t.Helper()
	binary, err := wat.Compile(src)
	require.NoError(t, err)
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().
		WithCoreFeatures(api.CoreFeaturesV2|experimental.CoreFeaturesTailCall))
	t.Cleanup(func() { require.NoError(t, r.Close(ctx)) })
	_, err = r.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithFunc(func(a, b int32) int32 { return 10*a + b }).Export("pair").Instantiate(ctx)
	require.NoError(t, err)
	m, err := r.Instantiate(ctx, binary)
	require.NoError(t, err)
	return m
}

func TestCompile_runs(t *testing.T) {
	for name, test := range map[string]struct {
		src  string // exports "f"
		args []uint64
		want uint64
	}{
		"folded and flat code mix": {
			src: `(func (export "f") (param $n i64) (result i64) (local $sum i64)
			        (block $done
			          (loop $next
			            (br_if $done (i64.eqz (local.get $n)))
			            local.get $sum
			            local.get $n
			            i64.add
			            local.set $sum
			            (local.set $n (i64.sub (local.get $n) (i64.const 1)))
			            br $next))
			        (local.get $sum))`,
			args: []uint64{10}, want: 55,
		},
		"operands are emitted before the instruction that takes them": {
			src:  `(func (export "f") (param i32) (result i32) (i32.sub (i32.const 50) (i32.mul (local.get 0) (i32.const 2))))`,
			args: []uint64{4}, want: 42,
		},
		"if yields a value by either arm": {
			src: `(func (export "f") (param i32) (result i32)
			        (if (result i32) (local.get 0) (then (i32.const 7)) (else (i32.const 8))))`,
			args: []uint64{0}, want: 8,
		},
		"br_table counts its default as the last label": {
			src: `(func (export "f") (param i32) (result i32)
			        (block $other (block $one (block $zero
			          (br_table $zero $one $other (local.get 0)))
			          (return (i32.const 100)))
			          (return (i32.const 101)))
			        (i32.const 102))`,
			args: []uint64{9}, want: 102,
		},
		"imports, inline or not, come first in the index space": {
			src: `(import "env" "pair" (func $pair (param i32 i32) (result i32)))
			      (func $again (import "env" "pair") (param i32 i32) (result i32))
			      (func (export "f") (result i32)
			        (i32.add (call $pair (i32.const 1) (i32.const 2)) (call $again (i32.const 3) (i32.const 4))))`,
			want: 46,
		},
		"tables, element segments and indirect calls": {
			src: `(type $op (func (param i32 i32) (result i32)))
			      (table funcref (elem $add $sub))
			      (func $add (type $op) (i32.add (local.get 0) (local.get 1)))
			      (func $sub (param $a i32) (param $b i32) (result i32) (i32.sub (local.get $a) (local.get $b)))
			      (func (export "f") (param i32) (result i32)
			        (call_indirect (type $op) (i32.const 9) (i32.const 5) (local.get 0)))`,
			args: []uint64{1}, want: 4,
		},
		"tail calls do not grow the stack": {
			src: `(func $down (param i32) (result i32)
			        (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
			        (return_call $down (i32.sub (local.get 0) (i32.const 1))))
			      (func (export "f") (result i32) (call $down (i32.const 1000000)))`,
			want: 1,
		},
		"data with escapes, memory arguments": {
			src: `(memory 1 2)
			      (data (i32.const 8) "\01\02" "\ff\00a\n")
			      (func (export "f") (result i32) (i32.load offset=4 align=1 (i32.const 6)))`,
			want: 0x0a6100ff,
		},
		"passive data and bulk memory": {
			src: `(memory 1)
			      (data $greeting "hello")
			      (func (export "f") (result i32)
			        (memory.init $greeting (i32.const 100) (i32.const 1) (i32.const 4))
			        (memory.copy (i32.const 0) (i32.const 100) (i32.const 4))
			        (memory.fill (i32.const 1) (i32.const 0x41) (i32.const 2))
			        (data.drop $greeting)
			        (i32.load (i32.const 0)))`,
			want: 'e' | 'A'<<8 | 'A'<<16 | 'o'<<24,
		},
		"globals, start and memory.grow": {
			src: `(memory 1 3)
			      (global $pages (mut i32) (i32.const -1))
			      (start $init)
			      (func $init (global.set $pages (memory.grow (i32.const 2))))
			      (func (export "f") (result i32)
			        (i32.add (i32.mul (global.get $pages) (i32.const 10)) (memory.size)))`,
			want: 13,
		},
		"numbers are hexadecimal, negative and grouped": {
			src: `(func (export "f") (result i64)
			        (i64.add (i64.const 0xffff_ffff_ffff_fff0) (i64.sub (i64.const 1_000) (i64.const -0x10))))`,
			want: 1000,
		},
		"floating point, sign extension and saturation": {
			src: `(func (export "f") (result i64)
			        (i64.add (i64.trunc_sat_f64_s (f64.const -inf))
			          (i64.extend8_s (i64.trunc_sat_f32_u (f32.const 0x1.FEp7)))))`,
			want: 1<<63 - 1,
		},
		"comments nest": {
			src:  `(; one (; two ;) ;) (func (export "f") (result i32) ;; three` + "\n" + `(i32.const (; four ;) 4))`,
			want: 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := instantiate(t, test.src).ExportedFunction("f").Call(context.Background(), test.args...)
			require.NoError(t, err)
			require.Equal(t, []uint64{test.want}, got)
		})
	}
}

func TestCompile_namesFunctionsInTraps(t *testing.T) {
	m := instantiate(t, `(module (func $boom unreachable) (func (export "f") (call $boom)))`)
	_, err := m.ExportedFunction("f").Call(context.Background())
	require.ErrorContains(t, err, "boom")
}

func TestCompile_errorsNameTheLine(t *testing.T) {
	for name, test := range map[string]struct{ src, want string }{
		"unclosed list":       {"(func\n(nop)", "wat: line 1: ( without )"},
		"stray parenthesis":   {"(func)\n)", "wat: line 2: unexpected )"},
		"unclosed string":     {"(data\n\"abc", "wat: line 2: string without end"},
		"unknown escape":      {`(data "\q")`, "wat: line 1: unknown escape in string"},
		"unknown field":       {"(func)\n(fun)", "wat: line 2: unknown field (fun"},
		"unknown instruction": {"(func\n  nop\n  i32.sum)", `wat: line 3: unknown instruction "i32.sum"`},
		"unknown name":        {"(func\n(call $f))", "wat: line 2: unknown function $f"},
		"unknown label":       {"(func (block $a)\n(br $a))", "wat: line 2: unknown label $a"},
		"name twice":          {"(global $a i32 (i32.const 0))\n(global $a i32 (i32.const 0))", "wat: line 2: global $a is defined twice"},
		"number too large":    {"(func (drop\n(i32.const 0x1_0000_0000)))", `wat: line 2: "0x1_0000_0000" is no i32`},
		"no number":           {"(func (drop (f64.const one)))", `wat: line 1: "one" is no f64`},
		"missing immediate":   {"(func\n(i32.const))", "wat: line 2: expected i32"},
		"flat operand":        {"(func (drop\n(i32.eqz nop)))", "wat: line 2: unexpected nop"},
		"block without end":   {"(func block nop)", "wat: line 1: block without end"},
		"end without block":   {"(func nop\nend)", "wat: line 2: end without block"},
		"end of another":      {"(func block $a\nend $b)", "wat: line 2: end $b closes another block"},
		"alignment":           {"(func\n(drop (i32.load align=3 (i32.const 0))))", "wat: line 2: align=3 is no power of two"},
		"no field":            {"module", "wat: line 1: expected a field in parentheses"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wat.Compile(test.src)
			require.EqualError(t, err, test.want)
		})
	}
}

// An invalid module must come out as it was written: hostile modules are what the package is for.
func TestCompile_doesNotValidate(t *testing.T) {
	binary, err := wat.Compile(`(memory 70000) (memory 2 1) (func (result i32) (i64.const 1) (call 99))`)
	require.NoError(t, err)
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() { require.NoError(t, r.Close(ctx)) }()
	_, err = r.CompileModule(ctx, binary)
	require.Error(t, err)
}

func FuzzCompile(f *testing.F) {
	f.Add(`(module (func (export "f") (result i32) (i32.const 1)))`)
	f.Add(`(memory 1) (data $d "a\00") (func (memory.init $d) (block $b (br_table $b 0)))`)
	f.Add(`(table funcref (elem 0)) (elem declare func 0) (func (if (then) (else nop)))`)
	f.Fuzz(func(t *testing.T, src string) {
		if binary, err := wat.Compile(src); err == nil {
			require.Equal(t, "\x00asm\x01\x00\x00\x00", string(binary[:8]))
		}
	})
}
