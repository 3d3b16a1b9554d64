package host_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/vmihailenco/msgpack/v5"
)

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
