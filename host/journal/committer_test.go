package journal_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
)

func TestCommitter_leavesStepsToTheirCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		batches, apply := 0, make(chan bool)
		backend := memory.New(memory.Config{Before: func(*journal.Batch) error {
			batches++
			<-apply
			return nil
		}})
		c := journal.NewCommitter(backend, journal.Config{})
		p1 := c.Enqueue(journal.Step{})
		go func() { _ = c.Wait(t.Context(), p1) }()
		synctest.Wait()
		p2 := c.Enqueue(journal.Step{})
		apply <- true
		synctest.Wait()
		require.Equal(t, p1, c.Watermark())
		require.Equal(t, 1, batches, "the caller is about to wait, and commits in its own goroutine")
		close(apply)
		require.NoError(t, c.Wait(t.Context(), p2))
		require.Equal(t, 2, batches)
	})
}

func TestCommitter_costsNoAllocation(t *testing.T) {
	c := journal.NewCommitter(memory.New(memory.Config{History: -1}), journal.Config{})
	life, record, seq := journal.Incarnation{1}, []byte("record"), uint64(0)
	extra := new(journal.Batch)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		seq++
		extra.Reset()
		extra.Release(life, seq-1)
		p := c.Enqueue(journal.Step{Life: life, Seq: seq, Record: record, Extra: extra})
		if err := c.Wait(context.Background(), p); err != nil {
			panic(err)
		}
	}))
}

func TestCommitter_panicsOnPositionsNeverGiven(t *testing.T) {
	c := journal.NewCommitter(memory.New(memory.Config{}), journal.Config{})
	require.PanicsWithValue(t, "journal: wait for position 1 of 0", func() { _ = c.Wait(context.Background(), 1) })
	require.NoError(t, c.Wait(context.Background(), c.Enqueue(journal.Step{})), "it goes on")
}
