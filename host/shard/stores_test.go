package shard_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard"
	"github.com/stretchr/testify/require"
)

// S1: accepted actions have seq 1, 2, 3, ... without gaps, refused ones have none; stores do not share numbers.
func TestS1_order(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	for i := range uint64(100) {
		require.Equal(t, i+1, f.send(t, "a", "add"))
		f.refused(t, "a", "reject", abi.CodeRejected)
		f.refused(t, "a", "trap", abi.CodeTrapped)
	}
	require.EqualValues(t, 1, f.send(t, "b", "add"))
	seq := uint64(0)
	for r, err := range f.History(context.Background(), "a", 1, 1000) {
		require.NoError(t, err)
		seq++
		require.Equal(t, seq, r.Seq)
	}
	require.EqualValues(t, 100, seq)
}

// S2: neither states nor refusals nor subscribers show what is not durable.
func TestS2_nothingBeforeDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stuck chan struct{}
		backend := memory.New(memory.Config{Before: func(*journal.Batch) error {
			if stuck != nil {
				<-stuck
			}
			return nil
		}})
		f := newFixture(t, backend, shard.Config{})
		f.send(t, "a", "add")
		f.requireValue(t, "a", 1)
		cursor, _, err := f.Subscribe(context.Background(), "a", 0)
		require.NoError(t, err)
		defer f.Unsubscribe("a", cursor)

		stuck = make(chan struct{})
		released := make(chan string, 3)
		go func() {
			_, err := f.Send(context.Background(), "a", action("add"))
			released <- fmt.Sprint("send ", err)
		}()
		synctest.Wait()
		go func() {
			s, err := f.State(context.Background(), "a")
			released <- fmt.Sprintf("state %d %v", s.Seq, err)
		}()
		go func() {
			_, err := f.Send(context.Background(), "a", action("reject"))
			released <- fmt.Sprint("refusal ", errors.Is(err, &abi.Error{Code: abi.CodeRejected}))
		}()
		synctest.Wait()
		require.Empty(t, released, "an answer before the watermark")
		_, ok, err := cursor.TryNext()
		require.NoError(t, err)
		require.False(t, ok, "a subscriber saw what is not durable")
		stale, err := f.Stale(context.Background(), "a")
		require.NoError(t, err)
		require.EqualValues(t, 1, stale.Seq, "Stale answers at once with what is durable")
		seqs := 0
		for range f.History(context.Background(), "a", 1, 100) {
			seqs++
		}
		require.Equal(t, 1, seqs)

		close(stuck)
		synctest.Wait()
		got := map[string]bool{<-released: true, <-released: true, <-released: true}
		require.Equal(t, map[string]bool{"send <nil>": true, "state 2 <nil>": true, "refusal true": true}, got)
		item, ok, err := cursor.TryNext()
		require.NoError(t, err)
		require.True(t, ok)
		require.EqualValues(t, 2, item.Seq)
	})
}

// S2: a state is encoded once per action, however many read it.
func TestS2_encodedOnce(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "a", "add")
	for range 100 {
		f.requireValue(t, "a", 1)
	}
	require.EqualValues(t, 1, f.world.states.Load())
}

// S5: whatever was refused leaves no trace in the state, and the next action goes on from what was accepted.
func TestS5_rollback(t *testing.T) {
	for typ, code := range map[string]abi.Code{
		"reject": abi.CodeRejected, "clean": abi.CodeRejected, "trap": abi.CodeTrapped, "junk": abi.CodeInvalidEffect,
		"emit": abi.CodeUndeclaredEffect, "huge": abi.CodeTooLarge,
	} {
		for _, residency := range []abi.Residency{abi.ResidencySlots, abi.ResidencyNone} {
			t.Run(fmt.Sprintf("%s/%s", typ, residency), func(t *testing.T) {
				f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
				f.world.residency = residency
				f.start(t, 1, nil)
				f.refused(t, "a", typ, code) // as the first action of a store, too
				_, err := f.State(context.Background(), "a")
				require.ErrorIs(t, err, &abi.Error{Code: abi.CodeNotFound})
				for i := range int64(5) {
					f.send(t, "a", "add")
					f.send(t, "b", "add")
					f.refused(t, "a", typ, code)
					f.refused(t, "a", typ, code)
					f.requireValue(t, "a", i+1)
				}
				f.requireValue(t, "b", 5)
			})
		}
	}
}

// S5: after a refusal without CLEAN the rebuilt bytes become the base, so that the next one replays nothing.
func TestS5_refusalsCostADecode(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	for range 50 {
		f.send(t, "a", "add")
	}
	f.refused(t, "a", "reject", abi.CodeRejected)
	f.refused(t, "a", "reject", abi.CodeRejected) // replays 50
	before := f.world.reduces.Load()
	for range 10 {
		f.refused(t, "a", "reject", abi.CodeRejected)
	}
	require.EqualValues(t, 10, f.world.reduces.Load()-before)
	f.requireValue(t, "a", 50)
}

// S5: a lying CLEAN harms the store of the liar and no other.
func TestS5_lyingClean(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "a", "add")
	f.send(t, "b", "add")
	f.refused(t, "a", "lie", abi.CodeRejected)
	f.send(t, "a", "add")
	f.send(t, "b", "add")
	f.requireValue(t, "b", 2)
}

// S5: a slot that a guest has lost is rebuilt.
func TestS5_lostSlot(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "a", "add")
	f.send(t, "a", "forget")
	f.requireValue(t, "a", 2)
}

// S5, S8: a rebuild gives the recorded now and seed to the guest again, so that it ends in the same state.
func TestS8_rebuildIsExact(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	for range 20 {
		f.send(t, "a", "random")
	}
	s := f.mustState(t, "a")
	f.send(t, "a", "random")
	f.send(t, "a", "random")
	f.refused(t, "a", "trap", abi.CodeTrapped)
	f.refused(t, "b", "trap", abi.CodeTrapped)
	again := f.mustState(t, "a")
	require.EqualValues(t, 22, again.Seq)
	require.NotEqual(t, s.Body, again.Body)
	f.restart(t)
	require.Equal(t, again.Body, f.mustState(t, "a").Body)
	var last int64
	for r, err := range f.History(context.Background(), "a", 1, 100) {
		require.NoError(t, err)
		require.GreaterOrEqual(t, r.Time, last)
		require.NotZero(t, r.Seed)
		require.EqualValues(t, 100, r.Fuel)
		last = r.Time
	}
}

func (f *fixture) mustState(t *testing.T, key string) *shard.State {
	t.Helper()
	s, err := f.State(context.Background(), key)
	require.NoError(t, err)
	return s
}

// restart closes the shard and opens another on the same journal.
func (f *fixture) restart(t *testing.T) {
	t.Helper()
	require.NoError(t, f.Close(context.Background(), &abi.Error{Code: abi.CodeShuttingDown}))
	f.start(t, 1, nil)
}

// S5: a failed batch takes back every action that was not durable, and what was computed on it.
func TestS5_failedBatch(t *testing.T) {
	var failing bool
	f := newFixture(t, memory.New(memory.Config{Before: func(*journal.Batch) error {
		if failing {
			return fmt.Errorf("injected: %w", journal.ErrRefused)
		}
		return nil
	}}), shard.Config{})
	f.send(t, "a", "add")
	f.send(t, "b", "add")
	failing = true
	f.refused(t, "a", "add", abi.CodeBatchFailed)
	f.refused(t, "new", "add", abi.CodeBatchFailed)
	require.ErrorIs(t, f.Delete(context.Background(), "b"), &abi.Error{Code: abi.CodeBatchFailed})
	failing = false
	f.requireValue(t, "a", 1)
	require.EqualValues(t, 2, f.send(t, "a", "add"))
	_, err := f.State(context.Background(), "new")
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeNotFound})
	require.EqualValues(t, 1, f.send(t, "new", "add"))
	f.requireValue(t, "b", 1)
	require.EqualValues(t, 2, f.send(t, "b", "add"))
}

// S5: when the journal dies, callers are told that the outcome is unknown, and nothing more is taken.
func TestS5_unknownOutcome(t *testing.T) {
	var dying bool
	f := newFixture(t, memory.New(memory.Config{Before: func(*journal.Batch) error {
		if dying {
			return errors.New("injected")
		}
		return nil
	}}), shard.Config{})
	f.send(t, "a", "add")
	dying = true
	f.refused(t, "a", "add", abi.CodeUnknownOutcome)
	f.refused(t, "a", "add", abi.CodeUnknownOutcome)
	require.ErrorIs(t, f.Err(), &abi.Error{Code: abi.CodeUnknownOutcome})
}

// S6: a command that traps is refused; with HaltOnCommandTrap it halts the store, durably, until it is resumed.
func TestS6_haltOnCommandTrap(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{HaltOnCommandTrap: true})
	f.send(t, "a", "add")
	f.refused(t, "a", "trap", abi.CodeHalted)
	f.refused(t, "a", "add", abi.CodeHalted)
	f.requireValue(t, "a", 1)
	f.send(t, "b", "add")
	f.restart(t)
	f.refused(t, "a", "add", abi.CodeHalted)
	f.requireValue(t, "a", 1)
	require.NoError(t, f.Resume(context.Background(), "a", false))
	f.send(t, "a", "add")
	f.requireValue(t, "a", 2)
	require.ErrorIs(t, f.Resume(context.Background(), "nobody", false), &abi.Error{Code: abi.CodeNotFound})
}

// S6: traps draw from a bucket per module; when it is empty, stores that trapped lately are refused, others are not.
func TestS6_trapsAreRationed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, memory.New(memory.Config{}), shard.Config{Traps: shard.NewTraps(3)})
		traps := 0
		for range 10 { // of a store that never had an accepted action
			_, err := f.Send(context.Background(), "a", action("trap"))
			if errors.Is(err, &abi.Error{Code: abi.CodeTrapped}) {
				traps++
			} else {
				require.ErrorIs(t, err, &abi.Error{Code: abi.CodeTrapping})
			}
			f.send(t, "b", "add")
		}
		require.Equal(t, 3, traps)
		time.Sleep(2 * time.Second) // of the bubble
		f.refused(t, "a", "trap", abi.CodeTrapped)
	})
}

// S7: a state that cannot be encoded halts its store: nothing further is accepted, history stays readable, and nobody else is touched.
func TestS7_unencodable(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "a", "add")
	f.requireValue(t, "a", 1)
	f.send(t, "b", "add")
	f.send(t, "a", "unencoded")
	_, err := f.State(context.Background(), "a")
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeStateUnreadable})
	f.refused(t, "a", "add", abi.CodeStateUnreadable)
	s, err := f.Stale(context.Background(), "a")
	require.NoError(t, err)
	require.EqualValues(t, 1, decode(s))
	seqs := 0
	for _, err := range f.History(context.Background(), "a", 1, 10) {
		require.NoError(t, err)
		seqs++
	}
	require.Equal(t, 2, seqs)
	f.send(t, "b", "add")
	f.requireValue(t, "b", 2)
}

// S7: BAD_STATE to bytes that the host stored halts the store the same way.
func TestS7_badState(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "a", "add")
	f.requireValue(t, "a", 1)
	f.refused(t, "a", "trap", abi.CodeTrapped)
	f.world.refuse.Store(true)
	f.refused(t, "a", "add", abi.CodeStateUnreadable)
	f.refused(t, "a", "add", abi.CodeStateUnreadable)
	f.world.refuse.Store(false)
	require.NoError(t, f.Resume(context.Background(), "a", false))
	f.send(t, "a", "add")
	f.requireValue(t, "a", 2)
}

// A rebuild whose effects differ from the recorded ones stops the store as diverged.
func TestDiverged(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.send(t, "a", "add")
	f.refused(t, "a", "trap", abi.CodeTrapped)
	f.world.diverge.Store(true)
	f.refused(t, "a", "add", abi.CodeDiverged)
	f.world.diverge.Store(false)
	require.NoError(t, f.Resume(context.Background(), "a", false))
	f.send(t, "a", "add")
	f.requireValue(t, "a", 2)
}

// S9: a checkpoint is due when the tail exceeds its bound, follows its record in the journal, and bounds every rebuild.
// S9: states that find no slot leave one to another; nothing is lost.
// S9: idle stores leave memory when there are too many, once their checkpoint is durable; nothing is lost.
// S9: a store that has actions which are not durable does not leave memory.
// S9: a store that cannot be encoded when it has to make room halts; the one that needed the room goes on.
// S15: deleting ends a life; the next begins at seq 1 with another incarnation, and a store without actions is not found.
func TestS15_delete(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	require.ErrorIs(t, f.Delete(context.Background(), "a"), &abi.Error{Code: abi.CodeNotFound})
	f.send(t, "a", "add")
	first, err := f.Info(context.Background(), "a")
	require.NoError(t, err)
	cursor, _, err := f.Subscribe(context.Background(), "a", 1)
	require.NoError(t, err)
	item, err := cursor.Next(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, 1, item.Seq)
	require.NoError(t, f.Delete(context.Background(), "a"))
	_, err = f.State(context.Background(), "a")
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeNotFound})
	require.EqualValues(t, 1, f.send(t, "a", "add"))
	f.requireValue(t, "a", 1)
	second, err := f.Info(context.Background(), "a")
	require.NoError(t, err)
	require.NotEqual(t, first.Life, second.Life)
	_, err = cursor.Next(context.Background())
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeNotFound})
	f.Unsubscribe("a", cursor)
	f.restart(t)
	f.requireValue(t, "a", 1)
}

// E10: only commands come from outside, and only those that the manifest has.
func TestE10_commands(t *testing.T) {
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{})
	f.refused(t, "a", "internal", abi.CodeInternalAction)
	f.refused(t, "a", "unheard of", abi.CodeUnknownAction)
	f.refused(t, "a", strings.Repeat("x", 10_000), abi.CodeUnknownAction)
	for _, body := range [][]byte{nil, {0xc0}, {0x80}, {0x81, 0xa4, 't', 'y', 'p', 'e', 0xc0}, {0xc1}, []byte("junk")} {
		_, err := f.Send(context.Background(), "a", shard.Command{Body: body})
		require.ErrorIs(t, err, &abi.Error{Code: abi.CodeMalformed})
	}
	require.Zero(t, f.world.reduces.Load(), "none of these may reach a guest")
	var stats observe.ModuleStats
	f.Stats(&stats)
	require.Zero(t, stats.Stores)
}

// D3: after a flip a store is taken over at its next action, with a record that says so and holds its state; nobody is lost, and reads adopt nothing.
// An instance whose memory has grown too large is left for another, without an adoption and without losing anything.
