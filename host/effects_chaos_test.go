package host_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
)

// TestEffects_chaos has random trees performed while all that can fails: handlers, the journal, the reducer, the host. The model, in
// effects_chaos_check_test.go, looks at what the journal has in the end, and at each attempt when it is made.
//
// What a seed leads to depends on the scheduler too: a seed that failed fails again often, not always.
func TestEffects_chaos(t *testing.T) {
	cases, steps := 10, 40 // most of their time goes into opening hosts
	switch {
	case long() && os.Getenv("CI") != "": // a short round
		cases, steps = 50, 80
	case long():
		cases, steps = 400, 120
	case testing.Short():
		cases = 3
	}
	for seed := range uint64(cases) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			inChaos(t, seed, steps, func(*testing.T) crashable { return inMemory{memory.New(memory.Config{})} })
		})
	}
}

// TestEffects_chaosOnDisk is TestEffects_chaos on a disk whose power fails.
func TestEffects_chaosOnDisk(t *testing.T) {
	cases, steps := 5, 40
	switch {
	case long() && os.Getenv("CI") != "":
		cases, steps = 10, 80
	case long():
		cases, steps = 200, 120
	case testing.Short():
		cases = 1
	}
	for seed := range uint64(cases) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			inChaos(t, seed, steps, func(t *testing.T) crashable {
				return openDisk(t, vfs.NewCrashableMem(), rand.New(rand.NewPCG(seed, 1)))
			})
		})
	}
}

// chaos is a world whose parts fail at random.
type chaos struct {
	*world

	sent atomic.Int64 // names actions

	mu        sync.Mutex // guards what follows
	rand      *rand.Rand
	calm      bool // nothing fails any more
	refusing  bool // the journal refuses batches
	host      int  // how many there were before this one
	redriven  map[string]int
	discarded map[string]bool
	attempted map[string]bool
	succeeded map[string]bool
	lanes     map[string]attempt
	faults    []string
	receipts  []host.Receipt // of the present host
	acked     []acked
}

var chaosKeys = []string{"a", "b", "c"}

func inChaos(t *testing.T, seed uint64, steps int, open func(*testing.T) crashable) {
	wasm := enginetest.BuildGo(t, "./internal/guests/script")
	dir, err := compiled()
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		c := &chaos{
			world: &world{T: t, journal: open(t), config: host.Config{Shards: 2, CacheDir: dir, TrapRate: 1e6}},
			rand:  rand.New(rand.NewPCG(seed, 0)), redriven: make(map[string]int), discarded: make(map[string]bool),
			attempted: make(map[string]bool), succeeded: make(map[string]bool),
		}
		c.start()
		_, err := c.world.host.Deploy(t.Context(), host.DeployRequest{Module: "script", Wasm: wasm})
		require.NoError(t, err)
		for range steps {
			c.step()
		}
		c.settle()
		c.check()
		c.stop()
		_ = c.journal.Close()
	})
}

// refusing is a journal that refuses batches when it is told to.
type refusing struct {
	journal.Backend
	refuse func() bool
}

func (r refusing) Apply(b *journal.Batch) error {
	if r.refuse() {
		return fmt.Errorf("told to: %w", journal.ErrRefused)
	}
	return r.Backend.Apply(b)
}

// start opens a host whose handlers know that they are its.
func (c *chaos) start() {
	handler := effects.HandlerFunc(c.performer(c.host, c.journal))
	config := c.config
	config.Calls = map[string]effects.Handler{"peer": handler, "stream": handler}
	config.Kinds = map[abi.Kind]effects.Handler{abi.KindPublish: handler, abi.KindAppend: handler}
	config.Journal = refusing{c.journal, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.refusing && !c.calm && c.rand.IntN(4) == 0
	}}
	c.mu.Lock()
	c.lanes, c.receipts = make(map[string]attempt), nil
	c.mu.Unlock()
	var err error
	c.world.host, err = host.Open(c.Context(), config)
	require.NoError(c, err)
}

// restart ends the host, by a shutdown or by a crash, and opens another one.
func (c *chaos) restart(crash bool) {
	c.mu.Lock()
	c.refusing = false
	c.mu.Unlock()
	after, timeout := c.journal, time.Duration(c.n(10))*time.Second
	if crash {
		after, timeout = c.journal.Crash(), 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_ = c.world.host.Shutdown(ctx)
	if crash {
		_ = c.journal.Close() // it is dead
	}
	c.mu.Lock()
	c.host++
	c.mu.Unlock()
	c.journal = after
	c.start()
}

// n is a number below n.
func (c *chaos) n(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand.IntN(n)
}

func one[V any](c *chaos, list ...V) V { return list[c.n(len(list))] }

// step does one thing. What is refused is refused.
func (c *chaos) step() {
	s := c.store(one(c, chaosKeys...))
	send := func(v m) {
		key := fmt.Sprint("sent ", c.sent.Add(1))
		if r, err := s.SendWith(c.Context(), pack(c, v), host.SendOptions{Key: key}); err == nil {
			c.mu.Lock()
			c.receipts = append(c.receipts, r)
			c.acked = append(c.acked, acked{s.Address().Key, key, pack(c, v), r.Seq, r.Correlation()})
			c.mu.Unlock()
		}
	}
	switch k := c.n(100); {
	case k < 45:
		send(m{"type": "do", "effects": c.forest(1+c.n(3), true)})
	case k < 65:
		time.Sleep(time.Duration(c.n(20_000)) * time.Millisecond)
	case k < 72:
		send(m{"type": "set", "reject": c.n(2) == 0})
	case k < 76:
		send(m{"type": "set", "trap": true})
	case k < 78:
		c.repeat()
	case k < 82:
		_ = s.ResumeSkipping(c.Context())
		send(m{"type": "set"})
	case k < 85:
		c.restart(true)
	case k < 88:
		c.restart(false)
	case k < 92:
		c.mu.Lock()
		c.refusing = !c.refusing
		c.mu.Unlock()
	case k < 96:
		c.letters(func(id, key string) {
			if c.n(10) > 0 {
				c.redrive(id, key)
				return
			}
			c.mu.Lock()
			c.discarded[key] = true
			c.mu.Unlock()
			_ = c.world.host.DiscardDeadLetter(c.Context(), "", id)
		})
	case k < 98:
		for _, g := range c.world.host.Targets("") {
			require.NoError(c, c.world.host.SetBreaker("", g.Name, one(c, host.ForceOpen, host.ForceAuto, host.ForceAuto)))
		}
	default:
		p := host.Policy{Concurrency: 1 + c.n(3)}
		p.Retry.OnOpen = one(c, retry.Park, retry.DeadLetter)
		p.Retry.ParkLimit = time.Duration(1+c.n(3600)) * time.Second
		require.NoError(c, c.world.host.SetPolicy("", one(c, "default", "publish", "call=peer:1"), p))
	}
}

// acked is an action that was acknowledged.
type acked struct {
	store, key  string
	body        []byte
	seq         uint64
	correlation string
}

// repeat sends once more, under its key, something that was acknowledged: nothing happens (S12).
func (c *chaos) repeat() {
	if len(c.acked) == 0 {
		return
	}
	a := one(c, c.acked...)
	r, err := c.store(a.store).SendWith(c.Context(), a.body, host.SendOptions{Key: a.key})
	if err != nil {
		return
	}
	require.True(c, r.Replayed, "%s happens again", a.key)
	require.Equal(c, a.seq, r.Seq)
	require.Equal(c, a.correlation, r.Correlation())
}

// letters calls f with the id and the leaf of each dead letter, of one store at random.
func (c *chaos) letters(f func(id, key string)) {
	list, err := c.store(one(c, chaosKeys...)).DeadLetters()
	require.NoError(c, err)
	for _, l := range list {
		f(l.ID, strings.ReplaceAll(l.ID, ".", "/"))
	}
}

func (c *chaos) redrive(id, key string) {
	c.mu.Lock()
	c.redriven[key]++ // before, since attempts look at it
	c.mu.Unlock()
	_ = c.world.host.RetryDeadLetter(c.Context(), "", id)
}

// forest is a list of n random effects, with ids if they may be refused for them.
func (c *chaos) forest(n int, ids bool) (list []m) {
	for range n {
		list = append(list, c.tree(3, ids))
	}
	return list
}

func (c *chaos) tree(depth int, ids bool) m {
	fed := func(e m) m {
		if ids {
			e["id"] = one(c, "", "", "", "", "x", "y", "z")
		}
		if c.n(6) > 0 {
			e["ok"] = "ok"
		}
		if c.n(4) > 0 {
			e["err"] = "err"
		}
		return e
	}
	switch k := c.n(100); {
	case k < 30 && depth > 0:
		children := []m{c.tree(depth-1, ids)}
		for range c.n(3) {
			children = append(children, c.tree(depth-1, ids))
		}
		return one(c, sequential, sequential, parallel)(children...)
	case k < 50:
		return fed(m{"kind": "call", "target": fmt.Sprint("peer:", c.n(3)), "timeout": int64(one(c, 0, time.Second))})
	case k < 60:
		e := fed(m{"kind": "call", "target": "stream"})
		e["ok"] = "ok"
		return e
	case k < 75:
		return fed(m{"kind": one(c, "publish", "append"), "target": fmt.Sprint("topic:", c.n(2)), "body": 1, "events": []m{{"type": "happened"}}})
	case k < 85:
		id := ""
		if ids {
			id = one(c, "", "", "x", "y")
		}
		return delay(id, time.Duration(c.n(30))*time.Second)
	case k < 93:
		return fed(m{"kind": "dispatch", "target": "script/" + one(c, chaosKeys...)})
	default:
		return m{"kind": "cancel", "id": one(c, "x", "y", "z"), "ok": one(c, "", "ok")}
	}
}

// performer does leaves of one host, badly.
func (c *chaos) performer(of int, b journal.Reader) effects.HandlerFunc {
	return func(ctx context.Context, r *effects.Request) ([]byte, error) {
		end := c.attempt(of, b, r)
		defer end()
		wait, fault := c.fate()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if r.Effect.Target == "stream" {
			for n := byte(0); n < 3; n++ {
				if len(r.Token) > 0 && n < r.Token[0] {
					continue
				}
				fields, _ := msgpack.Marshal(m{"note": fmt.Sprint("part ", n)})
				if err := r.Emit(ctx, effects.Emission{Fields: fields, Token: []byte{n + 1}}); err != nil {
					return nil, err
				}
				if _, fault := c.fate(); fault != nil {
					return nil, fault
				}
			}
		}
		switch {
		case errors.Is(fault, errPanic):
			panic(fault)
		case fault != nil:
			return nil, fault
		}
		c.mu.Lock()
		c.succeeded[r.Key] = true
		calm := c.calm
		c.mu.Unlock()
		result := m{"note": "end"}
		if !calm && c.n(8) == 0 {
			result["do"] = c.forest(1, false)
		}
		return msgpack.Marshal(result)
	}
}

var errPanic = errors.New("panic")

// fate is how long something takes, and how it ends.
func (c *chaos) fate() (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calm {
		return 0, nil
	}
	wait := time.Duration(c.rand.IntN(2000)) * time.Millisecond
	switch k := c.rand.IntN(100); {
	case k < 30:
		return wait, errDown
	case k < 35:
		return wait, retry.Permanent(errDown)
	case k < 38:
		return wait, errPanic
	}
	return wait, nil
}

// settle lets everything end: nothing fails any more, and all that was given up is done again.
func (c *chaos) settle() {
	c.mu.Lock()
	c.calm = true
	c.mu.Unlock()
	h := c.world.host
	for _, p := range h.Policies("") {
		_ = h.RemovePolicy("", p.Name)
	}
	for _, g := range h.Targets("") {
		require.NoError(c, h.SetBreaker("", g.Name, host.ForceAuto))
	}
	for _, key := range chaosKeys {
		err := errors.New("never tried")
		for tries := 0; err != nil && tries < 20; tries++ {
			_ = c.store(key).ResumeSkipping(c.Context())
			if _, err = c.store(key).Send(c.Context(), pack(c, m{"type": "set"})); err != nil {
				time.Sleep(time.Second)
			}
		}
		require.NoError(c, err)
	}
	time.Sleep(48 * time.Hour)
	for _, r := range c.receipts {
		ctx, cancel := context.WithTimeout(c.Context(), time.Second)
		require.NoError(c, r.WaitAll(ctx), "what action %d caused does not end", r.Seq)
		cancel()
	}
	for rounds := 0; ; rounds++ {
		left := 0
		for _, key := range chaosKeys {
			list, err := c.store(key).DeadLetters()
			require.NoError(c, err)
			for _, l := range list {
				left++
				c.redrive(l.ID, strings.ReplaceAll(l.ID, ".", "/"))
				require.Less(c, rounds, 5, "a letter that comes again and again: %+v", l)
			}
		}
		if left == 0 {
			return
		}
		time.Sleep(48 * time.Hour)
	}
}
