package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/outbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is an outbox, a handler for all that is to be done, and stores that take what is fed back.
type bench struct {
	*outbox.Outbox
	t *testing.T

	mu        sync.Mutex // guards what follows
	seq       uint64
	running   map[string]int // attempts, by tenant
	most      map[string]int
	attempts  []string // targets, in order
	delivered []string
	perform   func(context.Context, *effects.Request) error
	refuse    func(*ledger.Delivery) error
}

var errDown = errors.New("down")

// inBubble runs f with a bench that is closed afterwards.
func inBubble(t *testing.T, config outbox.Config, f func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, running: make(map[string]int), most: make(map[string]int)}
		handler := effects.HandlerFunc(b.do)
		config.Handlers = effects.Registry{Calls: map[string]effects.Handler{"x": handler}, Kinds: map[abi.Kind]effects.Handler{abi.KindPublish: handler}}
		config.Store = func(journal.StoreID) outbox.Store { return b }
		config.Dispatch = func(context.Context, *ledger.Dispatch) ([]byte, error) { return nil, nil }
		b.Outbox = outbox.New(config)
		f(t, b)
		require.NoError(t, b.Close(t.Context()))
	})
}

func (b *bench) do(ctx context.Context, r *effects.Request) ([]byte, error) {
	b.mu.Lock()
	for _, who := range []string{r.Store.Tenant, "", r.Effect.Target} {
		b.running[who]++
		b.most[who] = max(b.most[who], b.running[who])
	}
	b.attempts = append(b.attempts, r.Store.Tenant+" "+r.Effect.Target)
	perform := b.perform
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, who := range []string{r.Store.Tenant, "", r.Effect.Target} {
			b.running[who]--
		}
	}()
	if perform != nil {
		return nil, perform(ctx, r)
	}
	return nil, nil
}

func (b *bench) Start(ctx context.Context, _ *ledger.Leaf, _ int) context.Context { return ctx }
func (b *bench) Performed(*outbox.Performed)                                      {}

func (b *bench) Deliver(_ context.Context, d *ledger.Delivery) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		if err := b.refuse(d); err != nil {
			return err
		}
	}
	b.delivered = append(b.delivered, fmt.Sprintf("%s %s %v", d.Leaf.Store.Tenant, d.Leaf.Effect.Target, d.Outcome))
	return nil
}

// start tells of n leaves, each of an action of its own.
func (b *bench) start(tenant string, n int, e abi.Effect) (refs []ledger.Ref) {
	store := journal.StoreID{Tenant: tenant, Module: "m", Key: "k"}
	var m ledger.Moves
	for range n {
		b.seq++
		ref := ledger.Ref{Seq: b.seq}
		m.Opened = append(m.Opened, ledger.Opened{Seq: b.seq, Correlation: "c"})
		leaf := &ledger.Leaf{Ref: ref, Store: store, Life: lifeOf(tenant), Effect: &e, Drive: 1}
		if e.Kind == abi.KindDelay {
			leaf.Due = time.Now().Add(e.After).UnixNano()
		}
		m.Start = append(m.Start, leaf)
		refs = append(refs, ref)
	}
	b.Moved(store, lifeOf(tenant), &m)
	return refs
}

// lifeOf is the life of a tenant's one store.
func lifeOf(tenant string) journal.Incarnation { return journal.Incarnation{tenant[0]} }

// pass lets time pass, and what then happens happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func call(target string) abi.Effect { return abi.Effect{Kind: abi.KindCall, Target: target} }

func sleeping(d time.Duration) func(context.Context, *effects.Request) error {
	return func(ctx context.Context, _ *effects.Request) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Attempts are bounded per host, tenant and target.
func TestConcurrency(t *testing.T) {
	config := outbox.Config{HostConcurrency: 10, TenantConcurrency: 7, Policies: map[string]outbox.Policy{"call=x:1": {Concurrency: 3}}}
	inBubble(t, config, func(t *testing.T, b *bench) {
		b.perform = sleeping(time.Second)
		b.start("a", 20, call("x:1"))
		pass(time.Hour)
		require.Equal(t, map[string]int{"": 3, "a": 3, "x:1": 3}, b.most, "of one target")
		b.start("a", 50, call("x:2"))
		pass(time.Hour)
		require.Equal(t, 7, b.most["a"], "of one tenant")
		for _, tenant := range []string{"a", "b"} {
			b.start(tenant, 50, call("x:1"))
			b.start(tenant, 50, call("x:2"))
		}
		pass(time.Hour)
		require.Equal(t, 10, b.most[""], "of the host")
		require.LessOrEqual(t, b.most["a"], 7)
		require.LessOrEqual(t, b.most["b"], 7)
		require.LessOrEqual(t, b.most["x:1"], 2*3, "three for each tenant")
		require.Len(t, b.delivered, 270)
		require.Equal(t, outbox.Stats{}, b.Stats(journal.ModuleID{Tenant: "a", Module: "m"}))
	})
}

// A tenant with much to do does not keep another one waiting, nor one target another.
func TestFairness(t *testing.T) {
	inBubble(t, outbox.Config{HostConcurrency: 1}, func(t *testing.T, b *bench) {
		b.perform = sleeping(time.Second)
		b.start("a", 100, call("x:1"))
		b.start("a", 3, call("x:2"))
		b.start("b", 3, call("x:1"))
		synctest.Wait()
		pass(20 * time.Second)
		b.mu.Lock()
		first := slices.Clone(b.attempts[:13])
		b.mu.Unlock()
		count := map[string]int{}
		for _, a := range first {
			count[a]++
		}
		require.Equal(t, 3, count["b x:1"], "%v", first)
		require.Equal(t, 3, count["a x:2"], "%v", first)
		pass(time.Hour)
		require.Len(t, b.delivered, 106)
	})
}

// What waits has no goroutine, and is counted as what it is.
func TestStats(t *testing.T) {
	inBubble(t, outbox.Config{HostConcurrency: 2}, func(t *testing.T, b *bench) {
		require.NoError(t, b.SetBreaker("a", "call=x:parked", outbox.ForceOpen))
		b.perform = sleeping(time.Minute)
		b.start("a", 5, call("x:parked"))
		b.start("a", 7, abi.Effect{Kind: abi.KindDelay, After: time.Hour})
		b.start("b", 3, call("x:1"))
		synctest.Wait()
		require.Equal(t, outbox.Stats{Tasks: 12, Timed: 7, Parked: 5}, b.Stats(journal.ModuleID{Tenant: "a", Module: "m"}))
		require.Equal(t, outbox.Stats{Tasks: 3, Running: 2}, b.Stats(journal.ModuleID{Tenant: "b", Module: "m"}))
		require.Equal(t, outbox.Stats{}, b.Stats(journal.ModuleID{Tenant: "a", Module: "other"}))
		require.NoError(t, b.SetBreaker("a", "call=x:parked", outbox.ForceAuto))
		require.Error(t, b.SetBreaker("a", "call=x:parked", "sideways"))
		require.Error(t, b.SetBreaker("a", "call=x:other", "sideways"))
		require.Len(t, b.Targets("a"), 1, "what was refused makes no target")
		pass(2 * time.Hour)
		require.Equal(t, outbox.Stats{}, b.Stats(journal.ModuleID{Tenant: "a", Module: "m"}))
	})
}

// When a breaker closes, those that were parked come back at a ramp: one, and one more with each success.
func TestRamp(t *testing.T) {
	inBubble(t, outbox.Config{}, func(t *testing.T, b *bench) {
		require.NoError(t, b.SetBreaker("a", "call=x:1", outbox.ForceOpen))
		b.start("a", 60, call("x:1"))
		synctest.Wait()
		b.perform = sleeping(time.Second)
		require.NoError(t, b.SetBreaker("a", "call=x:1", outbox.ForceClose))
		for _, want := range []int{1, 3, 7, 15, 31, 60} {
			synctest.Wait()
			b.mu.Lock()
			require.Len(t, b.attempts, want)
			b.mu.Unlock()
			pass(time.Second)
		}
		synctest.Wait()
		require.Len(t, b.delivered, 60)
	})
}

// S13: Close lets what runs finish, starts nothing more, and rings no alarm.
func TestClose_S13(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inBubbleOf := func(f func(b *bench)) {
			b := &bench{t: t, running: make(map[string]int), most: make(map[string]int)}
			b.Outbox = outbox.New(outbox.Config{
				Handlers: effects.Registry{Calls: map[string]effects.Handler{"x": effects.HandlerFunc(b.do)}},
				Store:    func(journal.StoreID) outbox.Store { return b }, HostConcurrency: 2,
			})
			f(b)
		}
		inBubbleOf(func(b *bench) {
			b.perform = sleeping(10 * time.Second)
			b.start("a", 5, call("x:1"))
			b.start("a", 2, abi.Effect{Kind: abi.KindDelay, After: time.Minute})
			synctest.Wait()
			waited := make(chan error)
			go func() { waited <- b.WaitAll(context.Background(), "a", "c") }()
			synctest.Wait()
			require.NoError(t, b.Close(t.Context()))
			require.Len(t, b.delivered, 2)
			require.ErrorIs(t, <-waited, outbox.ErrClosed)
			require.ErrorIs(t, b.Wait(t.Context(), lifeOf("a"), 5), outbox.ErrClosed)
			require.NoError(t, b.Wait(t.Context(), lifeOf("a"), 99), "there is none")
			pass(time.Hour)
			require.Len(t, b.attempts, 2)
			require.NoError(t, b.Close(t.Context()))
		})
		inBubbleOf(func(b *bench) {
			b.perform = sleeping(time.Hour)
			b.start("a", 1, abi.Effect{Kind: abi.KindCall, Target: "x:1", Timeout: 2 * time.Hour})
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			require.ErrorIs(t, b.Close(ctx), context.DeadlineExceeded)
			require.Equal(t, time.Minute, time.Since(start))
			require.Empty(t, b.delivered, "what was told to stop is left to the next start")
		})
	})
}

// What a store does not take now is delivered again, further and further apart; what is gone is not.
func TestRedelivery(t *testing.T) {
	inBubble(t, outbox.Config{}, func(t *testing.T, b *bench) {
		var at []time.Duration
		start := time.Now()
		b.refuse = func(*ledger.Delivery) error {
			if at = append(at, time.Since(start)); len(at) <= 8 {
				return &abi.Error{Code: abi.CodeHalted}
			}
			return nil
		}
		b.start("a", 1, call("x:1"))
		pass(time.Hour)
		require.Len(t, b.attempts, 1, "only the store is waited for")
		require.Equal(t, []time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond, 1500 * time.Millisecond, 3100 * time.Millisecond,
			6300 * time.Millisecond, 11300 * time.Millisecond, 16300 * time.Millisecond}, at)
		at = nil
		b.refuse = func(*ledger.Delivery) error { at = append(at, 0); return ledger.ErrGone }
		b.start("a", 1, call("x:1"))
		pass(time.Hour)
		require.Len(t, at, 1)
		require.Equal(t, outbox.Stats{}, b.Stats(journal.ModuleID{Tenant: "a", Module: "m"}))
	})
}

// A leaf that is told of twice is done once; one in another drive anew.
func TestMoved_again(t *testing.T) {
	inBubble(t, outbox.Config{}, func(t *testing.T, b *bench) {
		b.perform = sleeping(time.Second)
		store, e := journal.StoreID{Tenant: "a"}, call("x:1")
		tell := func(drive uint32) {
			b.Moved(store, lifeOf("a"), &ledger.Moves{Start: []*ledger.Leaf{{Ref: ledger.Ref{Seq: 1}, Store: store, Life: lifeOf("a"), Effect: &e, Drive: drive}}})
		}
		tell(1)
		tell(1)
		synctest.Wait()
		tell(1)
		synctest.Wait()
		require.Len(t, b.attempts, 1)
		tell(2)
		pass(time.Minute)
		require.Len(t, b.attempts, 2)
		require.Len(t, b.delivered, 1, "of the drive that was left nothing is delivered")
	})
}

func TestPolicies(t *testing.T) {
	inBubble(t, outbox.Config{Policies: map[string]outbox.Policy{"call": {Retry: retry.Policy{Retries: -1}}}}, func(t *testing.T, b *bench) {
		b.perform = func(context.Context, *effects.Request) error { return errDown }
		attempts := func(e abi.Effect) int {
			b.start("a", 1, e)
			pass(time.Hour)
			n := len(b.attempts)
			b.attempts = nil
			return n
		}
		named := call("x:1")
		named.Retry = "mine"
		require.Equal(t, 1, attempts(call("x:1")), "that of its kind")
		require.NoError(t, b.SetPolicy("a", "call=x:1", outbox.Policy{Retry: retry.Policy{Retries: 1}}))
		require.Equal(t, 2, attempts(call("x:1")), "that of its target")
		require.Equal(t, 2, attempts(named), "nobody made the one that it names")
		require.NoError(t, b.SetPolicy("a", "mine", outbox.Policy{Retry: retry.Policy{Retries: 2}}))
		require.Equal(t, 3, attempts(named), "the one that it names")
		require.Equal(t, 6, attempts(abi.Effect{Kind: abi.KindPublish, Target: "x"}), "the default")
		require.True(t, b.RemovePolicy("a", "call=x:1"))
		require.False(t, b.RemovePolicy("a", "call=x:1"))
		require.Error(t, b.SetPolicy("a", "", outbox.Policy{}))
		require.Error(t, b.SetPolicy("a", "x", outbox.Policy{Concurrency: -1}))
		var names []string
		for _, p := range b.Policies("a") {
			names = append(names, p.Name)
		}
		require.Equal(t, []string{"call", "default", "mine"}, names)
		require.Len(t, b.Policies("b"), 2)
	})
}

// What is cancelled while it waits for its target is not counted as waiting any more, and goes, wherever it stood; the others keep their order.
func TestCancel_waiting(t *testing.T) {
	inBubble(t, outbox.Config{Policies: map[string]outbox.Policy{"call=x:1": {Concurrency: 1}}}, func(t *testing.T, b *bench) {
		require.NoError(t, b.SetBreaker("a", "call=x:1", outbox.ForceOpen))
		refs := b.start("a", 1000, call("x:1"))
		stop := func(refs ...ledger.Ref) {
			b.Moved(journal.StoreID{Tenant: "a", Module: "m", Key: "k"}, lifeOf("a"), &ledger.Moves{Stop: refs})
		}
		waiting := func() int { return b.Targets("a")[0].Waiting }
		stop(refs[10:40]...)
		require.Equal(t, 970, waiting())
		require.Equal(t, 970, b.Queued("a", "call=x:1"))
		stop(refs[50:1000]...)
		require.Equal(t, 20, waiting())
		stop(refs[0])
		require.NoError(t, b.SetBreaker("a", "call=x:1", outbox.ForceClose))
		pass(time.Hour)
		require.Len(t, b.delivered, 19)
		require.Zero(t, waiting())
		require.NoError(t, b.SetBreaker("a", "call=x:1", outbox.ForceOpen))
		stop(b.start("a", 5, call("x:1"))[2])
		pass(25 * time.Hour) // longer than they may be parked
		require.Len(t, b.delivered, 19+4)
		require.Zero(t, waiting())
		require.Equal(t, outbox.Stats{}, b.Stats(journal.ModuleID{Tenant: "a", Module: "m"}))
	})
}

// What is ready when a breaker opens, and is not to wait for it, is given up at once.
func TestBreaker_buries(t *testing.T) {
	p := outbox.Policy{Retry: retry.Policy{Retries: -1, OnOpen: retry.DeadLetter}, Concurrency: 1}
	inBubble(t, outbox.Config{Policies: map[string]outbox.Policy{"call=x:p": p}}, func(t *testing.T, b *bench) {
		b.perform = func(context.Context, *effects.Request) error { return errDown }
		b.start("a", 20, call("x:p"))
		pass(time.Second)
		require.Len(t, b.delivered, 20)
	})
}
