package journaltest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
)

// gate is a backend whose batches a check may hold up or fail.
type gate struct {
	journal.Backend
	before func(n int) error // called with 1, 2, 3, ... before the batch is applied; an error instead of it
	calls  atomic.Int64
}

func (g *gate) Apply(b *journal.Batch) error {
	n := int(g.calls.Add(1))
	if g.before != nil {
		if err := g.before(n); err != nil {
			return err
		}
	}
	return g.Backend.Apply(b)
}

// held returns a function that lets batch n through only after let(n), which it also returns, was called. Whatever is held is let through
// when the check ends.
func held(k *kit) (before func(n int) error, let func(n int, err error)) {
	var batches [64]chan error
	for i := range batches {
		batches[i] = make(chan error, 1)
	}
	var once [64]sync.Once
	let = func(n int, err error) { once[n].Do(func() { batches[n] <- err }) }
	k.Cleanup(func() {
		for n := range batches {
			let(n, nil)
		}
	})
	return func(n int) error { return <-batches[n] }, let
}

// shard is as much of a shard as the fence can tell: a lock, one store, its order.
type shard struct {
	kit     *kit
	backend *gate
	fence   Fence

	mu      sync.Mutex // the shard's lock
	reduced uint64

	toldMu  sync.Mutex // guards what follows
	durable []uint64
	lost    []uint64
}

func newShard(k *kit, before func(n int) error, config journal.Config) *shard {
	s := &shard{kit: k, backend: &gate{Backend: k.backend(), before: before}}
	if k.features.Fence != nil {
		s.fence = k.features.Fence(s.backend, config)
	} else {
		s.fence = journal.NewCommitter(s.backend, config)
	}
	return s
}

// Durable implements journal.Owner.
func (s *shard) Durable(seq uint64) {
	s.toldMu.Lock()
	defer s.toldMu.Unlock()
	s.durable = append(s.durable, seq)
}

// Lost implements journal.Owner.
func (s *shard) Lost(seq uint64) {
	s.toldMu.Lock()
	defer s.toldMu.Unlock()
	s.lost = append(s.lost, seq)
	s.reduced = min(s.reduced, seq-1)
}

func (s *shard) told() (durable, lost []uint64) {
	s.toldMu.Lock()
	defer s.toldMu.Unlock()
	return slices.Clone(s.durable), slices.Clone(s.lost)
}

// step reduces and enqueues one action, after it recovered if it has to.
func (s *shard) step() (seq uint64, p journal.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.fence.Err(), journal.ErrBatchFailed) {
		_ = s.fence.Recover()
	}
	return s.enqueue()
}

// enqueue is step without a look at the fence, as a step that had begun before the batch failed.
func (s *shard) enqueue() (seq uint64, p journal.Position) {
	s.reduced++
	return s.reduced, s.fence.Enqueue(journal.Step{Life: one, Seq: s.reduced, Record: bytesOf(one, s.reduced), Owner: s})
}

// outcome is a call of Wait going on.
type outcome struct {
	ended atomic.Bool
	err   error
}

// wait calls Wait in a goroutine.
func (s *shard) wait(ctx context.Context, p journal.Position) *outcome {
	o := new(outcome)
	go func() {
		o.err = s.fence.Wait(ctx, p)
		o.ended.Store(true)
	}()
	return o
}

// ask calls Wait for a position that has to be settled. To be called in a bubble.
func (s *shard) ask(p journal.Position) error {
	s.kit.Helper()
	o := s.wait(context.Background(), p)
	synctest.Wait()
	require.True(s.kit, o.ended.Load(), "position %d is settled", p)
	return o.err
}

func (o *outcome) requireDurable(k *kit) {
	k.Helper()
	require.True(k, o.ended.Load(), "Wait has returned")
	require.NoError(k, o.err)
}

func (o *outcome) requireError(k *kit, want error) {
	k.Helper()
	require.True(k, o.ended.Load(), "Wait has returned")
	require.ErrorIs(k, o.err, want)
}

func (o *outcome) requireWaiting(k *kit, why string) {
	k.Helper()
	require.False(k, o.ended.Load(), why)
}

// requireDurable requires that owners were told of 1 to last in order, and that the log holds them.
func (s *shard) requireDurable(last uint64) {
	k := s.kit
	k.Helper()
	durable, _ := s.told()
	require.Equal(k, upTo(last), durable, "owners hear in order")
	if last == 0 {
		requireLog(k, s.backend, one, 0, 0)
	} else {
		requireLog(k, s.backend, one, 1, last)
	}
}

func upTo(last uint64) (seqs []uint64) {
	for seq := uint64(1); seq <= last; seq++ {
		seqs = append(seqs, seq)
	}
	return seqs
}
