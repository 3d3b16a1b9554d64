package host_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/stretchr/testify/require"
)

// S1, S2, S5, S9, S11, S13, S15, D3: whatever 64 goroutines do to one store and to many, while guests trap, states are evicted, the module is replaced and unloaded,
// batches fail and callers go away, across a shutdown under load and a crash, the stores are linearizable, history is what receipts said, and
// subscribers get each action once, in order.
func TestLinearizable(t *testing.T) {
	seeds := []uint64{1}
	if s := os.Getenv("CRHOST_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		seeds = []uint64{seed}
	} else if long() {
		for seed := range uint64(50) {
			seeds = append(seeds, seed+2)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			a := newArena(t, seed)
			for _, end := range []func(){a.shutdown, a.crash, a.shutdown} {
				a.round(64, 4_000, end)
			}
			a.verify()
		})
	}
}

// The suite tells a host that is broken: each of these must be found out.
func TestLinearizable_mutants(t *testing.T) {
	for name, mutate := range map[string]func(counterStore) counterStore{
		"acknowledges before it is durable": func(s counterStore) counterStore { return &hasty{counterStore: s} },
		"loses an increment":                func(s counterStore) counterStore { return &losing{counterStore: s} },
		"reads stale":                       func(s counterStore) counterStore { return stale{s} },
	} {
		t.Run(name, func(t *testing.T) {
			a := newArena(t, 1)
			a.mutate = mutate
			a.round(8, 1_000, a.shutdown)
			require.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(counterModel, a.history, time.Minute))
		})
	}
	t.Run("one answer changed", func(t *testing.T) {
		a := newArena(t, 1)
		a.round(8, 1_000, a.shutdown)
		linearizable(t, a.history)
		for i := len(a.history) / 2; ; i++ {
			if out := a.history[i].Output.(output); a.history[i].Input.(input).op == opRead && out.verdict == done {
				out.count++
				a.history[i].Output = out
				break
			}
		}
		require.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(counterModel, a.history, time.Minute))
	})
}

// counterStore is what clients use of a store.
type counterStore interface {
	SendWith(context.Context, []byte, host.SendOptions) (host.Receipt, error)
	State(context.Context) (host.State, error)
	Stale(context.Context) (host.State, error)
	Delete(context.Context) error
	Resume(context.Context) error
	Wait(context.Context, uint64) error
}

// hasty is a mutant: what it takes it calls durable.
type hasty struct {
	counterStore
	last atomic.Uint64
}

func (h *hasty) SendWith(ctx context.Context, action []byte, o host.SendOptions) (host.Receipt, error) {
	r, err := h.counterStore.SendWith(ctx, action, o)
	if errors.Is(err, host.ErrBatchFailed) && o.Correlation != "" {
		return host.Receipt{Seq: h.last.Add(1)}, nil
	}
	if err == nil {
		h.last.Store(r.Seq)
	}
	return r, err
}

// losing is a mutant: some increments it takes and does not make.
type losing struct {
	counterStore
	sent atomic.Uint64
}

func (l *losing) SendWith(ctx context.Context, action []byte, o host.SendOptions) (host.Receipt, error) {
	if o.Correlation != "" && l.sent.Add(1)%20 == 0 {
		action = enginetest.Action("increment", 0)
	}
	return l.counterStore.SendWith(ctx, action, o)
}

// stale is a mutant: it reads what is at hand.
type stale struct{ counterStore }

func (s stale) State(ctx context.Context) (host.State, error) { return s.Stale(ctx) }

// Keys: all clients meet at the hot one, the mortal ones are deleted now and then, the others are many more than there are slots.
const (
	hot     = "hot"
	mortals = 4
	many    = 32
)

func mortal(key string) bool { return strings.HasPrefix(key, "mortal") }

// receipt is an action whose outcome a client knows: it was accepted as seq, or (seq 0) certainly not.
type receipt struct {
	key string
	seq uint64
}

// staleRead is a state that Stale answered.
type staleRead struct {
	key   string
	seq   uint64
	count int64
}

// arena is a host that everything happens to.
type arena struct {
	*testing.T
	ctx     context.Context
	seed    uint64
	mutate  func(counterStore) counterStore
	modules [2][]byte // the two revisions that replace each other
	backend *memory.Backend
	host    *host.Host
	readers map[string]*reader

	injecting atomic.Bool
	clock     atomic.Int64 // gives operations their times
	epoch     atomic.Int64 // odd while the module is unloaded
	ended     atomic.Bool  // the host is on its way out
	over      atomic.Bool  // the host is gone
	crashed   atomic.Int64 // time from which the journal takes nothing more

	mu       sync.Mutex // guards what follows
	dice     *rand.Rand // of the journal
	history  []porcupine.Operation
	receipts map[string]receipt // by correlation id
	reads    []staleRead
	stores   map[string]counterStore
	drops    map[abi.Code]int
}

func newArena(t *testing.T, seed uint64) *arena {
	a := &arena{
		T: t, ctx: t.Context(), seed: seed, dice: rand.New(rand.NewPCG(seed, 0)), receipts: make(map[string]receipt), drops: make(map[abi.Code]int),
		mutate: func(s counterStore) counterStore { return s }, readers: make(map[string]*reader),
	}
	trap := `(func (export "cr1_reduce") (param $len i32) (result i64) unreachable)`
	a.modules = [2][]byte{enginetest.Attacker(t, trap), enginetest.Attacker(t, strings.Replace(trap, "unreachable", "nop unreachable", 1))}
	a.backend = memory.New(memory.Config{History: 1 << 20, Before: a.inject})
	a.open()
	for _, key := range []string{hot, "many-0", "many-1", "mortal-0"} {
		a.readers[key] = &reader{arena: a, key: key, next: 1, seen: make(map[uint64]string)}
	}
	return a
}

// inject refuses a batch now and then, and lets others go first.
func (a *arena) inject(*journal.Batch) error {
	a.mu.Lock()
	refuse, wait := a.dice.IntN(100) < 5, a.dice.IntN(4)
	a.mu.Unlock()
	for range wait {
		runtime.Gosched()
	}
	if refuse && a.injecting.Load() {
		return fmt.Errorf("injected: %w", journal.ErrRefused)
	}
	return nil
}

func (a *arena) open() {
	h, err := host.Open(a.ctx, host.Config{
		Journal: a.backend, Shards: 2, Residents: 3, Stores: 10, TailBytes: 1_500, SubscriberBuffer: 32, QueueDepth: 20, TrapRate: 1e9,
	})
	require.NoError(a, err)
	a.host = h
	a.stores = make(map[string]counterStore)
	a.ended.Store(false)
	a.over.Store(false)
	a.crashed.Store(math.MaxInt64)
	if len(h.Modules("")) == 0 { // not yet deployed, or caught between an unload and what follows it
		a.deploy(0)
	}
}

func (a *arena) store(key string) counterStore {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stores[key] == nil {
		a.stores[key] = a.mutate(a.host.Store(abi.Address{Module: "counter", Key: key}))
	}
	return a.stores[key]
}

// deploy makes a revision the active one, unless the journal or the end of the round keeps it from that.
func (a *arena) deploy(revision int) {
	for !a.ended.Load() {
		_, err := a.host.Deploy(a.ctx, host.DeployRequest{Module: "counter", Wasm: a.modules[revision]})
		if !errors.Is(err, host.ErrBatchFailed) {
			a.tolerate(err)
			return
		}
	}
}

// unload takes the module out of service while everybody uses it, and puts it back.
func (a *arena) unload(revision int) {
	a.epoch.Add(1)
	a.tolerate(a.host.Unload(a.ctx, "", "counter"))
	a.deploy(revision)
	a.epoch.Add(1)
}

// tolerate fails the test over an error that nothing that was injected explains.
func (a *arena) tolerate(err error) {
	if err == nil || errors.Is(err, host.ErrBatchFailed) || a.ended.Load() || moduleGone(err) {
		return
	}
	a.Errorf("seed %d: unexpected error: %v", a.seed, err)
}

// moduleGone reports whether an error says that the module, and not the store, is not there.
func moduleGone(err error) bool {
	return errors.Is(err, host.ErrNotFound) && (strings.Contains(err.Error(), "has no module") || strings.Contains(err.Error(), "was unloaded"))
}

// round runs clients until they have done so many operations in all, and ends the host under them.
func (a *arena) round(clients, operations int, end func()) {
	if a.host == nil {
		a.open()
	}
	a.injecting.Store(true)
	var count atomic.Int64
	enough := make(chan struct{})
	var wg, readers sync.WaitGroup
	for _, r := range a.readers {
		readers.Go(r.read)
	}
	for i := range clients {
		c := &client{arena: a, id: i, dice: rand.New(rand.NewPCG(a.seed, uint64(i+1)<<32|uint64(a.clock.Load())))}
		wg.Go(func() {
			for !a.over.Load() {
				c.act()
				if count.Add(1) == int64(operations) {
					close(enough)
				}
			}
		})
	}
	<-enough
	end()
	a.over.Store(true)
	wg.Wait()
	readers.Wait()
	a.host = nil
}

// shutdown ends the host while clients use it.
func (a *arena) shutdown() {
	a.injecting.Store(false)
	a.ended.Store(true)
	if err := a.host.Shutdown(a.ctx); !errors.Is(err, host.ErrBatchFailed) { // a batch refused just before
		require.NoError(a, err, "seed %d", a.seed)
	}
}

// crash ends the journal while clients use it, and goes on with what it held.
func (a *arena) crash() {
	a.ended.Store(true)
	a.backend = a.backend.Crash()
	a.crashed.Store(a.clock.Add(1))
	_ = a.host.Shutdown(a.ctx) // cannot write any more
}
