package shard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard/resident"
)

func refuse(code abi.Code, format string, args ...any) error {
	return &abi.Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// clip shortens what a caller sent to what an error should repeat of it.
func clip(b []byte) string {
	if len(b) > abi.MaxNameBytes {
		return string(b[:abi.MaxNameBytes]) + "..."
	}
	return string(b)
}

// reduce runs the action in s.in on the state of st. Nil means that the slot holds the new state and s.out the effects; after an error (*abi.Error) the
// state is as before.
//
// REQUIRES: mu is held.
func (s *Shard) reduce(st *store, g *generation) error {
	s.current = st
	for again := true; ; again = false {
		if g.set != nil && st.cell.Set() == g.set && !g.instance.Poisoned() { // seat, for nearly all actions
			_, _ = g.set.Prepare(&st.cell, st.life, &s.in) // cannot fail: it has a slot
		} else if err := s.seat(st, g); err != nil {
			return err
		}
		g.served++
		guest, waited := g.instance, time.Since(s.started)
		s.in.Now = max(s.started.Add(waited).UnixNano(), st.now)
		err := guest.Reduce(&s.in, int64(g.revision.Limits.Fuel), &s.out)
		s.took, s.fuel = time.Since(s.started)-waited, uint64(guest.Fuel())
		if err != nil {
			return s.trap(st, g, err)
		}
		switch s.out.Status {
		case abi.OK:
			if err := s.checkOutput(st, g.revision); err != nil {
				g.set.Refuse(&st.cell, false)
				return err
			}
			return nil
		case abi.NoSuchSlot:
			st.cell.Drop() // the guest says that the slot is lost: base and tail are not
			if again {
				continue
			}
			return s.trap(st, g, errors.New("the guest answers NO_SUCH_SLOT to a state that it was just given"))
		}
		return s.refused(st, g)
	}
}

// refused ends an action that the guest did not take.
func (s *Shard) refused(st *store, g *generation) error {
	out := &s.out
	err := &abi.Error{Reason: string(out.Code), Text: string(out.Text)}
	switch out.Status {
	case abi.Rejected:
		err.Code = abi.CodeRejected
	case abi.BadAction:
		err.Code = abi.CodeBadAction
	case abi.BadState:
		text := fmt.Sprintf("revision %s cannot decode the state of seq %d: %s", g.revision.ID, st.cell.Seq(), out.Text)
		st.cell.Drop()
		if st.exists && st.revision != g.revision.Number {
			return s.park(st, g, text)
		}
		return s.halt(st, abi.CodeStateUnreadable, text)
	}
	g.set.Refuse(&st.cell, out.Flags&abi.Clean != 0)
	s.housekeep(st, g)
	return err
}

// checkOutput makes the host's own checks of an accepted action, before it is accepted, and reads its effects: s.tree and s.out.Body are then no longer
// the guest's.
func (s *Shard) checkOutput(st *store, r *Revision) error {
	if s.out.SizeHint > r.Limits.StateBytes {
		return refuse(abi.CodeTooLarge, "the state would have about %d bytes, the limit is %d", s.out.SizeHint, r.Limits.StateBytes)
	}
	s.tree = nil
	if len(s.out.Body) == 0 {
		return nil
	}
	s.out.Body = bytes.Clone(s.out.Body)
	tree, err := abi.DecodeEffects(s.out.Body)
	if err != nil {
		return &abi.Error{Code: abi.CodeInvalidEffect, Text: err.Error(), Err: err}
	}
	if err := checkDeclared(r.Manifest, tree); err != nil {
		return err
	}
	for range effects.Leaves(tree) {
		s.tree = tree
		most := ledger.MaxOpen
		if s.origins.causation != "" {
			most += ledger.Reserve
		}
		return st.ledger.Check(tree, most)
	}
	return nil
}

// checkDeclared refuses effects that the manifest does not declare. Combinators and none need no declaration: they do nothing themselves.
func checkDeclared(m *abi.Manifest, tree []abi.Effect) error {
	for i := range tree {
		e := &tree[i]
		if e.Kind.Leaf() && !m.Allows(e.Kind, e.Target) {
			return refuse(abi.CodeUndeclaredEffect, "the manifest declares no effect %s to %q", e.Kind, clip([]byte(e.Target)))
		}
		if err := checkDeclared(m, e.Children); err != nil {
			return err
		}
	}
	return nil
}

// seat puts the state of st into a slot of g, taking the store over from an earlier generation if need be, and fills in where the state is.
// Errors are *abi.Error; the store may have halted over them.
//
// REQUIRES: mu is held.
func (s *Shard) seat(st *store, g *generation) error {
	// Every failed round leaves one more store halted, or a trapped instance replaced: the bound only guards against a guest that
	// traps whatever it is asked.
	const rounds = 4
	var err error
	for range rounds {
		if err = g.open(s.log); err != nil {
			return err
		}
		if st.cell.Set() == g.set {
			_, err = g.set.Prepare(&st.cell, st.life, &s.in)
			return err
		}
		if err = s.bring(st, g); err != nil {
			return err
		}
		started := time.Now()
		var replayed int
		if replayed, err = g.set.Prepare(&st.cell, st.life, &s.in); err == nil {
			s.rebuilt(st, replayed, time.Since(started))
			return nil
		}
		if err = s.cannotSeat(st, g, err); err != nil {
			return err
		}
	}
	return refuse(abi.CodeInternal, "no slot could be made free for the store")
}

// bring makes the state of st ready for g: it leaves the slot of another generation, and a tail that another revision made becomes a base.
func (s *Shard) bring(st *store, g *generation) error {
	if st.cell.Set() == nil && (st.cell.TailBytes() == 0 || st.revision == g.revision.Number) {
		return nil
	}
	_, err := s.encode(st)
	st.cell.Drop()
	return err
}

// encode returns the state of st as of its last action, which becomes its base. If it cannot be encoded the store halts.
//
// REQUIRES: mu is held. Errors are *abi.Error.
func (s *Shard) encode(st *store) (resident.Base, error) {
	if st.cell.TailBytes() > 0 && st.cell.Set() == nil {
		g, err := s.generation(st.revision)
		if err != nil {
			return resident.Base{}, err
		}
		if err := s.seatTail(st, g); err != nil {
			return resident.Base{}, err
		}
	}
	set := st.cell.Set()
	base, err := st.cell.Encode()
	if err != nil {
		s.lost(set, st, err)
		return base, s.halt(st, abi.CodeStateUnreadable, err.Error())
	}
	st.fuel = 0
	return base, nil
}

// seatTail rebuilds st in g, whose revision made its tail.
func (s *Shard) seatTail(st *store, g *generation) error {
	if err := g.open(s.log); err != nil {
		return err
	}
	var in abi.ReduceInput
	started := time.Now()
	replayed, err := g.set.Prepare(&st.cell, st.life, &in)
	if err != nil {
		if err := s.cannotSeat(st, g, err); err != nil {
			return err
		}
		return refuse(abi.CodeInternal, "no slot could be made free for the store")
	}
	s.rebuilt(st, replayed, time.Since(started))
	return nil
}

// cannotSeat deals with an error of resident.Set.Prepare. Nil means that another store was in the way and no longer is.
func (s *Shard) cannotSeat(st *store, g *generation, err error) error {
	var eviction *resident.EvictionError
	var diverged *resident.DivergedError
	var unreadable *resident.UnreadableError
	var corrupt *journal.CorruptError
	switch {
	case errors.As(err, &eviction):
		victim := s.dir[eviction.Cell.Key]
		s.lost(g.set, victim, eviction.Err)
		_ = s.halt(victim, abi.CodeStateUnreadable, eviction.Err.Error())
		return nil
	case errors.As(err, &diverged):
		return s.halt(st, abi.CodeDiverged, err.Error())
	case errors.As(err, &unreadable), errors.As(err, &corrupt):
		return s.halt(st, abi.CodeStateUnreadable, err.Error())
	}
	s.lost(g.set, st, err)
	return s.halt(st, abi.CodeDiverged, "replaying its last actions: "+err.Error())
}

// generation finds the generation of a revision that is not the active one, opening it if need be.
func (s *Shard) generation(number uint64) (*generation, error) {
	if s.active.revision.Number == number {
		return s.active, nil
	}
	for _, g := range s.draining {
		if g.revision.Number == number && (g.set != nil || !g.revision.isRetired()) { // a retired one may have no code any more to make an instance of
			return g, nil
		}
	}
	if s.config.Revision == nil {
		return nil, refuse(abi.CodeInternal, "revision %d of the store is not loaded", number)
	}
	// Not the caller's context: others need the revision too.
	r, err := s.config.Revision(context.Background(), number)
	if err != nil {
		return nil, &abi.Error{Code: abi.CodeInternal, Text: fmt.Sprintf("open revision %d of the store", number), Err: err}
	}
	g := s.newGeneration(r)
	s.draining = append(s.draining, g)
	return g, nil
}

// settle ends an accepted action: a guest without residency is asked for the state, a checkpoint that is due is taken, the guest may tidy up.
func (s *Shard) settle(st *store, g *generation) {
	if err := g.set.Settle(&st.cell); err != nil {
		s.lost(g.set, st, err)
		_ = s.halt(st, abi.CodeStateUnreadable, err.Error())
		return
	}
	if st.since > max(s.config.TailBytes, 4*len(st.cell.Base().State)) || st.fuel > s.config.RebuildFuel {
		if s.checkpoint(st) != nil {
			return // the store has halted, and the instance may be lost
		}
	}
	s.housekeep(st, g)
}

// checkpoint encodes the state of st and enqueues it behind its last record. Errors, which halt the store, are for those who need the checkpoint.
func (s *Shard) checkpoint(st *store) error {
	base, err := s.encode(st)
	if err != nil {
		return err
	}
	b := new(journal.Batch)
	journal.PutCheckpoint(b, st.life, &journal.Checkpoint{
		Seq: base.Seq, Revision: st.revision, Schema: st.schema, Time: st.now, State: base.State,
	})
	st.since = 0
	st.saved = s.committer.Enqueue(journal.Step{Life: st.life, Seq: base.Seq, Extra: b, Owner: checkpointed{st}})
	s.committer.Kick() // senders wait for their records only
	return nil
}

// checkpointed is told what became of a checkpoint.
type checkpointed struct{ *store }

// Durable has nothing to do: the state is no newer than its record.
func (checkpointed) Durable(uint64) {}

// Lost makes another checkpoint due at the next action.
func (c checkpointed) Lost(uint64) { c.since, c.saved = math.MaxInt/2, 0 }

// housekeep lets the guest tidy up, and leaves it for a fresh instance when its memory has grown too large.
func (s *Shard) housekeep(st *store, g *generation) {
	guest := g.instance
	if err := guest.Housekeep(); err != nil {
		s.lost(g.set, st, err)
		return
	}
	if guest.MemoryBytes() > guest.MemoryLimit()/4*3 {
		s.recycle(g)
	}
}

// trap ends an action over which the instance was lost.
func (s *Shard) trap(st *store, g *generation, cause error) error {
	now := time.Now()
	st.trapped = now
	s.config.Traps.take(now)
	err := s.perished(g.set, st, cause, s.trace())
	if s.config.HaltOnCommandTrap {
		return s.halt(st, abi.CodeHalted, err.Error())
	}
	return err
}

// lost discards an instance that failed while it worked for st. It returns the failure in the words of the host.
func (s *Shard) lost(set *resident.Set, st *store, cause error) *abi.Error {
	return s.perished(set, st, cause, "")
}

// perished is lost while an action was at work that has a trace.
func (s *Shard) perished(set *resident.Set, st *store, cause error, trace string) *abi.Error {
	err := &abi.Error{Code: abi.CodeTrapped, Reason: string(engine.CauseTrap), Text: cause.Error(), Err: cause}
	var trap *engine.Trap
	if errors.As(cause, &trap) {
		err.Reason = string(trap.Cause)
	}
	if h := s.hooks.Load().Trapped; h != nil {
		h(&observe.Trapped{Key: st.key, Cause: err.Reason, Message: err.Text, Fuel: int64(s.fuel), Trace: trace})
	}
	for _, g := range append([]*generation{s.active}, s.draining...) {
		if set != nil && g.set == set && set.Guest().Poisoned() {
			g.discard()
		}
	}
	return err
}

func (s *Shard) rebuilt(st *store, replayed int, took time.Duration) {
	if h := s.hooks.Load().Rebuilt; h != nil && replayed > 0 {
		h(&observe.Rebuilt{Key: st.key, Replayed: replayed, Duration: took, Cause: string(st.cell.Absence())})
	}
}

// log is what guests log to.
func (s *Shard) log(level int, text string) {
	if h := s.hooks.Load().Log; h != nil && s.current != nil {
		h(&observe.GuestLog{Key: s.current.key, Level: level, Text: text})
	}
}
