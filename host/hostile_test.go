package host_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

// reduceAs answers the attack by first incrementing the count and then, with the given status, flags and body.
const reduceAs = `
(func (export "cr1_reduce") (param $len i32) (result i64)
  (i32.store16 offset=6 (i32.const 65536) (i32.const 0)) ;; as if it were an increment
  (drop (call $counter (local.get $len)))
  (drop (call $answer (i32.const STATUS) (i32.const FLAGS) (i32.const BODY)))
  (i32.store (i32.const 84) (i32.const CODE))            ;; length of the code
  (i32.store (i32.const 96) (i32.const BYTES))
  (i64.or (i64.const 0x4000000020) (i64.const TOTAL)))`

func as(status, flags, body, code, bytes, total string) string {
	return strings.NewReplacer("STATUS", status, "FLAGS", flags, "BODY", body, "CODE", code, "BYTES", bytes, "TOTAL", total).Replace(reduceAs)
}

// attacks are the guests of the engine's hostile corpus, and those that only a host can see through.
func attacks(t *testing.T) map[string]struct {
	src    string
	code   abi.Code
	reason string
} {
	attacks := map[string]struct {
		src    string
		code   abi.Code
		reason string
	}{
		"dirty rejection": {as("1", "0", "0", "2", "0x6f6e", "2"), abi.CodeRejected, "no"},
		"lying CLEAN":     {as("1", "2", "0", "2", "0x6f6e", "2"), abi.CodeRejected, "no"},
		"bad action":      {as("2", "0", "0", "0", "0", "0"), abi.CodeBadAction, ""},
		"not msgpack":     {as("0", "1", "1", "0", "0xc1", "1"), abi.CodeInvalidEffect, ""},
		"not a list":      {as("0", "1", "1", "0", "0x80", "1"), abi.CodeInvalidEffect, ""},
		"no effect":       {as("0", "1", "2", "0", "0x8091", "2"), abi.CodeInvalidEffect, ""},
	}
	files, err := filepath.Glob("engine/testdata/hostile/*.wat")
	require.NoError(t, err)
	require.Greater(t, len(files), 20)
	for _, file := range files {
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		a := attacks[""]
		a.src, a.code = string(src), abi.CodeTrapped
		attacks[strings.TrimSuffix(filepath.Base(file), ".wat")] = a
	}
	return attacks
}

func count(t *testing.T, s *host.Store) int64 {
	t.Helper()
	state, err := s.State(context.Background())
	require.NoError(t, err)
	var v struct {
		Count int64 `msgpack:"count"`
	}
	require.NoError(t, msgpack.Unmarshal(state.Body, &v))
	return v.Count
}

// Whatever a guest does, the caller gets its error, other stores stay right, and the next action on the same store goes on from what was accepted.
func TestHostile(t *testing.T) {
	ctx := context.Background()
	h := open(t, host.Config{Shards: 1, TrapRate: 1e9})
	for name, attack := range attacks(t) {
		t.Run(name, func(t *testing.T) {
			module := "m" + strings.Map(func(r rune) rune {
				if r == ' ' || r == '_' {
					return '-'
				}
				return r
			}, strings.ToLower(name))
			_, err := h.Deploy(ctx, host.DeployRequest{Module: module, Wasm: enginetest.Attacker(t, attack.src)})
			require.NoError(t, err)
			victim, other := h.Store(abi.Address{Module: module, Key: "victim"}), h.Store(abi.Address{Module: module, Key: "other"})
			for i := range int64(3) {
				for _, s := range []*host.Store{victim, other} {
					_, err := s.Send(ctx, enginetest.Action("increment"))
					require.NoError(t, err)
				}
				for range 2 {
					_, err := victim.Send(ctx, enginetest.Action("attack"))
					require.ErrorIs(t, err, &host.Error{Code: attack.code, Reason: attack.reason})
				}
				if name != "lying CLEAN" {
					require.Equal(t, i+1, count(t, victim))
				}
				require.Equal(t, i+1, count(t, other))
			}
			require.NoError(t, h.Unload(ctx, "", module))
		})
	}
}

// A thousand rounds of attacks leave nothing behind.
func TestHostile_leaksNothing(t *testing.T) {
	ctx := context.Background()
	h := open(t, host.Config{Shards: 1, TrapRate: 1e9})
	all := attacks(t)
	var stores []*host.Store
	for i, name := range []string{"trap", "exit", "bad_pointer", "dirty rejection", "not msgpack"} {
		module := fmt.Sprintf("m%d", i)
		_, err := h.Deploy(ctx, host.DeployRequest{Module: module, Wasm: enginetest.Attacker(t, all[name].src)})
		require.NoError(t, err)
		stores = append(stores, h.Store(abi.Address{Module: module}))
	}
	sent := int64(0)
	rounds := func(n int) (heap uint64, goroutines int) {
		for i := range n {
			s := stores[i%len(stores)]
			_, err := s.Send(ctx, enginetest.Action("attack"))
			require.Error(t, err)
			_, err = s.Send(ctx, enginetest.Action("increment"))
			require.NoError(t, err)
			if i%len(stores) == 0 {
				sent++
			}
		}
		require.Equal(t, sent, count(t, stores[0]))
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc, runtime.NumGoroutine()
	}
	// The history of the stores is full after the first: 1,000 records each are kept.
	before, goroutines := rounds(5_500)
	after, later := rounds(1_000)
	require.LessOrEqual(t, later, goroutines+1, "a spare may be in the making")
	require.Less(t, after, before+before/20+256<<10)
}

// A goroutine that a reducer leaves behind is a trap when it is counted, which is after a store's first action and every 16th, and is nobody else's fault
// when it is not.
func TestHostile_goroutine(t *testing.T) {
	ctx := context.Background()
	h := open(t, host.Config{Shards: 1, TrapRate: 1e9})
	deploy(t, h, "goroutine", "./internal/guests/goroutine")
	store := func(key string) *host.Store { return h.Store(abi.Address{Module: "goroutine", Key: key}) }
	guilty, other := store("guilty"), store("other")

	_, err := guilty.Send(ctx, enginetest.Action("leave"))
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeTrapped})
	require.ErrorContains(t, err, "goroutine")
	for range 2 {
		for _, s := range []*host.Store{guilty, other} {
			_, err := s.Send(ctx, enginetest.Action("increment"))
			require.NoError(t, err)
		}
	}
	require.EqualValues(t, 2, count(t, guilty))

	_, err = guilty.Send(ctx, enginetest.Action("leave")) // its third: not counted, and it cannot run
	require.NoError(t, err)
	for i := range int64(3_000) { // past every housekeeping
		_, err := other.Send(ctx, enginetest.Action("increment"))
		require.NoError(t, err)
		if i%500 == 0 {
			require.Equal(t, i+3, count(t, other))
			require.EqualValues(t, 3, count(t, guilty))
		}
	}
	require.True(t, guilty.Health().IsHealthy())
	require.True(t, other.Health().IsHealthy())
}
