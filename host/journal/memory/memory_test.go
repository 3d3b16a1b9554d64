package memory_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/journaltest"
	"github.com/crhost/crhost/host/journal/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	journaltest.Run(t, func() journal.Backend { return memory.New(memory.Config{}) }, journaltest.Features{
		Reopen: func(b journal.Backend) journal.Backend { return b.(*memory.Backend).Crash() },
	})
}

var life = journal.Incarnation{1}

func appendTo(t *testing.T, b *memory.Backend, from, to uint64) {
	t.Helper()
	for seq := from; seq <= to; seq++ {
		var batch journal.Batch
		batch.Append(life, seq, fmt.Append(nil, seq))
		require.NoError(t, b.Apply(&batch))
	}
}

func release(t *testing.T, b *memory.Backend, seq uint64) {
	t.Helper()
	var batch journal.Batch
	batch.Release(life, seq)
	require.NoError(t, b.Apply(&batch))
}

func TestHistory_S11(t *testing.T) {
	type bounds struct{ first, last uint64 }
	for _, c := range []struct {
		history  int
		released uint64
		before   bounds // 3,000 records, the release in the middle of them
		after    bounds // and 500 more
	}{
		{history: 0, released: 2900, before: bounds{2001, 3000}, after: bounds{2501, 3500}},
		{history: 0, released: 1500, before: bounds{1501, 3000}, after: bounds{1501, 3500}},
		{history: 0, released: 0, before: bounds{1, 3000}, after: bounds{1, 3500}},
		{history: 10, released: 2900, before: bounds{2901, 3000}, after: bounds{2901, 3500}},
		{history: 10, released: 3000, before: bounds{2991, 3000}, after: bounds{3001, 3500}},
		{history: 5000, released: 3000, before: bounds{1, 3000}, after: bounds{1, 3500}},
		{history: -1, released: 2900, before: bounds{2901, 3000}, after: bounds{2901, 3500}},
		{history: -1, released: 3000, before: bounds{0, 0}, after: bounds{3001, 3500}},
	} {
		t.Run(fmt.Sprintf("history=%d/released=%d", c.history, c.released), func(t *testing.T) {
			b := memory.New(memory.Config{History: c.history})
			for _, step := range []struct {
				from, to uint64
				want     bounds
			}{{1, 3000, c.before}, {3001, 3500, c.after}} {
				appendTo(t, b, step.from, step.to)
				release(t, b, c.released)
				first, last, err := b.Bounds(life)
				require.NoError(t, err)
				require.Equal(t, step.want, bounds{first, last})
				seq := first
				for e, err := range b.Records(life, 1, 9999) {
					require.NoError(t, err)
					require.Equal(t, seq, e.Seq)
					require.Equal(t, fmt.Sprint(seq), string(e.Bytes))
					seq++
				}
			}
		})
	}
}

func TestRelease_neverGoesBack(t *testing.T) {
	b := memory.New(memory.Config{History: 10})
	appendTo(t, b, 1, 100)
	release(t, b, 100)
	release(t, b, 50)
	appendTo(t, b, 101, 200)
	first, _, err := b.Bounds(life)
	require.NoError(t, err)
	require.EqualValues(t, 101, first)
}

func TestHistory_letsGo(t *testing.T) {
	b := memory.New(memory.Config{History: -1})
	var kept []weak.Pointer[byte]
	for seq := uint64(1); seq <= 10; seq++ {
		record := make([]byte, 100)
		kept = append(kept, weak.Make(&record[0]))
		var batch journal.Batch
		batch.Append(life, seq, record)
		require.NoError(t, b.Apply(&batch))
	}
	release(t, b, 9)
	runtime.GC()
	for i, record := range kept {
		require.Equal(t, i == 9, record.Value() != nil, "record %d", i+1)
	}
	runtime.KeepAlive(b)
}

func TestBefore_refuses(t *testing.T) {
	full := fmt.Errorf("full: %w", journal.ErrRefused)
	var answer error
	b := memory.New(memory.Config{Before: func(*journal.Batch) error { return answer }})
	appendTo(t, b, 1, 1)
	answer = full
	var batch journal.Batch
	batch.Append(life, 2, nil)
	require.NoError(t, batch.Set([]byte("a"), nil))
	require.ErrorIs(t, b.Apply(&batch), full)
	_, last, err := b.Bounds(life)
	require.NoError(t, err)
	require.EqualValues(t, 1, last)
	_, err = b.Get([]byte("a"))
	require.ErrorIs(t, err, journal.ErrNotFound)
	answer = nil
	require.NoError(t, b.Apply(&batch), "it still works")
}

func TestBeforeAndAfter_unknownOutcome(t *testing.T) {
	broken := errors.New("input/output error")
	fail := func(b *journal.Batch) error {
		if b.Logs()[0].Seq == 2 {
			return broken
		}
		return nil
	}
	for _, c := range []struct {
		config memory.Config
		found  uint64
	}{{memory.Config{Before: fail}, 1}, {memory.Config{After: fail}, 2}} {
		b := memory.New(c.config)
		appendTo(t, b, 1, 1)
		var batch journal.Batch
		batch.Append(life, 2, nil)
		err := b.Apply(&batch)
		require.ErrorIs(t, err, broken)
		require.NotErrorIs(t, err, journal.ErrRefused)
		batch.Reset()
		batch.Append(life, 3, nil)
		require.ErrorIs(t, b.Apply(&batch), broken, "for good")
		_, last, err := b.Crash().Bounds(life)
		require.NoError(t, err)
		require.Equal(t, c.found, last)
	}
}

func TestCrash_endsTheOld(t *testing.T) {
	b := memory.New(memory.Config{History: 5, Before: func(b *journal.Batch) error {
		if b.Logs()[0].Seq == 100 {
			return errors.New("power went out")
		}
		return nil
	}})
	appendTo(t, b, 1, 99)
	found := b.Crash()
	var batch journal.Batch
	batch.Append(life, 101, nil)
	require.ErrorIs(t, b.Apply(&batch), journal.ErrClosed)
	_, _, err := b.Bounds(life)
	require.ErrorIs(t, err, journal.ErrClosed)
	appendTo(t, found, 100, 100)
	release(t, found, 100)
	first, last, err := found.Bounds(life)
	require.NoError(t, err)
	require.Equal(t, []uint64{96, 100}, []uint64{first, last}, "the found one keeps its history's length, not the hooks")
}

func TestApply_endsOnGap(t *testing.T) {
	b := memory.New(memory.Config{})
	appendTo(t, b, 1, 3)
	var batch journal.Batch
	batch.Append(life, 5, nil)
	require.EqualError(t, b.Apply(&batch), "memory journal: record 5 appended after 3")
	batch.Reset()
	batch.Append(life, 4, nil)
	require.Error(t, b.Apply(&batch), "its writer is broken")
}

func TestSnapshot_closed(t *testing.T) {
	b := memory.New(memory.Config{})
	appendTo(t, b, 1, 1)
	s, err := b.Snapshot()
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, _, err = s.Bounds(life)
	require.ErrorIs(t, err, journal.ErrClosed)
	_, err = s.Get([]byte("a"))
	require.ErrorIs(t, err, journal.ErrClosed)
	appendTo(t, b, 2, 2)
}
