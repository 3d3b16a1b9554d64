package host_test

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/anishathalye/porcupine"
	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

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
		if errors.Is(err, host.ErrNotFound) && !moduleGone(err) {
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
