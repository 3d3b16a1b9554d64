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
	"github.com/vmihailenco/msgpack/v5"
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
	a.deploy(0)
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
	require.NoError(a, a.host.Shutdown(a.ctx), "seed %d", a.seed)
}

// crash ends the journal while clients use it, and goes on with what it held.
func (a *arena) crash() {
	a.ended.Store(true)
	a.backend = a.backend.Crash()
	a.crashed.Store(a.clock.Add(1))
	_ = a.host.Shutdown(a.ctx) // cannot write any more
}

// client is one goroutine that uses stores.
type client struct {
	*arena
	id   int
	dice *rand.Rand
	sent int
	seen map[string]staleRead
	at   int64 // epoch in which seen was seen
}

// act does one operation.
func (c *client) act() {
	key := hot
	switch n := c.dice.IntN(10); {
	case n < 2:
		key = fmt.Sprintf("mortal-%d", c.dice.IntN(mortals))
	case n < 6:
		key = fmt.Sprintf("many-%d", c.dice.IntN(many))
	}
	// Operations that can go in many places of an order, many of them at a time, make the search for one exponential.
	crowded := key == hot
	s := c.store(key)
	switch n := c.dice.IntN(1000); {
	case n < 100 && mortal(key):
		c.tell(input{key, opDelete, 0}, s.Delete)
	case n < 500:
		c.action(s, input{key, opAdd, int64(c.dice.IntN(7) - 2)})
	case n < 510 && !crowded:
		c.action(s, input{key, opAdd, math.MaxInt64})
	case n < 530:
		c.action(s, input{key, opReset, 0})
	case n < 560:
		_, err := s.SendWith(c.ctx, enginetest.Action("attack"), host.SendOptions{})
		if !errors.Is(err, host.ErrTrapped) {
			c.dropped(err)
		}
	case n < 600, n < 800 && !crowded:
		c.read(s, key)
	case n < 900:
		c.stale(s, key)
	case n < 930 && !crowded:
		c.tell(input{key, opResume, 0}, s.Resume)
	case n < 960 && !crowded:
		seq := 1 + c.dice.Int64N(200)
		c.tell(input{key, opWait, seq}, func(ctx context.Context) error { return s.Wait(ctx, uint64(seq)) })
	case n < 982 && c.id < 2:
		c.deploy(c.dice.IntN(2))
	case n == 982 && c.id == 2:
		c.unload(c.dice.IntN(2))
	}
}

// record adds an operation to the history. The correlation id is that of an action whose outcome is unknown: history may tell.
func (c *client) record(call int64, in input, out output, correlation ...string) {
	ret := int64(math.MaxInt64)
	switch {
	case out.verdict != unknown:
		ret = c.clock.Add(1)
	case call > c.crashed.Load():
		return // it cannot have done anything
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = append(c.history, porcupine.Operation{ClientId: c.id, Input: in, Call: call, Output: out, Return: ret, Metadata: correlation})
}

// dropped takes note of an operation that certainly did nothing.
func (c *client) dropped(err error) {
	var e *host.Error
	if !errors.As(err, &e) {
		c.Errorf("seed %d: not an *Error: %v", c.seed, err)
		return
	}
	c.mu.Lock()
	c.drops[e.Code]++
	c.mu.Unlock()
	switch {
	case moduleGone(err):
		runtime.Gosched() // it is about to be deployed again
	case e.Code == abi.CodeUnknownOutcome || e.Code == abi.CodeShuttingDown || e.Code == abi.CodeInternal:
		if !c.ended.Load() {
			c.Errorf("seed %d: unexpected error: %v", c.seed, err)
		}
	case e.Code == abi.CodeOverloaded:
		runtime.Gosched()
	case e.Code != abi.CodeBatchFailed:
		c.Errorf("seed %d: unexpected error: %v", c.seed, err)
	}
}

// leaving is a context that ends soon, now and then. Mostly not on mortal stores: no history tells afterwards what became of their actions, and
// each one doubles what has to be tried.
func (c *client) leaving(key string, one int) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.ctx)
	if mortal(key) {
		one *= 20
	}
	if c.dice.IntN(one) == 0 {
		go func() {
			for range 3 {
				runtime.Gosched()
			}
			cancel()
		}()
	}
	return ctx, cancel
}

func (c *client) action(s counterStore, in input) {
	body := enginetest.Action("increment", in.n)
	if in.op == opReset {
		body = enginetest.Action("reset")
	}
	ctx, cancel := c.leaving(in.key, 30)
	defer cancel()
	c.sent++
	call := c.clock.Add(1)
	correlation := fmt.Sprintf("%d-%d-%d", c.id, call, c.sent)
	r, err := s.SendWith(ctx, body, host.SendOptions{Correlation: correlation})
	var e *host.Error
	switch {
	case err == nil:
		c.record(call, in, output{seq: r.Seq})
	case errors.Is(err, &host.Error{Code: abi.CodeRejected, Reason: "overflow"}):
		c.record(call, in, output{verdict: overflow})
	case errors.As(err, &e) && (e.Code == abi.CodeCanceled || e.Code == abi.CodeUnknownOutcome):
		c.record(call, in, output{verdict: unknown}, correlation)
		return
	default:
		c.dropped(err)
	}
	c.mu.Lock()
	c.receipts[correlation] = receipt{in.key, r.Seq}
	c.mu.Unlock()
}

func (c *client) read(s counterStore, key string) {
	call := c.clock.Add(1)
	state, err := s.State(c.ctx)
	switch {
	case err == nil:
		c.record(call, input{key, opRead, 0}, output{seq: state.Seq, count: decodeCount(c, state)})
	case errors.Is(err, host.ErrNotFound) && !moduleGone(err):
		c.record(call, input{key, opRead, 0}, output{verdict: missing})
	default:
		c.dropped(err)
	}
}

// tell does an operation that answers with nothing, or that the store is not there.
func (c *client) tell(in input, do func(context.Context) error) {
	ctx, cancel := c.leaving(in.key, 50)
	defer cancel()
	call := c.clock.Add(1)
	err := do(ctx)
	var e *host.Error
	switch {
	case err == nil:
		c.record(call, in, output{})
	case errors.Is(err, host.ErrNotFound) && !moduleGone(err):
		c.record(call, in, output{verdict: missing})
	case errors.As(err, &e) && (e.Code == abi.CodeCanceled || e.Code == abi.CodeUnknownOutcome):
		if in.op == opDelete {
			c.record(call, in, output{verdict: unknown})
		}
	default:
		c.dropped(err)
	}
}

// stale reads what is at hand: a state that there was, and while the module stays loaded none older than this client saw before.
func (c *client) stale(s counterStore, key string) {
	if mortal(key) {
		return // whose states are forgotten with their lives
	}
	epoch := c.epoch.Load()
	if c.seen == nil || c.at != epoch {
		c.seen, c.at = make(map[string]staleRead), epoch
	}
	state, err := s.Stale(c.ctx)
	switch {
	case err == nil:
	case errors.Is(err, host.ErrNotFound):
		return
	default:
		c.dropped(err)
		return
	}
	r := staleRead{key, state.Seq, decodeCount(c, state)}
	if before := c.seen[key]; c.epoch.Load() == epoch && epoch%2 == 0 && before.seq > r.seq {
		c.Errorf("seed %d: a stale state of %s is of seq %d, after one of seq %d", c.seed, key, r.seq, before.seq)
	}
	c.seen[key] = r
	c.mu.Lock()
	c.reads = append(c.reads, r)
	c.mu.Unlock()
}

func decodeCount(tb testing.TB, state host.State) int64 {
	var v struct {
		Count int64 `msgpack:"count"`
	}
	if err := msgpack.Unmarshal(state.Body, &v); err != nil {
		tb.Errorf("state of seq %d: %v", state.Seq, err)
	}
	return v.Count
}

// reader is a subscriber that goes on across unloads and restarts.
type reader struct {
	*arena
	key  string
	next uint64            // seq
	seen map[uint64]string // correlation ids by seq
}

// read follows the store until the host ends.
func (r *reader) read() {
	store := r.host.Store(abi.Address{Module: "counter", Key: r.key})
	for {
		sub, err := store.Subscribe(r.ctx, host.SubscribeOptions{From: r.next})
		if err == nil {
			err = r.follow(sub)
			sub.Close()
		}
		switch {
		case moduleGone(err), errors.Is(err, host.ErrOverloaded):
			runtime.Gosched()
		case errors.Is(err, host.ErrNotFound) && mortal(r.key): // deleted: the next life begins at 1
			r.next = 1
		case errors.Is(err, host.ErrBatchFailed):
		case r.ended.Load():
			if mortal(r.key) {
				r.next = 1
			}
			return
		default:
			r.Errorf("seed %d: subscriber of %s: %v", r.seed, r.key, err)
			return
		}
	}
}

// follow reads a subscription to its end.
func (r *reader) follow(sub *host.Subscription) error {
	for {
		item, err := sub.Next(r.ctx)
		switch {
		case err != nil:
			return err
		case item.Version != "":
		case item.Gap != nil:
			if item.Gap.From != r.next || item.Gap.To < item.Gap.From {
				r.Errorf("seed %d: subscriber of %s: gap %+v at seq %d", r.seed, r.key, *item.Gap, r.next)
			}
			r.next = item.Gap.To + 1
		default:
			if item.Action.Seq != r.next {
				r.Errorf("seed %d: subscriber of %s: got seq %d, want %d", r.seed, r.key, item.Action.Seq, r.next)
			}
			r.seen[item.Action.Seq] = item.Action.Correlation
			r.next = item.Action.Seq + 1
		}
	}
}

// verify opens the journal once more and compares what is in it with what everybody was told.
func (a *arena) verify() {
	a.open()
	lasts := make(map[string][]int64) // counts by seq
	applied := make(map[string]uint64)
	keys := []string{hot}
	for i := range many {
		keys = append(keys, fmt.Sprintf("many-%d", i))
	}
	for _, key := range keys {
		lasts[key] = a.verifyHistory(key, applied)
	}
	for correlation, r := range a.receipts {
		if !mortal(r.key) {
			require.Equal(a, r.seq, applied[correlation], "seed %d: action %s of %s: its receipt (0: none), its place in history", a.seed, correlation, r.key)
		}
	}
	for _, r := range a.reads {
		require.Less(a, r.seq, uint64(len(lasts[r.key])), "seed %d: a stale state of %s from the future", a.seed, r.key)
		require.Equal(a, lasts[r.key][r.seq], r.count, "seed %d: the stale state of seq %d of %s", a.seed, r.seq, r.key)
	}
	for key, r := range a.readers {
		if !mortal(key) {
			a.verifyReader(r, uint64(len(lasts[key])-1))
		}
	}
	require.NoError(a, a.host.Shutdown(a.ctx))
	a.Logf("%d operations; dropped: %v", len(a.history), a.drops)
	linearizable(a.T, a.resolve(applied))
}

// resolve gives actions of unknown outcome the one that history has for them.
func (a *arena) resolve(applied map[string]uint64) []porcupine.Operation {
	var known []porcupine.Operation
	for _, o := range a.history {
		correlation, _ := o.Metadata.([]string)
		if in := o.Input.(input); len(correlation) > 0 && !mortal(in.key) {
			seq := applied[correlation[0]]
			if seq == 0 {
				continue
			}
			o.Output = output{seq: seq}
		}
		known = append(known, o)
	}
	return known
}

// verifyHistory checks that the history of a store has no gap and leads to its state. It returns the count after each seq.
func (a *arena) verifyHistory(key string, applied map[string]uint64) []int64 {
	store := a.host.Store(abi.Address{Module: "counter", Key: key})
	counts := []int64{0}
	for action, err := range store.History(a.ctx, 1, 0) {
		if errors.Is(err, host.ErrNotFound) {
			return counts
		}
		require.NoError(a, err)
		require.EqualValues(a, len(counts), action.Seq, "seed %d: history of %s", a.seed, key)
		require.NotContains(a, applied, action.Correlation, "seed %d: an action twice in history", a.seed)
		applied[action.Correlation] = action.Seq
		var v struct {
			Type string `msgpack:"type"`
			By   int64  `msgpack:"by"`
		}
		require.NoError(a, msgpack.Unmarshal(action.Body, &v))
		count := counts[len(counts)-1] + v.By
		if v.Type == "reset" {
			count = 0
		}
		counts = append(counts, count)
	}
	state, err := store.State(a.ctx)
	require.NoError(a, err)
	require.EqualValues(a, len(counts)-1, state.Seq, "seed %d: state of %s after a restart", a.seed, key)
	require.Equal(a, counts[len(counts)-1], decodeCount(a, state), "seed %d: state of %s after a restart", a.seed, key)
	// For the model: the restarted store goes on from there.
	c := &client{arena: a}
	c.read(store, key)
	return counts
}

// verifyReader lets a subscriber come to the end of history, and compares what it got with that.
func (a *arena) verifyReader(r *reader, last uint64) {
	store := a.host.Store(abi.Address{Module: "counter", Key: r.key})
	if r.next <= last {
		sub, err := store.Subscribe(a.ctx, host.SubscribeOptions{From: r.next})
		require.NoError(a, err)
		for r.next <= last {
			item, err := sub.Next(a.ctx)
			require.NoError(a, err)
			if item.Action != nil {
				require.Equal(a, r.next, item.Action.Seq)
				r.seen[r.next] = item.Action.Correlation
				r.next++
			}
		}
		sub.Close()
	}
	require.Equal(a, last+1, r.next, "seed %d: the subscriber of %s was told more or less than there is", a.seed, r.key)
	for action, err := range store.History(a.ctx, 1, 0) {
		require.NoError(a, err)
		if correlation, given := r.seen[action.Seq]; given {
			require.Equal(a, action.Correlation, correlation, "seed %d: the subscriber of %s got another action %d", a.seed, r.key, action.Seq)
		}
	}
}
