package shard

import (
	"context"
	"errors"
	"iter"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard/feed"
)

// State returns the newest state, once it is durable. It is encoded at most once per action, and readers of a state that is encoded already take no
// lock. Errors are *abi.Error; CodeNotFound for a store that has no actions.
func (s *Shard) State(ctx context.Context, ref *Ref) (*State, error) {
	if st := ref.last.Load(); st != nil {
		// Asked for again at the end: had it been taken back meanwhile, what is durable under its seq would be another.
		if snap := st.snapshot.Load(); snap != nil && snap.Seq == st.reduced.Load() && snap.Seq <= st.durable.Load() && snap == st.snapshot.Load() {
			return snap, nil
		}
	}
	st, _, err := s.queue(ctx, ref, s.config.QueueDepth)
	if err != nil {
		return nil, err
	}
	snap, err := s.state(st)
	pos := st.pos
	s.leave(st)
	if err := s.answer(ctx, pos, err); err != nil {
		return nil, err
	}
	return snap, nil
}

// state encodes the state.
//
// REQUIRES: mu is held and st is ready.
func (s *Shard) state(st *store) (*State, error) {
	if !st.exists {
		return nil, s.notFound(st.key)
	}
	if snap := st.snapshot.Load(); snap != nil && snap.Seq == st.cell.Seq() {
		return snap, nil
	}
	if err := st.halted(); err != nil && st.cell.TailBytes() > 0 && st.cell.Set() == nil && codeOf(err) != abi.CodeHalted && codeOf(err) != abi.CodeShuttingDown {
		return nil, err
	}
	base, err := s.encode(st)
	if err != nil {
		return nil, err
	}
	snap := &State{Seq: base.Seq, Revision: s.revisionID(st.revision), Body: base.State}
	st.settle(st.snapshot.Swap(snap))
	return snap, nil
}

// revisionID is the name of a revision that has stores here.
func (s *Shard) revisionID(number uint64) string {
	if s.active.revision.Number == number {
		return s.active.revision.ID
	}
	if s.config.RevisionID == nil {
		return ""
	}
	return s.config.RevisionID(number)
}

// Settle returns when all that was enqueued is durable or lost. What a reader found in the journal before is no longer taken back then: a backend may show a batch that is
// not durable yet (SEMANTICS S2). Errors are *abi.Error.
func (s *Shard) Settle(ctx context.Context) error {
	err := s.committer.Wait(ctx, s.committer.Last())
	if errors.Is(err, journal.ErrBatchFailed) {
		return nil // nothing of it is, or was, shown
	}
	return commitError(err)
}

// Stale returns the newest state that is encoded and durable, without waiting for anything newer: also of a store whose newest state cannot be read.
// Errors are *abi.Error; CodeNotFound for a store that has no actions.
func (s *Shard) Stale(ctx context.Context, key string) (*State, error) {
	st, _, err := s.enter(ctx, key)
	if err != nil {
		return nil, err
	}
	if !st.exists {
		pos := st.pos
		s.leave(st)
		return nil, s.answer(ctx, pos, s.notFound(key))
	}
	defer s.leave(st)
	st.settle(st.snapshot.Load())
	if base := st.cell.Base(); base.State != nil {
		st.settle(&State{Seq: base.Seq, Revision: s.revisionID(st.revision), Body: base.State})
	}
	if st.settled != nil {
		return st.settled, nil
	}
	if st.durable.Load() < st.cell.Seq() {
		return nil, refuse(abi.CodeOverloaded, "no encoded state of the store is durable yet")
	}
	return s.state(st)
}

// Wait returns the store's life when the action seq is durable. Errors are *abi.Error; CodeNotFound when the store has no such action.
func (s *Shard) Wait(ctx context.Context, key string, seq uint64) (journal.Incarnation, error) {
	st, _, err := s.enter(ctx, key)
	if err != nil {
		return journal.Incarnation{}, err
	}
	life := st.life
	pos, durable := st.pos, st.exists && seq <= st.durable.Load()
	if seq > st.cell.Seq() || !st.exists {
		err = refuse(abi.CodeNotFound, "store %s has no action %d yet", s.id(key), seq)
	}
	s.leave(st)
	if durable {
		return life, nil
	}
	return life, s.answer(ctx, pos, err)
}

// Bounds tells the first seq that history keeps and the last one that is durable; both are 0 for a store that has no actions. Errors are *abi.Error.
func (s *Shard) Bounds(ctx context.Context, key string) (life journal.Incarnation, first, last uint64, err error) {
	st, _, err := s.enter(ctx, key)
	if err != nil {
		return life, 0, 0, err
	}
	life, last = st.life, st.durable.Load()
	s.leave(st)
	first, _, err = s.config.Backend.Bounds(life)
	if err != nil {
		return life, 0, 0, &abi.Error{Code: abi.CodeInternal, Text: "read the bounds of the history", Err: err}
	}
	return life, min(first, last), last, nil
}

// History yields the durable records from seq from to seq to as far as they are kept. Errors are *abi.Error, and those of journal.Records.
func (s *Shard) History(ctx context.Context, key string, from, to uint64) iter.Seq2[*journal.Record, error] {
	return func(yield func(*journal.Record, error) bool) {
		life, _, last, err := s.Bounds(ctx, key)
		if err != nil {
			yield(nil, err)
			return
		}
		for r, err := range journal.Records(s.config.Backend, life, from, min(to, last)) {
			if !yield(r, err) {
				return
			}
		}
	}
}

// Subscribe returns a cursor on the store's actions from seq from on, 0 for those to come, and the life whose records it gives. The store need not have any
// yet. The caller must call Unsubscribe. Errors are *abi.Error.
func (s *Shard) Subscribe(ctx context.Context, key string, from uint64) (*feed.Cursor, journal.Incarnation, error) {
	st, _, err := s.enter(ctx, key)
	if err != nil {
		return nil, journal.Incarnation{}, err
	}
	f := st.feed.Load()
	if f == nil {
		f = feed.New(s.config.Buffer, func(from, to uint64) iter.Seq2[journal.Entry, error] {
			return s.config.Backend.Records(st.life, from, to)
		})
		st.feed.Store(f)
	}
	cursor, life := f.Join(from, st.durable.Load), st.life
	s.leave(st)
	return cursor, life, nil
}

// Unsubscribe closes a cursor of the store.
func (s *Shard) Unsubscribe(key string, c *feed.Cursor) {
	c.Close()
	// A store that was only listened to can be forgotten now.
	if st, err := s.tend(context.Background(), key); err == nil {
		s.leave(st)
	}
}

// hush ends the subscriptions.
func (st *store) hush(why error) {
	if f := st.feed.Load(); f != nil {
		f.Close(why)
	}
}

func (st *store) listened() bool {
	f := st.feed.Load()
	return f != nil && f.Listened()
}

// Hooks hear what happens here.
func (s *Shard) Hooks() *observe.ModuleHooks { return s.hooks.Load() }
