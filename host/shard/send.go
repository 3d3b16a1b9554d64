package shard

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/observe"
)

// Command is an action from outside.
type Command struct {
	Body        []byte // msgpack map with a type; not kept
	Correlation string // empty: a new one is made
	Principal   string // who sends it; may be empty
	Key         string // idempotency key; empty: none
}

// Receipt says that an action was accepted and is durable.
type Receipt struct {
	Seq         uint64
	Revision    string
	Life        journal.Incarnation
	Correlation CorrelationID
	Replayed    bool // it is that of an earlier action with the same idempotency key

	pos journal.Position // of the record
}

// CorrelationID is shared by all that one outside action caused: the caller's text, or what a shard made: its origin, and a number in hexadecimal.
type CorrelationID struct {
	text   string // the caller's; or the origin
	number uint64 // 0 with the caller's
}

// String is the id as reducers see it.
func (c CorrelationID) String() string {
	if c.number == 0 {
		return c.text
	}
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], c.number)
	return string(hex.AppendEncode(append(make([]byte, 0, 32), c.text...), number[:]))
}

// append appends the id as a msgpack str.
func (c *CorrelationID) append(b []byte) []byte {
	if c.number == 0 {
		return pack.AppendString(b, c.text)
	}
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], c.number)
	return hex.AppendEncode(append(append(b, 0xd9, 32), c.text...), number[:])
}

// correlate makes the id of an action whose caller gave none: where this shard began, at random, and a number. It is unique and nothing more, so that
// it need not be as random as a seed.
//
// REQUIRES: mu is held.
func (s *Shard) correlate(text string) CorrelationID {
	if text != "" {
		return CorrelationID{text: text}
	}
	s.correlated++
	return CorrelationID{text: s.origin, number: s.correlated}
}

// Send reduces a command and returns when its outcome is durable. Errors are *abi.Error. When ctx ends while the journal works, the error is
// CodeCanceled and the action may have been accepted.
func (s *Shard) Send(ctx context.Context, ref *Ref, c Command) (Receipt, error) {
	hooks := s.hooks.Load()
	started := time.Now()
	if !watched(hooks) {
		return s.send(ctx, ref, &c, started, nil)
	}
	ctx, e := s.begin(ctx, hooks, observe.SendStart{Key: ref.Key, Cause: observe.CauseCommand, Start: started}, c.Body)
	receipt, err := s.send(ctx, ref, &c, started, e)
	e.Seq, e.Revision, e.Replayed = receipt.Seq, receipt.Revision, receipt.Replayed
	if err == nil && hooks.SendStarted != nil {
		e.CorrelationID = receipt.Correlation.String()
	}
	s.ended(ctx, hooks, e, err)
	return receipt, err
}

func (s *Shard) send(ctx context.Context, ref *Ref, c *Command, started time.Time, e *observe.Sent) (Receipt, error) {
	typ, err := abi.TypeOf(c.Body)
	if err != nil {
		return Receipt{}, &abi.Error{Code: abi.CodeMalformed, Text: "the action is not a msgpack map with a type: " + err.Error(), Err: err}
	}
	st, wait, err := s.queue(ctx, ref, s.config.QueueDepth)
	if err != nil {
		return Receipt{}, err
	}
	if c.Key != "" {
		var receipt Receipt
		if st, receipt, err = s.once(ctx, st, ref, c); st == nil {
			return receipt, err
		}
	}
	if st.cell.Seq()-st.durable.Load() >= uint64(s.config.QueueDepth) { // at once: waiting for the journal is what there is too much of
		s.leave(st)
		return Receipt{}, refuse(abi.CodeOverloaded, "too many actions of the store wait for the journal")
	}
	s.started = started
	if e != nil {
		s.span = ctx
	}
	receipt, err := s.step(st, c, typ)
	pos := receipt.pos
	if err != nil {
		pos = st.pos // also a refusal waits: it was computed on a state that must not be taken back
	}
	st.count(err == nil, s.took)
	if e != nil {
		s.note(e, wait)
	}
	s.leave(st)
	if lost := s.committer.Wait(ctx, pos); lost != nil {
		return Receipt{}, commitError(lost)
	}
	return receipt, err
}

func (st *store) count(accepted bool, spent time.Duration) {
	if accepted {
		st.counts.Accepted++
	} else {
		st.counts.Refused++
	}
	st.counts.Reducing += spent
}

// find looks up the type of the action at hand, of which nothing else is known yet.
func (s *Shard) find(typ []byte) (action uint16, known bool) {
	s.fuel, s.took, s.action = 0, 0, -1
	if action, known = s.active.revision.Action(typ); known {
		s.action = int(action)
	}
	return action, known
}

// step takes one command from its type to its record.
//
// REQUIRES: mu is held and st is ready.
func (s *Shard) step(st *store, c *Command, typ []byte) (Receipt, error) {
	g := s.active
	action, known := s.find(typ)
	switch {
	case !known:
		return Receipt{}, refuse(abi.CodeUnknownAction, "module %s has no action %q", s.config.Module.Module, clip(typ))
	case g.revision.Manifest.Actions[action].Kind != abi.Command:
		return Receipt{}, refuse(abi.CodeInternalAction, "%s is not a command: it comes from effects only", typ)
	case uint64(len(c.Body)) > g.revision.Limits.ActionBytes:
		return Receipt{}, refuse(abi.CodeTooLarge, "an action of %d bytes, the limit is %d", len(c.Body), g.revision.Limits.ActionBytes)
	case len(c.Correlation)+len(c.Principal) > maxIdentity:
		return Receipt{}, refuse(abi.CodeTooLarge, "correlation id and principal have %d bytes, the limit is %d", len(c.Correlation)+len(c.Principal), maxIdentity)
	}
	if full := s.full(); full != nil {
		return Receipt{}, full
	}
	if s.leaving != nil {
		return Receipt{}, s.leaving
	}
	if err := st.halted(); err != nil {
		return Receipt{}, err
	}
	if err := s.trapping(st); err != nil {
		return Receipt{}, err
	}

	s.origins = origins{correlation: s.correlate(c.Correlation), principal: c.Principal}
	if err := s.try(st, g, action, c.Body); err != nil {
		return Receipt{}, err
	}
	s.extra.Reset()
	if c.Key != "" {
		s.remember(st, c, g.revision.ID)
	}
	r := Receipt{Seq: s.in.Seq, Revision: g.revision.ID, Life: st.life, Correlation: s.origins.correlation}
	r.pos = s.accept(st, g, journal.CauseCommand, nil)
	if c.Key != "" {
		st.keyed.accepted(c.Key, keyedAction{r, hashOf(c.Body)})
	}
	return r, nil
}

// full is why there is no room for commands; nil when there is.
func (s *Shard) full() error {
	if s.config.Full == nil {
		return nil
	}
	if why := s.config.Full.Load(); why != nil {
		return why
	}
	return nil
}

// origins are where an action comes from.
type origins struct {
	correlation CorrelationID
	causation   string // key of the leaf, empty for a command
	drive       uint32
	principal   string
	depth       uint32 // actions that caused it
	trace       string // of the action that caused it
}

// try reduces an action, whose origins are in s.origins, on the state of st. Errors are as of reduce.
//
// REQUIRES: mu is held.
func (s *Shard) try(st *store, g *generation, action uint16, body []byte) error {
	o := &s.origins
	s.meta = o.correlation.append(append(s.meta[:0], st.meta...))
	s.meta = pack.AppendString(s.meta, o.causation)
	s.meta = pack.AppendUint(s.meta, uint64(o.drive))
	s.meta = pack.AppendString(s.meta, o.principal)

	in := &s.in
	in.Action, in.Seq = action, st.cell.Seq()+1
	in.Body, in.Meta = body, s.meta
	binary.LittleEndian.PutUint64(in.Seed[:8], s.entropy.Uint64())
	binary.LittleEndian.PutUint64(in.Seed[8:], s.entropy.Uint64())
	return s.reduce(st, g)
}

// maxIdentity bounds what a caller says of itself, so that a meta stays within its limit.
const maxIdentity = 2 << 10

// accept makes the action that was just reduced the next of its store, and returns the position of its record. What is enqueued behind that, a checkpoint or a
// halt, may fail without it. What s.extra holds goes with the record; m, which may be nil, has what follows from that.
//
// REQUIRES: mu is held; s.in, s.out, s.tree and s.origins are of that action.
func (s *Shard) accept(st *store, g *generation, cause journal.Cause, m *moved) journal.Position {
	in := &s.in
	record := journal.Record{
		Kind: journal.KindAction, Cause: cause, Schema: g.revision.Manifest.Schema, Life: st.life, Seq: in.Seq, Time: in.Now, Seed: in.Seed,
		Revision: g.revision.Number, Fuel: s.fuel, ActionIndex: in.Action, Action: in.Body, Meta: in.Meta, Effects: s.out.Body,
	}
	if st.exists && st.revision != g.revision.Number {
		record.Kind, record.State = journal.KindAdopt, st.cell.Base().State
	}
	step := journal.Step{Life: st.life, Place: &st.place, Seq: in.Seq, Record: record.Encode(), Owner: st}
	if !st.exists {
		st.become(journal.Store{Life: st.life, Created: in.Now}, true)
		journal.PutStore(&s.extra, s.id(st.key), &st.row)
	} else if st.row.Stopped() { // a deploy has ended that
		s.change(&s.extra, st, goesOn(st.row))
	}
	if s.tree != nil {
		if m == nil {
			m = &moved{store: st, moves: ledger.Moves{Now: in.Now}}
		}
		s.describe(st, &m.moves)
	}
	if !s.extra.Empty() {
		step.Extra = &s.extra
	}
	if m != nil && !m.moves.Empty() {
		step.Owner = s.owner(m, true)
	}
	st.cell.Accept(step.Record)
	st.revision, st.schema, st.now = g.revision.Number, record.Schema, in.Now
	st.since += len(step.Record)
	st.fuel += record.Fuel
	st.reduced.Store(in.Seq)
	pos := s.committer.Enqueue(step)
	st.pos = pos
	s.settle(st, g)
	return pos
}
