package shard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/observe"
)

// calm is how long a delay has to be for what follows it not to count as caused without end.
const calm = time.Second

// describe enters the effects of the action at hand into the ledger of st.
func (s *Shard) describe(st *store, moves *ledger.Moves) {
	if st.ledger == nil {
		st.ledger = ledger.New(s.id(st.key), st.life)
	}
	o := &s.origins
	st.ledger.Add(&s.extra, moves, s.in.Seq, journal.Effect{
		Key: st.key, Time: s.in.Now, Depth: o.depth, Correlation: o.correlation.String(), Trace: s.trace(), Tree: s.out.Body,
	}, s.tree)
}

// moved is a step from which moves follow, and is told what became of it.
type moved struct {
	*store
	moves  ledger.Moves
	record bool            // the step has one
	buried *observe.Buried // nil for none
}

// Durable publishes the action and lets the moves be made.
func (m *moved) Durable(seq uint64) {
	if m.record {
		m.store.Durable(seq)
	}
	m.move(&m.moves)
	if h := m.shard.hooks.Load().Buried; h != nil && m.buried != nil {
		h(m.buried)
	}
}

// move tells of moves that are durable.
func (st *store) move(moves *ledger.Moves) {
	if moves != nil && moves.Letters != 0 && st.shard.config.Letters != nil {
		st.shard.config.Letters.Add(int64(moves.Letters))
	}
	if !moves.Empty() && st.shard.config.Moved != nil {
		st.shard.config.Moved(st.shard.id(st.key), st.life, moves)
	}
}

// Deliver settles a leaf, and reduces what it feeds back; both are durable when it returns nil. It is never refused for load.
//
// Errors: ledger.ErrGone, also for an emission that was refused, with which the leaf ends; *abi.Error of CodeTrapped (try again: with the last trap
// allowed the store halts), and what keeps the store from taking anything now.
func (s *Shard) Deliver(ctx context.Context, ref *Ref, d *ledger.Delivery) error {
	hooks := s.hooks.Load()
	started := time.Now()
	if d.Action == nil || !watched(hooks) {
		return s.deliver(ctx, ref, d, started, nil)
	}
	start := observe.SendStart{Key: ref.Key, Cause: observe.CauseFeedback, Trace: d.Leaf.Trace, Start: started}
	if d.Cause == journal.CauseTimer {
		start.Cause = observe.CauseTimer
	}
	ctx, e := s.begin(ctx, hooks, start, d.Action)
	err := s.deliver(ctx, ref, d, started, e)
	s.ended(ctx, hooks, e, err)
	return err
}

func (s *Shard) deliver(ctx context.Context, ref *Ref, d *ledger.Delivery, started time.Time, e *observe.Sent) error {
	st, wait, err := s.queue(ctx, ref, math.MaxInt)
	if err != nil {
		return err
	}
	s.started, s.refusal = started, nil
	s.fuel, s.took, s.action = 0, 0, -1
	if e != nil {
		s.span = ctx
	}
	before := st.reduced.Load()
	pos, err := s.take(st, d)
	accepted := st.reduced.Load() > before
	if d.Action != nil && !errors.Is(err, ledger.ErrGone) {
		st.count(accepted, s.took)
	}
	if e != nil {
		s.note(e, wait)
		e.CorrelationID = d.Leaf.Correlation
		if accepted {
			e.Seq, e.Revision = s.in.Seq, s.active.revision.ID
		} else if s.refusal != nil {
			e.Err, e.Code = s.refusal, string(codeOf(s.refusal))
		}
	}
	if err == nil && d.Outcome == effects.Open && !st.ledger.Holds(d.Leaf.Ref, d.Leaf.Drive) {
		err = ledger.ErrGone
	}
	s.leave(st)
	return s.answer(ctx, pos, err)
}

// take settles a leaf. What keeps the store from reducing what it feeds back, though the leaf is settled, is in s.refusal.
func (s *Shard) take(st *store, d *ledger.Delivery) (journal.Position, error) {
	if !st.exists || st.life != d.Leaf.Life || !st.ledger.Holds(d.Leaf.Ref, d.Leaf.Drive) {
		return max(st.pos, s.late(st, d)), ledger.ErrGone // once that is durable: what ended the leaf may yet be taken back
	}
	if s.refusing != nil {
		return 0, s.refusing
	}
	letter := d.Letter
	if letter != nil {
		letter.Fed = false // of an earlier try, which the journal refused
	}
	if d.Action == nil {
		return s.finish(st, d, letter), nil
	}
	if err := st.halted(); err != nil {
		return 0, err
	}
	g := s.active
	typ, err := abi.TypeOf(d.Action)
	action, known := uint16(0), false
	if err == nil {
		action, known = s.find(typ)
	}
	switch {
	case !known:
		s.refusal = refuse(abi.CodeUnknownAction, "module %s has no action %q", s.config.Module.Module, clip(typ))
		return s.finish(st, d, refused(d, ledger.ReasonUnknownAction)), nil
	case uint64(len(d.Action)) > g.revision.Limits.ActionBytes:
		s.refusal = refuse(abi.CodeTooLarge, "an action of %d bytes, the limit is %d", len(d.Action), g.revision.Limits.ActionBytes)
		return s.finish(st, d, refused(d, ledger.ReasonFeedbackRejected)), nil
	case d.Leaf.Depth >= uint32(s.config.CascadeLimit):
		s.refusal = refuse(abi.CodeCascade, "%d actions caused one another", d.Leaf.Depth)
		return s.finish(st, d, refused(d, ledger.ReasonCascade)), nil
	}
	s.origins = origins{
		correlation: CorrelationID{text: d.Leaf.Correlation}, causation: d.Leaf.Key(), drive: d.Leaf.Drive, depth: d.Leaf.Depth + 1, trace: d.Leaf.Trace,
	}
	if d.Cause == journal.CauseTimer && d.Leaf.Effect.After >= calm {
		s.origins.depth = 0
	}
	if err := s.try(st, g, action, d.Action); err != nil {
		return s.unfed(st, d, err)
	}
	if letter != nil {
		letter.Fed = true
	}
	s.extra.Reset()
	m := &moved{store: st, moves: ledger.Moves{Now: s.in.Now}}
	s.book(st, d, letter, &m.moves)
	return s.accept(st, g, d.Cause, m), nil
}

// late removes what a dispatch that was made after its leaf was gone has left behind. What this misses the next start finds.
func (s *Shard) late(st *store, d *ledger.Delivery) journal.Position {
	s.extra.Reset()
	if d.Outcome != effects.Done || s.refusing != nil || !st.ledger.Late(&s.extra, d.Leaf) {
		return 0
	}
	return s.committer.Enqueue(journal.Step{Life: d.Leaf.Life, Extra: &s.extra})
}

// book enters what became of a leaf into the ledger.
func (s *Shard) book(st *store, d *ledger.Delivery, letter *journal.DeadLetter, moves *ledger.Moves) {
	lost := false // the module has as many letters as it may
	if letter != nil {
		letter.Key, letter.Time, letter.Drive = st.key, time.Now().UnixNano(), d.Leaf.Drive
		letter.Correlation, letter.Trace = d.Leaf.Correlation, d.Leaf.Trace
		letter.Effect = d.Leaf.Effect.Append(nil)
		letter.Action, letter.Attempts = d.Action, d.Attempts
		kept := s.config.Letters == nil || s.config.Letters.Load() < int64(s.config.MaxLetters)
		s.bury(d, letter, kept)
		if kept {
			moves.Letters++
			journal.PutLetter(&s.extra, s.config.Module, journal.LetterID{Life: st.life, Seq: d.Leaf.Seq, Index: d.Leaf.Index}, letter)
		} else {
			lost = true
		}
	}
	if d.Outcome == effects.Open && letter == nil {
		st.ledger.Emit(&s.extra, d.Leaf.Ref, d.Token)
		return
	}
	outcome := d.Outcome
	if outcome == effects.Open { // an emission that was refused ends the leaf: what comes after it would not be understood
		outcome = effects.Dead
	}
	st.ledger.Settle(&s.extra, moves, d.Leaf.Ref, outcome, letter != nil && !lost)
}

// finish settles a leaf without an action.
func (s *Shard) finish(st *store, d *ledger.Delivery, letter *journal.DeadLetter) journal.Position {
	s.extra.Reset()
	m := &moved{store: st, moves: ledger.Moves{Now: max(time.Now().UnixNano(), st.now)}}
	s.book(st, d, letter, &m.moves)
	st.pos = s.committer.Enqueue(journal.Step{Life: st.life, Extra: &s.extra, Owner: s.owner(m, false)})
	return st.pos
}

// refused is the letter of a leaf whose feedback was not taken.
func refused(d *ledger.Delivery, reason string) *journal.DeadLetter {
	if d.Letter != nil {
		return d.Letter // what was wrong before is the reason, and the letter holds the action
	}
	return &journal.DeadLetter{Reason: reason}
}

// unfed deals with feedback that the reducer, or the host's checks, did not take.
func (s *Shard) unfed(st *store, d *ledger.Delivery, err error) (journal.Position, error) {
	var e *abi.Error
	if !errors.As(err, &e) {
		return st.pos, err
	}
	s.refusal = err
	switch e.Code {
	case abi.CodeRejected, abi.CodeBadAction, abi.CodeTooLarge, abi.CodeInvalidEffect, abi.CodeUndeclaredEffect, abi.CodeOverloaded:
		d.Attempts = append(d.Attempts, journal.Attempt{Time: time.Now().UnixNano(), Error: e.Error()})
		return s.finish(st, d, refused(d, ledger.ReasonFeedbackRejected)), nil
	case abi.CodeTrapped:
		d.Attempts = append(d.Attempts, journal.Attempt{Time: time.Now().UnixNano(), Error: e.Error()})
		if st.skipping {
			st.skipping = false
			return s.finish(st, d, refused(d, ledger.ReasonFeedbackTrapped)), nil
		}
		if n := st.ledger.Trapped(d.Leaf.Ref); n >= s.config.TrapLimit {
			_ = s.halt(st, abi.CodeHalted, fmt.Sprintf("the feedback of effect %s trapped %d times: %s", d.Leaf.Key(), n, e.Text))
		}
	}
	return st.pos, err
}

// Dispatch reduces an action that an effect of another store sends, and notes in the same batch that the effect has been done (SEMANTICS E2). It returns the result.
// Errors are *abi.Error.
func (s *Shard) Dispatch(ctx context.Context, d *ledger.Dispatch) ([]byte, error) {
	hooks := s.hooks.Load()
	started := time.Now()
	if !watched(hooks) {
		return s.dispatch(ctx, d, started, nil)
	}
	start := observe.SendStart{Key: d.Store.Key, Cause: observe.CauseDispatch, Trace: d.From.Trace, Start: started}
	ctx, e := s.begin(ctx, hooks, start, d.Action)
	result, err := s.dispatch(ctx, d, started, e)
	s.ended(ctx, hooks, e, err)
	return result, err
}

func (s *Shard) dispatch(ctx context.Context, d *ledger.Dispatch, started time.Time, e *observe.Sent) ([]byte, error) {
	st, wait, err := s.queue(ctx, &Ref{Key: d.Store.Key}, math.MaxInt)
	if err != nil {
		return nil, err
	}
	s.started = started
	s.fuel, s.took, s.action = 0, 0, -1
	if e != nil {
		s.span = ctx
	}
	result, pos, err := s.dispatched(st, d)
	st.count(err == nil, s.took)
	if e != nil {
		s.note(e, wait)
		e.CorrelationID = d.From.Correlation
		if err == nil {
			e.Seq, e.Revision = s.in.Seq, s.active.revision.ID
		}
	}
	s.leave(st)
	return result, s.answer(ctx, pos, err)
}

func (s *Shard) dispatched(st *store, d *ledger.Dispatch) ([]byte, journal.Position, error) {
	if s.refusing != nil {
		return nil, 0, s.refusing
	}
	typ, err := abi.TypeOf(d.Action)
	if err != nil {
		return nil, st.pos, &abi.Error{Code: abi.CodeMalformed, Text: "the action is not a msgpack map with a type: " + err.Error(), Err: err}
	}
	g := s.active
	action, known := s.find(typ)
	switch {
	case !known:
		return nil, st.pos, refuse(abi.CodeUnknownAction, "module %s has no action %q", s.config.Module.Module, clip(typ))
	case uint64(len(d.Action)) > g.revision.Limits.ActionBytes:
		return nil, st.pos, refuse(abi.CodeTooLarge, "an action of %d bytes, the limit is %d", len(d.Action), g.revision.Limits.ActionBytes)
	case d.From.Depth >= uint32(s.config.CascadeLimit):
		return nil, st.pos, refuse(abi.CodeCascade, "%d actions caused one another", d.From.Depth)
	}
	if err := st.halted(); err != nil {
		return nil, st.pos, err
	}
	if err := s.trapping(st); err != nil {
		return nil, st.pos, err
	}
	s.origins = origins{
		correlation: CorrelationID{text: d.From.Correlation}, causation: d.From.Key(), drive: d.From.Drive, depth: d.From.Depth + 1, trace: d.From.Trace,
	}
	if err := s.try(st, g, action, d.Action); err != nil {
		return nil, st.pos, err
	}
	s.extra.Reset()
	result := pack.AppendMapLen(nil, 2)
	result = pack.AppendString(pack.AppendString(result, "address"), s.id(st.key).String())
	result = pack.AppendUint(pack.AppendString(result, "seq"), s.in.Seq)
	from := journal.ModuleID{Tenant: d.From.Store.Tenant, Module: d.From.Store.Module}
	journal.PutDispatched(&s.extra, from, d.From.Life, d.From.Seq, d.From.Index, result)
	return result, s.accept(st, g, journal.CauseDispatch, nil), nil
}
