package engine_test

import (
	"context"
	"strconv"
	"sync"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/observe"
	"github.com/stretchr/testify/require"
)

func mustLoad(t *testing.T, e *engine.Engine, domain string, wasm []byte) *engine.Module {
	t.Helper()
	m, err := e.Load(context.Background(), domain, wasm)
	require.NoError(t, err)
	return m
}

// version is a counter that differs from other versions in its bytes only.
func version(t *testing.T, n int) []byte {
	t.Helper()
	return enginetest.Guest(t, `(global $version i32 (i32.const `+strconv.Itoa(n)+`)) `+reduce)
}

// Equal bytes loaded twice share code; closing one handle, or all of them while instances run, leaves the rest working.
func TestModule_isCounted(t *testing.T) {
	var compiled int
	e := open(t, engine.Config{Compiled: func(observe.Compiled) { compiled++ }})
	wasm := enginetest.Counter(t)
	a, b := mustLoad(t, e, "t", wasm), mustLoad(t, e, "t", wasm)
	require.Equal(t, 1, compiled)
	require.Equal(t, 1, engine.CodesOf(e))
	require.Same(t, a.Manifest(), b.Manifest())
	require.Equal(t, a.Digest(), b.Digest())
	require.Equal(t, len(wasm), a.Size())

	i := instantiate(t, b)
	require.NoError(t, a.Close())
	require.NoError(t, a.Close(), "twice is once")
	_, err := a.Instantiate(context.Background(), nil)
	require.ErrorIs(t, err, engine.ErrClosed)
	send(t, i, abi.Fresh, 0, 1)
	send(t, instantiate(t, b), abi.Fresh, 0, 1)

	require.NoError(t, b.Close())
	require.Equal(t, 1, engine.CodesOf(e), "an instance is a reference too")
	send(t, i, abi.Resident, 0, 1)
	require.EqualValues(t, 2, count(t, i, 0))
}

// What one domain closes, another one still has, though both compiled the same content.
func TestModule_domainsAreApart(t *testing.T) {
	e := open(t, engine.Config{})
	wasm := enginetest.Counter(t)
	a, b := mustLoad(t, e, "a", wasm), mustLoad(t, e, "b", wasm)
	require.Equal(t, 2, engine.DomainsOf(e))
	i := instantiate(t, b)
	send(t, i, abi.Fresh, 0, 1)
	require.NoError(t, a.Close())
	require.Equal(t, 1, engine.DomainsOf(e), "a domain without code is gone")
	send(t, i, abi.Resident, 0, 1)
	send(t, instantiate(t, b), abi.Fresh, 0, 1)
	a = mustLoad(t, e, "a", wasm)
	require.NoError(t, b.Close())
	send(t, instantiate(t, a), abi.Fresh, 0, 1)
	require.NoError(t, a.Close())
}

// Deploys go from A to B and back while calls run. No call fails, and no compiled code is left behind.
func TestModule_swapsWhileCallsRun(t *testing.T) {
	e := open(t, engine.Config{})
	versions := [][]byte{version(t, 1), version(t, 2)}
	keep := mustLoad(t, e, "t", versions[0])
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for round := range 100 {
				m, err := e.Load(context.Background(), "t", versions[(worker+round)%2])
				if err != nil {
					t.Error(err)
					return
				}
				i, err := m.Instantiate(context.Background(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				_ = m.Close()
				var out abi.Output
				for range 10 {
					if err := i.Reduce(&abi.ReduceInput{}, fuel, &out); err != nil {
						t.Error(err)
					}
				}
				_ = i.Close()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, engine.CodesOf(e))
	instantiate(t, keep)
	require.NoError(t, keep.Close())
}

// A loader that gives up does not fail those who wait for the same module.
func TestLoad_concurrently(t *testing.T) {
	e := open(t, engine.Config{})
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			if n%2 == 0 {
				cancel()
			}
			defer cancel()
			m, err := e.Load(ctx, "t", version(t, n/8))
			if n%2 == 1 && err != nil {
				t.Error(err)
			}
			if m != nil {
				_ = m.Close()
			}
		})
	}
	wg.Wait()
	require.Zero(t, engine.CodesOf(e))
}

// A guest cannot reach its neighbours by name.
func TestModule_cannotImportAnother(t *testing.T) {
	e := open(t, engine.Config{})
	load(t, e, "t", enginetest.Counter(t))
	_, err := e.Load(context.Background(), "t", enginetest.Guest(t, `(import "guest" "cr1_evict" (func (param i32 i64)))`+reduce))
	require.ErrorContains(t, err, "import guest.cr1_evict is not offered")
}
