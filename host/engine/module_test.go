package engine_test

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// A loader that gives up, or runs out of time, does not fail those who wait for the same module.
func TestLoad_givenUp(t *testing.T) {
	givenUp(t, context.Canceled, func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithCancel(ctx) })
	givenUp(t, context.DeadlineExceeded, func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		return ctx, func() { time.AfterFunc(2*time.Second, cancel) }
	})
}

func givenUp(t *testing.T, want error, limited func(context.Context) (context.Context, context.CancelFunc)) {
	synctest.Test(t, func(t *testing.T) {
		compiling, goOn := make(chan struct{}, 1), make(chan struct{})
		e := open(t, engine.Config{Compiled: func(observe.Compiled) {
			select {
			case compiling <- struct{}{}:
				<-goOn // the first one to be compiled holds the others up
			default:
			}
		}})
		background := func(ctx context.Context, wasm []byte) <-chan error {
			done := make(chan error, 1)
			go func() {
				m, err := e.Load(ctx, "t", wasm)
				if m != nil {
					_ = m.Close()
				}
				done <- err
			}()
			synctest.Wait()
			return done
		}
		ctx, giveUp := limited(t.Context())
		slow := background(t.Context(), version(t, 1))
		first, second := background(ctx, version(t, 2)), background(t.Context(), version(t, 2))
		giveUp()
		require.ErrorIs(t, <-first, want)
		close(goOn)
		require.NoError(t, <-slow)
		require.NoError(t, <-second)
		require.Zero(t, engine.CodesOf(e))
	})
}

// Modules that came and went leave neither code nor memory.
func TestLoad_leavesNothing(t *testing.T) {
	e := open(t, engine.Config{})
	heap := func(from, to int) int {
		for n := from; n < to; n++ {
			m := mustLoad(t, e, "t", version(t, n))
			i, err := m.Instantiate(context.Background(), nil)
			require.NoError(t, err)
			require.NoError(t, m.Close())
			require.NoError(t, i.Close())
		}
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc)
	}
	before := heap(0, 20)
	require.Less(t, heap(20, 300), before+256<<10)
	require.Zero(t, engine.CodesOf(e))
	require.Zero(t, engine.DomainsOf(e))
}

// A guest cannot reach its neighbours by name.
func TestModule_cannotImportAnother(t *testing.T) {
	e := open(t, engine.Config{})
	load(t, e, "t", enginetest.Counter(t))
	_, err := e.Load(context.Background(), "t", enginetest.Guest(t, `(import "guest" "cr1_evict" (func (param i32 i64)))`+reduce))
	require.ErrorContains(t, err, "import guest.cr1_evict is not offered")
}
