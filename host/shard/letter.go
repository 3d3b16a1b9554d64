package shard

import (
	"context"
	"errors"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

// Redrive opens another drive of a dead leaf (SEMANTICS E4): it is done once more, or, when only its feedback was not taken, that is fed back once more. Its
// letter is gone when this returns nil. Errors are *abi.Error, CodeNotFound when there is no such letter.
func (s *Shard) Redrive(ctx context.Context, key string, id journal.LetterID) error {
	return s.letter(ctx, key, id, false, func(st *store, letter *journal.DeadLetter, b *journal.Batch, m *ledger.Moves) bool {
		var again []byte
		switch letter.Reason {
		case ledger.ReasonFeedbackRejected, ledger.ReasonFeedbackTrapped, ledger.ReasonUnknownAction, ledger.ReasonCascade:
			again = letter.Action
		}
		return st.ledger.Redrive(b, m, ledger.Ref{Seq: id.Seq, Index: id.Index}, again)
	})
}

// Discard forgets a dead letter. Errors are *abi.Error, CodeNotFound when there is no such letter.
func (s *Shard) Discard(ctx context.Context, key string, id journal.LetterID) error {
	return s.letter(ctx, key, id, true, func(st *store, _ *journal.DeadLetter, b *journal.Batch, _ *ledger.Moves) bool {
		return st.ledger.Discard(b, ledger.Ref{Seq: id.Seq, Index: id.Index})
	})
}

// letter removes a dead letter, with what change does. It is found in the journal, so that the step waits for all that is not durable.
func (s *Shard) letter(
	ctx context.Context, key string, id journal.LetterID, discard bool, change func(*store, *journal.DeadLetter, *journal.Batch, *ledger.Moves) bool,
) error {
	missing := refuse(abi.CodeNotFound, "there is no dead letter %s", id)
	st, err := s.tend(ctx, key)
	if err != nil {
		return err
	}
	pos := st.pos
	letter, err := journal.ReadLetter(s.config.Backend, s.config.Module, id)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		err = missing
	case err != nil:
		err = &abi.Error{Code: abi.CodeInternal, Text: "read a dead letter", Err: err}
	case s.refusing != nil:
		err = s.refusing
	case !st.exists || st.life != id.Life:
		err = missing
	default:
		s.extra.Reset()
		m := &moved{store: st, moves: ledger.Moves{Now: max(time.Now().UnixNano(), st.now)}}
		if !change(st, &letter, &s.extra, &m.moves) {
			err = missing
			break
		}
		journal.DeleteLetter(&s.extra, s.config.Module, id)
		m.moves.Letters--
		st.pos = s.committer.Enqueue(journal.Step{Life: st.life, Extra: &s.extra, Owner: s.owner(m, false)})
		pos = st.pos
	}
	r := s.active.revision
	s.leave(st)
	if err = s.answer(ctx, pos, err); err == nil {
		s.redriven(r, id, &letter, discard)
	}
	return err
}

// StartEffects starts all effects of a store that its journal was found with. Errors are *abi.Error.
func (s *Shard) StartEffects(ctx context.Context, key string) error {
	st, err := s.tend(ctx, key)
	if err != nil {
		return err
	}
	pos := st.pos
	if !st.ledger.Empty() { // in the order of the store's other steps, and behind those that are not durable yet
		m := &moved{store: st, moves: *st.ledger.Resume()}
		pos = s.committer.Enqueue(journal.Step{Life: st.life, Owner: s.owner(m, false)})
		st.pos = pos
	}
	s.leave(st)
	return s.answer(ctx, pos, nil)
}

// OpenEffect is a leaf that is not done.
type OpenEffect struct {
	Leaf ledger.Leaf
	Held bool // something before it in a sequential is not done
}

// OpenEffects are the leaves of a store that are not done, by seq and index. Errors are *abi.Error.
func (s *Shard) OpenEffects(ctx context.Context, key string) ([]OpenEffect, error) {
	st, err := s.tend(ctx, key)
	if err != nil {
		return nil, err
	}
	var list []OpenEffect
	for leaf, held := range st.ledger.Leaves() {
		list = append(list, OpenEffect{leaf, held})
	}
	pos, exists := st.pos, st.exists
	s.leave(st)
	if !exists {
		err = s.notFound(key)
	}
	return list, s.answer(ctx, pos, err)
}
