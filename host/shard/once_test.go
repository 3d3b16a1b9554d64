package shard_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/shard"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// once sends an action under a key.
func (f *fixture) once(key, idempotency, typ string) (shard.Receipt, error) {
	c := action(typ)
	c.Key = idempotency
	return f.Send(context.Background(), key, c)
}

// keys are how many rows the journal has for idempotency keys.
func (f *fixture) keys(t *testing.T) (n int) {
	for row, err := range f.backend.Rows([]byte("k"), []byte("l")) {
		require.NoError(t, err)
		require.NotEmpty(t, row.Key)
		n++
	}
	return n
}

// S12: a repeat gets the receipt of the first one, also after a restart and out of memory; another action under its key is refused, and so is nothing of another store.
func TestS12_once(t *testing.T) {
	var j faulty
	f := newFixture(t, j.journal(-1), shard.Config{TailBytes: 1})
	first, err := f.once("a", "k1", "add")
	require.NoError(t, err)
	require.False(t, first.Replayed)
	repeat := func() {
		t.Helper()
		again, err := f.once("a", "k1", "add")
		require.NoError(t, err)
		require.True(t, again.Replayed)
		require.Equal(t, first.Seq, again.Seq)
		require.Equal(t, first.Revision, again.Revision)
		require.Equal(t, first.Life, again.Life)
		require.Equal(t, first.Correlation.String(), again.Correlation.String())
		_, err = f.once("a", "k1", "sub")
		require.ErrorIs(t, err, &abi.Error{Code: abi.CodeIdempotencyMismatch})
	}
	repeat()
	f.requireValue(t, "a", 1)
	other, err := f.once("b", "k1", "add")
	require.NoError(t, err)
	require.False(t, other.Replayed)
	f.restart(t)
	repeat()
	f.send(t, "a", "add")
	repeat()
	f.requireValue(t, "a", 2)
	f.requireValue(t, "b", 1)
}

// S12: refusals are not remembered.
func TestS12_refusals(t *testing.T) {
	var j faulty
	f := newFixture(t, j.journal(0), shard.Config{})
	_, err := f.once("a", "k", "reject")
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeRejected})
	r, err := f.once("a", "k", "add")
	require.NoError(t, err)
	require.False(t, r.Replayed)
}

// S12: a repeat of a pending action waits for the same record, and fails with it.
func TestS12_pending(t *testing.T) {
	for _, failing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var j faulty
			f := newFixture(t, j.journal(0), shard.Config{})
			f.send(t, "a", "add")
			j.stuck = make(chan struct{})
			answers := make(chan string, 3)
			for range 3 {
				go func() {
					r, err := f.once("a", "k", "add")
					answers <- fmt.Sprint(r.Seq, r.Replayed, codeIs(err, abi.CodeBatchFailed))
				}()
				synctest.Wait()
			}
			require.Empty(t, answers)
			j.failing.Store(failing)
			close(j.stuck)
			synctest.Wait()
			got := map[string]int{}
			for range 3 {
				got[<-answers]++
			}
			j.failing.Store(false)
			if failing {
				require.Equal(t, map[string]int{"0 false true": 3}, got)
				r, err := f.once("a", "k", "add")
				require.NoError(t, err)
				require.False(t, r.Replayed, "what was lost is not remembered")
				f.requireValue(t, "a", 2)
				return
			}
			require.Equal(t, map[string]int{"2 false false": 1, "2 true false": 2}, got)
			f.requireValue(t, "a", 2)
		})
	}
}

// S12: keys are remembered for so many actions and so long, and their rows go. A deleted store's go with it, pending ones too.
func TestS12_window(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j faulty
		f := newFixture(t, j.journal(-1), shard.Config{KeyActions: 10, KeyAge: time.Hour, TailBytes: 1})
		replayed := func(key string) bool {
			r, err := f.once("a", key, "add")
			require.NoError(t, err)
			return r.Replayed
		}
		require.False(t, replayed("k"))
		for range 10 {
			f.send(t, "a", "add")
		}
		require.True(t, replayed("k"), "as many actions later")
		f.send(t, "a", "add")
		require.False(t, replayed("k"), "one more")
		require.True(t, replayed("k"))
		time.Sleep(time.Hour)
		require.True(t, replayed("k"))
		time.Sleep(time.Nanosecond)
		require.False(t, replayed("k"))
		for i := range 1000 {
			require.False(t, replayed(fmt.Sprint(i)))
		}
		require.LessOrEqual(t, f.keys(t), 2*(10+3*64))
		require.NoError(t, f.Delete(t.Context(), "a"))
		require.Zero(t, f.keys(t))
		require.False(t, replayed("999"), "another life")

		j.stuck = make(chan struct{})
		go func() { _, _ = f.once("a", "pending", "add") }()
		synctest.Wait()
		deleted := make(chan error)
		go func() { deleted <- f.Delete(context.Background(), "a") }()
		synctest.Wait()
		close(j.stuck)
		require.NoError(t, <-deleted)
		require.Zero(t, f.keys(t))
	})
}

// S12, as a property: whatever fails, restarts and expires not, each key that was acknowledged has happened once, with one receipt.
func TestS12_property(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var j faulty
		f := newFixture(t, j.journal(-1), shard.Config{TailBytes: 1, Stores: 2})
		seqs := map[string]uint64{} // by store and key
		happened := map[string]int64{}
		rt.Repeat(map[string]func(*rapid.T){
			"send": func(rt *rapid.T) {
				store := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "store")
				key := fmt.Sprint(rapid.IntRange(0, 5).Draw(rt, "key"))
				j.failing.Store(rapid.IntRange(0, 4).Draw(rt, "failing") == 0)
				var mu sync.Mutex
				var wg sync.WaitGroup
				for range rapid.IntRange(1, 3).Draw(rt, "callers") {
					wg.Go(func() {
						r, err := f.once(store, key, "add")
						mu.Lock()
						defer mu.Unlock()
						if err != nil {
							require.ErrorIs(rt, err, &abi.Error{Code: abi.CodeBatchFailed})
							return
						}
						if known := seqs[store+key]; known != 0 {
							require.Equal(rt, known, r.Seq)
						} else {
							seqs[store+key] = r.Seq
							happened[store]++
						}
					})
				}
				wg.Wait()
				j.failing.Store(false)
			},
			"restart": func(*rapid.T) { f.restart(t) },
			"": func(rt *rapid.T) {
				for store, n := range happened {
					value, seq := f.value(t, store)
					require.Equal(rt, n, value)
					require.EqualValues(rt, n, seq)
				}
			},
		})
	})
}

// A row of a key that cannot be read keeps its action from being sent: twice would be worse.
func TestS12_damagedRow(t *testing.T) {
	var j faulty
	f := newFixture(t, j.journal(0), shard.Config{})
	_, err := f.once("a", "k", "add")
	require.NoError(t, err)
	f.restart(t)
	for row, err := range f.backend.Rows([]byte("k"), []byte("l")) {
		require.NoError(t, err)
		var b journal.Batch
		require.NoError(t, b.Set(row.Key, append([]byte{9}, row.Value[1:]...)))
		require.NoError(t, f.backend.Apply(&b))
	}
	_, err = f.once("a", "k", "add")
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeInternal})
	require.ErrorIs(t, err, journal.ErrFormat)
}

// S12: a key that is given again after it expired is remembered, also when it is the first one since the store was read.
func TestS12_expiredKeyGivenAgain(t *testing.T) {
	var j faulty
	f := newFixture(t, j.journal(-1), shard.Config{KeyActions: 1, TailBytes: 1})
	_, err := f.once("a", "k", "add")
	require.NoError(t, err)
	f.send(t, "a", "add")
	f.send(t, "a", "add")
	f.restart(t)
	again, err := f.once("a", "k", "add")
	require.NoError(t, err)
	require.False(t, again.Replayed)
	f.restart(t)
	repeat, err := f.once("a", "k", "add")
	require.NoError(t, err)
	require.True(t, repeat.Replayed, "happened twice: %d and %d", again.Seq, repeat.Seq)
}

// S2: a mismatch is not told before the action that it speaks of is durable.
func TestS12_mismatchBeforeDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j faulty
		f := newFixture(t, j.journal(0), shard.Config{})
		f.send(t, "a", "add")
		j.stuck = make(chan struct{})
		go func() { _, _ = f.once("a", "k", "add") }()
		synctest.Wait()
		told := make(chan error, 1)
		go func() { _, err := f.once("a", "k", "sub"); told <- err }()
		synctest.Wait()
		early := len(told)
		j.failing.Store(true)
		close(j.stuck)
		synctest.Wait()
		err := <-told
		j.failing.Store(false)
		require.Zero(t, early, "told before the watermark: %v", err)
	})
}

// shown is a journal that shows a batch before it is durable, as Pebble does.
type shown struct {
	journal.Backend
	stuck chan struct{}
}

func (s *shown) Apply(b *journal.Batch) error {
	err := s.Backend.Apply(b)
	if s.stuck != nil {
		<-s.stuck
	}
	return err
}

// S12: rows of keys go, also of those that were pending when others were looked for.
func TestS12_rowsOfPendingKeysGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j faulty
		b := &shown{Backend: j.journal(-1)}
		f := newFixture(t, j.journal(-1), shard.Config{})
		f.config.Backend = b
		f.restart(t)
		f.send(t, "a", "add")
		b.stuck = make(chan struct{})
		send := func(key string) {
			go func() { _, _ = f.once("a", key, "add") }()
			synctest.Wait()
		}
		send("")
		for i := range 64 {
			send(fmt.Sprint(i))
		}
		s := b.stuck
		b.stuck = make(chan struct{})
		close(s) // the 64 are in one batch now, which is shown and not promised
		synctest.Wait()
		send("64")
		s = b.stuck
		b.stuck = nil
		close(s)
		synctest.Wait()
		keyed, seqs := 0, 0
		for row, err := range b.Rows([]byte("k"), []byte("l")) {
			require.NoError(t, err)
			if row.Key[1+8+5+16] == 's' {
				seqs++
			} else {
				keyed++
			}
		}
		require.Equal(t, keyed, seqs, "rows of keys that nobody will ever find to remove them")
	})
}
