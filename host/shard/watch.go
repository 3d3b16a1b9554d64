package shard

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/observe"
)

// watched reports whether anybody listens to sends.
func watched(hooks *observe.ModuleHooks) bool { return hooks.Sent != nil || hooks.SendStarted != nil }

// begin tells hooks that an action is on its way. It goes on with the context, and the event, that this returns, until ended.
func (s *Shard) begin(ctx context.Context, hooks *observe.ModuleHooks, start observe.SendStart, action []byte) (context.Context, *observe.Sent) {
	e := events.Get().(*observe.Sent)
	*e = observe.Sent{Key: start.Key, Shard: s.index, Action: -1, Cause: start.Cause, Start: start.Start}
	if hooks.SendStarted != nil {
		told := start                // allocated for those who listen, and nobody else
		typ, _ := abi.TypeOf(action) // what is wrong with it is found again, and said, in its place
		told.Action, told.ActionType = -1, string(typ)
		e.ActionType = told.ActionType
		ctx = hooks.SendStarted(ctx, &told)
	}
	return ctx, e
}

// events are reused: an observer sees one only during its call.
var events = sync.Pool{New: func() any { return new(observe.Sent) }}

// note fills in what is known of the action at hand when it was reduced or refused, and forgets its context.
//
// REQUIRES: mu is held.
func (s *Shard) note(e *observe.Sent, wait time.Duration) {
	s.span = nil
	e.LockWait, e.Reduce, e.Fuel = wait, s.took, int64(s.fuel)
	if e.Action = s.action; e.Action >= 0 {
		e.ActionType = s.active.revision.Manifest.Actions[e.Action].Type
	}
}

// ended tells hooks that an action was answered.
func (s *Shard) ended(ctx context.Context, hooks *observe.ModuleHooks, e *observe.Sent, err error) {
	e.Total = time.Since(e.Start)
	if err != nil {
		e.Err, e.Code, e.Seq, e.Revision = err, string(codeOf(err)), 0, ""
	} else if e.Code == "" {
		e.Commit = e.Total - e.LockWait - e.Reduce
	}
	if hooks.Sent != nil {
		hooks.Sent(ctx, e)
	}
	events.Put(e)
}

func codeOf(err error) abi.Code {
	if e, ok := err.(*abi.Error); ok {
		return e.Code
	}
	if errors.Is(err, ledger.ErrGone) {
		return abi.CodeCanceled
	}
	return abi.CodeInternal
}

// trace is the traceparent of the action at hand; when nobody made a span of it, that of what caused it.
//
// REQUIRES: mu is held.
func (s *Shard) trace() string {
	if s.span != nil && s.config.Traceparent != nil {
		if trace := s.config.Traceparent(s.span); trace != "" {
			return trace
		}
	}
	return s.origins.trace
}

// LeafOf describes a leaf to observers, whose kinds are those of the active revision's manifest.
func (r *Revision) LeafOf(l *ledger.Leaf) observe.Leaf {
	e := l.Effect
	return observe.Leaf{
		Key: l.Store.Key, Seq: l.Seq, Index: l.Index, Kind: r.kind(e.Kind), KindName: string(e.Kind), Target: e.Target, Drive: int(l.Drive), Trace: l.Trace,
	}
}

// kind is the index of a kind of effect in the manifest, -1 when that does not name it.
func (r *Revision) kind(k abi.Kind) int {
	for i := range r.Manifest.Effects {
		if r.Manifest.Effects[i].Kind == k {
			return i
		}
	}
	return -1
}

// bury keeps, for when it is durable, what observers are to hear of a dead letter.
func (s *Shard) bury(d *ledger.Delivery, letter *journal.DeadLetter, kept bool) {
	s.buried = nil
	if s.hooks.Load().Buried == nil {
		return
	}
	e := &observe.Buried{Leaf: s.active.revision.LeafOf(d.Leaf), Reason: letter.Reason, Fed: letter.Fed, Lost: !kept}
	if n := len(letter.Attempts); n > 0 {
		e.Err = letter.Attempts[n-1].Error
	}
	s.buried = e
}

// owner makes m the owner of a step, which has a record or not, and takes along the dead letter that it leaves.
func (s *Shard) owner(m *moved, record bool) *moved {
	m.record, m.buried = record, s.buried
	s.buried = nil
	return m
}

// redriven tells hooks that a dead letter is gone; r is the active revision.
func (s *Shard) redriven(r *Revision, id journal.LetterID, letter *journal.DeadLetter, discarded bool) {
	h := s.hooks.Load().Redriven
	if h == nil {
		return
	}
	e := &observe.Redriven{
		Leaf:   observe.Leaf{Key: letter.Key, Seq: id.Seq, Index: id.Index, Kind: -1, Drive: int(letter.Drive), Trace: letter.Trace},
		Reason: letter.Reason, Discarded: discarded,
	}
	if leaf, err := abi.DecodeEffect(letter.Effect); err == nil {
		e.Kind, e.KindName, e.Target = r.kind(leaf.Kind), string(leaf.Kind), leaf.Target
	}
	h(e)
}

// Performed counts an attempt at an effect of a store, if that is in memory.
func (s *Shard) Performed(key string, took time.Duration, failed bool) {
	s.dirMu.RLock()
	st := s.dir[key]
	s.dirMu.RUnlock()
	if st == nil {
		return
	}
	st.attempts.Add(1)
	st.attempting.Add(int64(took))
	if failed {
		st.failures.Add(1)
	}
}
