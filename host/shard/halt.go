package shard

import (
	"context"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/observe"
)

// halt makes the store refuse actions from now on, durably, and returns the refusal. Its state and history stay readable as far as they are.
//
// REQUIRES: mu is held.
func (s *Shard) halt(st *store, code abi.Code, reason string) error {
	st.cell.Drop()
	refusal := &abi.Error{Code: code, Text: reason}
	if !st.exists {
		return refusal // there is nothing to protect: what failed was its first action
	}
	if !s.haltHolds(&st.row) {
		row := st.row
		row.HaltCode, row.HaltReason, row.HaltedAt, row.HaltedBy = string(code), reason, time.Now().UnixNano(), s.active.revision.Number
		s.write(st, row)
	}
	return refusal
}

// haltHolds reports whether a store with that row is halted. A deploy ends halts (SEMANTICS S6, S7), but no divergence: somebody has to see that.
func (s *Shard) haltHolds(row *journal.Store) bool {
	return row.HaltCode != "" && (row.HaltedBy == s.active.revision.Number || row.HaltCode == string(abi.CodeDiverged))
}

// stopped says why a store with that row takes no actions, or nil.
//
// REQUIRES: mu is held.
func (s *Shard) stopped(row *journal.Store) *abi.Error {
	switch {
	case s.haltHolds(row):
		return &abi.Error{Code: abi.Code(row.HaltCode), Text: row.HaltReason}
	case row.ParkedBy != 0 && row.ParkedBy == s.active.revision.Number:
		return &abi.Error{Code: abi.CodeStateUnreadable, Reason: "parked", Text: row.ParkReason}
	}
	return nil
}

// Stopped tells of a store that the journal has as halted or parked: as long as nobody needs the store, that is all of it that is in memory.
func (s *Shard) Stopped(key string, row *journal.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir[key] == nil {
		s.asleep[key] = *row
	}
}

// goesOn is the row of a store that nothing keeps from taking actions.
func goesOn(row journal.Store) journal.Store {
	return journal.Store{Life: row.Life, Created: row.Created}
}

// park keeps the store, as its revision left it, from a revision that cannot take it over.
func (s *Shard) park(st *store, g *generation, reason string) error {
	row := st.row
	row.ParkedBy, row.ParkReason = g.revision.Number, reason
	s.write(st, row)
	return st.halted()
}

// write enqueues the store's row.
func (s *Shard) write(st *store, row journal.Store) {
	b := new(journal.Batch)
	s.change(b, st, row)
	st.pos = s.committer.Enqueue(journal.Step{Life: st.life, Extra: b, Owner: rowWrite{st}})
	s.committer.Kick() // the caller at hand may be one of another store
}

// change makes row the store's, durably with b.
func (s *Shard) change(b *journal.Batch, st *store, row journal.Store) {
	was := st.row
	st.row = row
	if h := s.hooks.Load().Halted; h != nil && (was.HaltCode != row.HaltCode || was.HaltedBy != row.HaltedBy) {
		h(&observe.Halted{Key: st.key, Code: row.HaltCode, Reason: row.HaltReason, Resumed: row.HaltCode == ""})
	}
	journal.ChangeStore(b, s.id(st.key), &was, &row)
}

// rowWrite is told what became of a store's row.
type rowWrite struct{ *store }

// Durable has nothing to do.
func (rowWrite) Durable(uint64) {}

// Lost goes back to the row that the journal has.
func (w rowWrite) Lost(uint64) { w.forget() }

// Resume ends a halt. Resuming a store that is not halted does nothing. With skip, the next feedback on which the reducer traps becomes a dead letter at
// once (SEMANTICS S6). Errors are *abi.Error; CodeNotFound for a store without actions.
func (s *Shard) Resume(ctx context.Context, key string, skip bool) error {
	st, err := s.tend(ctx, key)
	if err != nil {
		return err
	}
	if st.exists {
		st.shut, st.skipping = false, skip
		st.ledger.Calm()
		if row := goesOn(st.row); row != st.row {
			st.trapped = time.Time{}
			s.write(st, row)
		}
	} else {
		err = s.notFound(key)
	}
	pos := st.pos
	s.leave(st)
	return s.answer(ctx, pos, err)
}

func (s *Shard) notFound(key string) error {
	return refuse(abi.CodeNotFound, "store %s has no actions", s.id(key))
}

// Shutdown refuses commands for one store until it is resumed, and returns when all that it accepted is durable. Errors are *abi.Error; CodeNotFound
// for a store without actions.
func (s *Shard) Shutdown(ctx context.Context, key string) error {
	st, err := s.tend(ctx, key)
	if err != nil {
		return err
	}
	pos := st.pos
	if st.shut = st.exists; !st.exists {
		err = s.notFound(key)
	}
	s.leave(st)
	return s.answer(ctx, pos, err)
}

// Delete ends the life of a store. A later action begins another, at seq 1. Subscribers get what is durable and then an end. Errors are
// *abi.Error; CodeNotFound for a store without actions.
func (s *Shard) Delete(ctx context.Context, key string) error {
	st, err := s.tend(ctx, key)
	if err != nil {
		return err
	}
	if !st.exists || s.refusing != nil {
		if err = s.refusing; err == nil {
			err = s.notFound(key)
		}
		pos := st.pos
		s.leave(st)
		return s.answer(ctx, pos, err)
	}
	b := new(journal.Batch)
	if err := s.forgetKeys(st, b); err != nil {
		s.leave(st)
		return err
	}
	journal.DeleteStore(b, s.id(key), st.life)
	pos := s.committer.Enqueue(journal.Step{Life: st.life, Extra: b, Owner: deletion{st, st.ledger.Drop(b)}})
	s.remove(st)
	s.end(st, true)
	// The key stays in the directory until the deletion is durable: the journal must not be asked for it before.
	next := s.newStore(key)
	next.pos = pos
	s.put(next)
	s.leave(st)
	return s.answer(ctx, pos, nil)
}

// end notes that the deletion of a store is pending, or no longer.
func (s *Shard) end(st *store, pending bool) {
	s.dirMu.Lock()
	defer s.dirMu.Unlock()
	if pending {
		s.ending[st] = true
	} else {
		delete(s.ending, st)
	}
}

// deletion is told what became of the end of a store.
type deletion struct {
	*store
	moves *ledger.Moves
}

// Durable ends the subscriptions and effects.
func (d deletion) Durable(uint64) {
	d.move(d.moves)
	d.shard.end(d.store, false)
	d.hush(&abi.Error{Code: abi.CodeNotFound, Text: "the store was deleted"})
}

// Lost brings the store back. Whatever came after it under its key was lost too, and was told so before.
func (d deletion) Lost(uint64) {
	s := d.shard
	s.end(d.store, false)
	if next := s.dir[d.key]; next != nil && next != d.store {
		s.remove(next)
		next.hush(&abi.Error{Code: abi.CodeBatchFailed, Text: "the store was not deleted after all, and goes on"})
	}
	d.gone = false
	d.forget()
	s.put(d.store)
}
