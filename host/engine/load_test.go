package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/engine/meter"
	"github.com/crhost/crhost/host/observe"
	"github.com/stretchr/testify/require"
)

const reduce = `(func (export "cr1_reduce") (param i32) (result i64) (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))`

// raw is a module with every export but those that src is about.
func raw(fields ...string) string { return "(module " + strings.Join(fields, "\n") + ")" }

const (
	memory   = `(memory (export "memory") 1)`
	buffer   = `(func (export "cr1_buffer") (param i32) (result i32) (i32.const 0))`
	describe = `(func (export "cr1_describe") (result i64) (i64.const 0))`
	reduce0  = `(func (export "cr1_reduce") (param i32) (result i64) (i64.const 0))`
	state    = `(func (export "cr1_state") (param i32 i64) (result i64) (i64.const 0))`
	evict    = `(func (export "cr1_evict") (param i32 i64))`
)

func manifest(change func(*abi.Manifest)) *abi.Manifest {
	m := enginetest.Manifest()
	change(m)
	return m
}

func TestLoad_refuses(t *testing.T) {
	e := open(t, engine.Config{Meter: meter.Limits{StartFuel: 1_000_000}})
	wat := func(fields ...string) []byte { return enginetest.Wat(t, raw(fields...)) }
	with := func(change func(*abi.Manifest)) []byte { return enginetest.GuestWith(t, manifest(change), reduce) }
	for name, test := range map[string]struct {
		wasm []byte
		want string
	}{
		"empty":    {nil, "malformed at byte 0: not a WebAssembly module"},
		"not wasm": {[]byte("#!/bin/sh\n"), "malformed at byte 0: not a WebAssembly module"},

		"no exports":     {wat(), "export memory is missing"},
		"memory":         {wat(buffer, describe, reduce0, state, evict), "export memory is missing"},
		"memory kind":    {wat(`(global (export "memory") i32 (i32.const 0))`, buffer, describe, reduce0, state, evict), "export memory is a global, want a memory"},
		"buffer":         {wat(memory, describe, reduce0, state, evict), "export cr1_buffer is missing"},
		"describe":       {wat(memory, buffer, reduce0, state, evict), "export cr1_describe is missing"},
		"reduce":         {wat(memory, buffer, describe, state, evict), "export cr1_reduce is missing"},
		"state":          {wat(memory, buffer, describe, reduce0, evict), "export cr1_state is missing"},
		"evict":          {wat(memory, buffer, describe, reduce0, state), "export cr1_evict is missing"},
		"reduce kind":    {wat(memory, buffer, describe, `(global (export "cr1_reduce") i32 (i32.const 0))`, state, evict), "export cr1_reduce is a global, want a function"},
		"reduce type":    {wat(memory, buffer, describe, `(func (export "cr1_reduce") (param i32 i32) (result i64) (i64.const 0))`, state, evict), "export cr1_reduce has type (i32, i32) -> (i64), want (i32) -> (i64)"},
		"evict type":     {wat(memory, buffer, describe, reduce0, state, `(func (export "cr1_evict") (param i32))`), "export cr1_evict has type (i32) -> (), want (i32, i64) -> ()"},
		"idle type":      {enginetest.Guest(t, reduce+`(func (export "cr1_idle"))`), "export cr1_idle has type () -> (), want (i64) -> ()"},
		"configure type": {enginetest.Guest(t, reduce+`(func (export "cr1_configure") (param i64) (result i64) (i64.const 0))`), "export cr1_configure has type (i64) -> (i64), want (i32) -> (i64)"},
		"initialize":     {enginetest.Guest(t, reduce+`(func (export "_initialize") (result i32) (i32.const 0))`), "export _initialize has type () -> (i32), want () -> ()"},
		"query":          {enginetest.Guest(t, reduce+`(func (export "cr1_query"))`), "export cr1_query is reserved"},
		"command":        {wat(memory, `(func (export "_start"))`), "export cr1_buffer is missing, and _start is there: build a reactor and not a command (Go: -buildmode=c-shared)"},
		"start section":  {enginetest.Guest(t, reduce+`(func $s) (start $s)`), "the module has a start section: what has to run first belongs into _initialize"},

		"import module":  {enginetest.Guest(t, `(import "env" "abort" (func))`+reduce), "import env.abort is not offered: a guest may import crhost.log and 19 functions of wasi_snapshot_preview1"},
		"import name":    {enginetest.Guest(t, `(import "wasi_snapshot_preview1" "path_open" (func))`+reduce), "import wasi_snapshot_preview1.path_open is not offered: a guest may import crhost.log and 19 functions of wasi_snapshot_preview1"},
		"import control": {enginetest.Guest(t, `(import "env" "\1b[2J\n" (func))`+reduce), `import env.\x1b[2J\n is not offered: a guest may import crhost.log and 19 functions of wasi_snapshot_preview1`},
		"import type":    {enginetest.Guest(t, `(import "crhost" "log" (func (param i32 i32)))`+reduce), "import crhost.log has type (i32, i32) -> (), want (i32, i32, i32) -> ()"},
		"import memory":  {wat(`(import "env" "memory" (memory 1))`), "import 0 env.memory: imported memory not supported"},
		"counter's name": {enginetest.Guest(t, reduce+`(func (export "cr_fuel"))`), `export "cr_fuel": a name reserved for metering not supported`},

		"memory too large": {wat(`(memory (export "memory") 2000)`, buffer, describe, reduce0, state, evict), "memory: 2000 pages at start, the limit is 1024"},
		"types":            {enginetest.Guest(t, `(func (export "cr1_reduce") (param i32) (result i64) (i32.const 1))`), `invalid module: invalid function[0] export["cr1_reduce"]: cannot use i32 as result[0] type i64`},

		"initialize traps": {enginetest.Guest(t, reduce+`(func $boot (export "_initialize") unreachable)`), "_initialize: unreachable in boot"},
		"initialize spins": {enginetest.Guest(t, reduce+`(func $boot (export "_initialize") (loop $l (br $l)))`), "_initialize: out of fuel, the limit is 1000000 in boot"},
		"describe traps":   {wat(memory, buffer, `(func $d (export "cr1_describe") (result i64) unreachable)`, reduce0, state, evict), "cr1_describe: unreachable in d"},
		"describe frame":   {wat(memory, buffer, describe, reduce0, state, evict), "cr1_describe: output frame: 0 bytes are fewer than its header of 32"},
		"data segment":     {enginetest.Guest(t, reduce+`(data (i32.const 1000000) "x")`), "instantiate: data[0]: out of bounds memory access"},

		"manifest name":    {with(func(m *abi.Manifest) { m.Name = "No!" }), `manifest: name "No!" is not 1 to 64 of a-z, 0-9, _ and .`},
		"manifest minor":   {with(func(m *abi.Manifest) { m.Minor = 3 }), "manifest: the guest needs ABI 1.3, this host speaks 1.0"},
		"manifest actions": {with(func(m *abi.Manifest) { m.Actions = nil }), "manifest: no actions"},
		"manifest limit":   {with(func(m *abi.Manifest) { m.Limits.StateBytes = 1 << 30 }), "manifest: limit state_bytes 1073741824, the hard limit is 268435456"},
		"manifest memory":  {with(func(m *abi.Manifest) { m.Limits.MemoryPages = 1 }), "memory: 2 pages at start, the limit is 1"},
		"migration": {with(func(m *abi.Manifest) { m.Migrations = []abi.Migration{{From: 1, To: 2}} }),
			"manifest: a migration from schema 1 to 2, but no export cr1_migrate"},
		"migration down": {with(func(m *abi.Manifest) { m.Migrations = []abi.Migration{{From: 2, To: 1, Down: true}} }),
			"manifest: a migration down from schema 2 to 1, but no export cr1_migrate_down"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := e.Load(context.Background(), "t", test.wasm)
			require.Nil(t, m)
			var refusal *engine.LoadError
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, test.want, refusal.Error())
		})
	}
	require.Zero(t, engine.CodesOf(e), "a refused module leaves nothing")
}

func TestLoad_memoryLimitIsTheManifests(t *testing.T) {
	e := open(t, engine.Config{})
	for pages, want := range map[uint64]uint32{0: 1024, 16: 16, 2000: 2000} {
		wasm := enginetest.GuestWith(t, manifest(func(m *abi.Manifest) { m.Limits.MemoryPages = pages }), `
			(func (export "cr1_reduce") (param i32) (result i64)
			  (drop (memory.grow (i32.const `+strconv.Itoa(int(want)-2)+`)))
			  (drop (memory.grow (i32.const 1)))
			  (i32.store (i32.const 96) (memory.size))
			  (call $answer (i32.const 0) (i32.const 0) (i32.const 4)))`)
		m := load(t, e, "t", wasm)
		i := instantiate(t, m)
		var out abi.Output
		require.NoError(t, i.Reduce(&abi.ReduceInput{}, fuel, &out))
		require.Equal(t, []byte{byte(want), byte(want >> 8), 0, 0}, out.Body)
		require.Equal(t, int(want)*abi.PageBytes, i.MemoryBytes())
		require.Equal(t, i.MemoryLimit(), i.MemoryBytes())
		require.EqualValues(t, want, m.Limits().MemoryPages)
	}
}

func TestLoad_cancelled(t *testing.T) {
	e := open(t, engine.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := e.Load(ctx, "t", enginetest.Counter(t))
	require.ErrorIs(t, err, context.Canceled)
	load(t, e, "t", enginetest.Counter(t))
}

func TestLoad_afterClose(t *testing.T) {
	e, err := engine.New(context.Background(), engine.Config{})
	require.NoError(t, err)
	require.NoError(t, e.Close())
	require.NoError(t, e.Close())
	_, err = e.Load(context.Background(), "t", nil)
	require.ErrorIs(t, err, engine.ErrEngineClosed)
}

// Compiled code outlives the engine on disk, and neither a damaged nor a read-only cache stands in the way of a load.
func TestLoad_diskCache(t *testing.T) {
	dir := t.TempDir()
	var seen []observe.Compiled
	once := func() {
		e, err := engine.New(context.Background(), engine.Config{CacheDir: dir, Compiled: func(c observe.Compiled) { seen = append(seen, c) }})
		require.NoError(t, err)
		m, err := e.Load(context.Background(), "t", enginetest.Counter(t))
		require.NoError(t, err)
		i, err := m.Instantiate(context.Background(), nil)
		require.NoError(t, err)
		send(t, i, abi.Fresh, 0, 1)
		require.NoError(t, i.Close())
		require.NoError(t, m.Close())
		require.NoError(t, e.Close())
	}
	once()
	once()
	require.Len(t, seen, 2)
	require.False(t, seen[0].Cached)
	require.True(t, seen[1].Cached)
	require.Equal(t, len(enginetest.Counter(t)), seen[0].Bytes)
	require.Greater(t, seen[0].MeteredBytes, seen[0].Bytes)

	files, err := filepath.Glob(filepath.Join(dir, "meter-*", "wazero-*", "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	for _, damage := range []int64{0, 3, 100} {
		require.NoError(t, os.Truncate(files[0], damage))
		once()
	}
	require.Len(t, seen, 5)
	for _, c := range seen {
		require.NoError(t, c.Err)
	}
}
