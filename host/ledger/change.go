package ledger

import (
	"math"
	"slices"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/journal"
)

// Add takes in what an accepted action described.
//
// REQUIRES: Check finds nothing; tree is what effect.Tree says and has leaves.
func (l *Ledger) Add(b *journal.Batch, m *Moves, seq uint64, effect journal.Effect, tree []abi.Effect) {
	e := &entry{seq: seq, effect: effect, tree: tree}
	e.leaves = e.first[:0]
	for range effects.Leaves(tree) {
		e.leaves = append(e.leaves, journal.Standing{Drive: 1})
	}
	m.open(Opened{seq, effect.Correlation})
	index := 0
	var mine map[string]int // ids of the leaves so far
	cancel := func(id string) {
		if i, used := mine[id]; used {
			e.leaves[i].Outcome = uint8(effects.Cancelled)
			delete(mine, id)
		} else {
			l.cancelAll(b, m, id)
		}
	}
	_ = check(tree, false, func(leaf *abi.Effect, sequential bool) error {
		switch id := idOf(leaf); {
		case id != "":
			cancel(id) // a delay's, as Check has seen to
			if mine == nil {
				mine = make(map[string]int)
			}
			mine[id] = index
		case leaf.Kind == abi.KindCancel && !sequential:
			cancel(leaf.ID)
			e.leaves[index].Ran = true
			if leaf.OK == "" {
				e.leaves[index].Outcome = uint8(effects.Done)
			} else {
				m.start(l.leaf(e, effects.Leaf{Index: index, Effect: leaf}))
			}
		}
		index++
		return nil
	})
	l.entries[seq] = e // and not before: what was cancelled may have given its id to another
	e.eachWaiting(func(leaf effects.Leaf) { l.occupy(e, leaf) })
	l.step(b, m, e)
	if !l.forget(b, e) {
		journal.PutEffect(b, l.module(), l.life, seq, &e.effect, e.leaves)
		e.put = true
	}
}

// Settle ends a leaf: its feedback was reduced or refused, or there was none. letter says that it leaves a dead letter.
//
// REQUIRES: Holds.
func (l *Ledger) Settle(b *journal.Batch, m *Moves, ref Ref, outcome effects.Outcome, letter bool) {
	e := l.entries[ref.Seq]
	l.undispatch(b, e, ref.Index)
	l.end(e, ref.Index, outcome)
	leaf := &e.leaves[ref.Index]
	leaf.Letter, leaf.Again = letter, nil
	if !letter { // else another drive goes on after what was emitted
		leaf.Token = nil
	}
	if outcome == effects.Done {
		l.overtake(b, ref)
	}
	l.leave(e, ref.Index)
	l.advance(b, m, e)
}

// Late removes the note that a dispatch was made which its leaf did not wait for: it was cancelled meanwhile, or its store has ended. It reports whether there is anything
// to remove. The ledger may be nil, or that of another life.
func (l *Ledger) Late(b *journal.Batch, leaf *Leaf) bool {
	if e := l.entry(leaf.Ref); leaf.Effect.Kind != abi.KindDispatch || e != nil && l.life == leaf.Life && e.open(leaf.Index) {
		return false // in another drive it will be dispatched again, and noted
	}
	journal.DeleteDispatched(b, journal.ModuleID{Tenant: leaf.Store.Tenant, Module: leaf.Store.Module}, leaf.Life, leaf.Seq, leaf.Index)
	return true
}

// undispatch removes the note that a dispatch was made, if there is one.
func (l *Ledger) undispatch(b *journal.Batch, e *entry, index int) {
	if l.effect(Ref{e.seq, index}).Kind == abi.KindDispatch {
		journal.DeleteDispatched(b, l.module(), l.life, e.seq, index)
		delete(e.dispatched, index)
	}
}

// Emit notes that a leaf has fed back one action more.
//
// REQUIRES: Holds.
func (l *Ledger) Emit(b *journal.Batch, ref Ref, token []byte) {
	e := l.entries[ref.Seq]
	e.leaves[ref.Index].Emitted++
	e.leaves[ref.Index].Token = token
	l.write(b, e)
}

// Redrive opens another drive of a leaf that has a letter, and reports whether there is one. What it kept from running has its turn when it is done. If
// something that comes after it in a sequential has run already, nothing there waits for it. With again a leaf that was done, all but for its
// feedback, is not done once more: that is what is fed back.
func (l *Ledger) Redrive(b *journal.Batch, m *Moves, ref Ref, again []byte) bool {
	e := l.entry(ref)
	if e == nil || !e.leaves[ref.Index].Letter {
		return false
	}
	if e.done {
		e.done = false
		m.open(Opened{e.seq, e.effect.Correlation})
	}
	before := e.waiting()
	leaf := &e.leaves[ref.Index]
	if e.outcome(ref.Index) != effects.Done {
		again = nil
	}
	next := journal.Standing{Drive: leaf.Drive + 1, Emitted: leaf.Emitted, Token: leaf.Token, Again: again}
	if effects.LaterRan(e.tree, ref.Index, e.ran) {
		next.Apart, next.Outcome = true, leaf.Outcome
	}
	*leaf = next
	l.unleave(ref)
	delete(e.traps, ref.Index)
	for _, leaf := range e.waiting() {
		if !holds(before, leaf) {
			l.occupy(e, leaf)
		}
	}
	if next.Apart {
		l.begin(b, m, e, effects.Leaf{Index: ref.Index, Effect: l.effect(ref)})
	}
	l.advance(b, m, e)
	return true
}

// Discard forgets the letter of a leaf, and reports whether there was one.
func (l *Ledger) Discard(b *journal.Batch, ref Ref) bool {
	e := l.entry(ref)
	if e == nil || !e.leaves[ref.Index].Letter {
		return false
	}
	e.leaves[ref.Index].Letter, e.leaves[ref.Index].Overtaken = false, false
	l.unleave(ref)
	l.write(b, e)
	return true
}

// Drop is what remains to be stopped when the store ends.
func (l *Ledger) Drop(b *journal.Batch) *Moves {
	m := new(Moves)
	if l == nil {
		return m
	}
	for _, seq := range l.seqs() {
		e := l.entries[seq]
		for index, leaf := range e.leaves {
			if leaf.Ran && e.open(index) {
				m.Stop = append(m.Stop, Ref{seq, index})
			}
			if leaf.Letter {
				journal.DeleteLetter(b, l.module(), journal.LetterID{Life: l.life, Seq: seq, Index: index})
				m.Letters--
			}
			if l.effect(Ref{seq, index}).Kind == abi.KindDispatch {
				journal.DeleteDispatched(b, l.module(), l.life, seq, index)
			}
		}
		if !e.done {
			m.done(seq)
		}
		journal.DeleteEffect(b, l.module(), l.life, seq, e.moved)
	}
	return m
}

// end finishes an open leaf, and with it those that it keeps from running.
func (l *Ledger) end(e *entry, index int, outcome effects.Outcome) {
	leaf := &e.leaves[index]
	if outcome == effects.Done && !leaf.Apart && !e.stopped() { // keeps nothing from running; else it may be what a stopped parallel still waited for
		leaf.Outcome, leaf.Due = uint8(outcome), 0
		l.vacate(e, effects.Leaf{Index: index, Effect: l.effect(Ref{e.seq, index})})
		return
	}
	before := e.waiting()
	if !leaf.Apart {
		leaf.Outcome = uint8(outcome)
	}
	leaf.Apart, leaf.Due = false, 0
	after := e.waiting()
	for _, leaf := range before {
		if !holds(after, leaf) {
			l.vacate(e, leaf)
		}
	}
}

// cancelAll ends the leaf that has an id: all, if several share it.
func (l *Ledger) cancelAll(b *journal.Batch, m *Moves, id string) {
	for ref, used := l.ids[id]; used; ref, used = l.ids[id] {
		l.cancel(b, m, ref)
	}
}

// cancel ends an open leaf that has an id.
func (l *Ledger) cancel(b *journal.Batch, m *Moves, ref Ref) {
	e := l.entries[ref.Seq]
	if i := slices.IndexFunc(m.Start, func(l *Leaf) bool { return l.Ref == ref }); i >= 0 { // begun by the same step
		m.Start = slices.Delete(m.Start, i, i+1)
	} else if e.ran(ref.Index) {
		m.Stop = append(m.Stop, ref)
	}
	l.undispatch(b, e, ref.Index)
	l.end(e, ref.Index, effects.Cancelled)
	l.advance(b, m, e)
}

// advance begins the leaves whose turn has come, and writes how the effect stands.
func (l *Ledger) advance(b *journal.Batch, m *Moves, e *entry) {
	l.step(b, m, e)
	l.write(b, e)
}

// step begins the leaves whose turn has come.
func (l *Ledger) step(b *journal.Batch, m *Moves, e *entry) {
	turn := l.turn
	l.turn = nil // beginning a cancel comes here again
	for changed := true; changed; {
		changed = false
		turn = effects.AppendRunnable(turn[:0], e.tree, e.outcome)
		for _, leaf := range turn {
			if !e.ran(leaf.Index) {
				l.begin(b, m, e, leaf)
				changed = changed || leaf.Effect.Kind == abi.KindCancel // nothing else changes whose turn it is
			}
		}
	}
	clear(turn)
	l.turn = turn
	if !e.done && e.finished() {
		e.done = true
		m.done(e.seq)
	}
}

// begin starts a leaf whose turn it is. A cancel is done by that, unless it has something to feed back.
func (l *Ledger) begin(b *journal.Batch, m *Moves, e *entry, leaf effects.Leaf) {
	if e.ran(leaf.Index) || !e.open(leaf.Index) { // what was begun before it has cancelled it
		return
	}
	standing := &e.leaves[leaf.Index]
	standing.Ran = true
	switch leaf.Effect.Kind {
	case abi.KindDelay:
		standing.Due = m.Now + min(int64(leaf.Effect.After), math.MaxInt64-m.Now)
	case abi.KindCancel:
		l.cancelAll(b, m, leaf.Effect.ID)
		if leaf.Effect.OK == "" {
			l.end(e, leaf.Index, effects.Done)
			return
		}
	}
	m.start(l.leaf(e, leaf))
}

// write makes durable how an effect stands, or forgets it. One that is just being added is written by Add.
func (l *Ledger) write(b *journal.Batch, e *entry) {
	if e.put && !l.forget(b, e) {
		journal.PutStandings(b, l.module(), l.life, e.seq, e.leaves)
		e.moved = true
	}
}

// forget removes an effect of which nothing is left to do or to tell, and reports whether that was so.
func (l *Ledger) forget(b *journal.Batch, e *entry) bool {
	if !e.done || e.lettered() {
		return false
	}
	if e.put {
		journal.DeleteEffect(b, l.module(), l.life, e.seq, e.moved)
	}
	for index := range e.dispatched { // of leaves that were cancelled before they were noted
		journal.DeleteDispatched(b, l.module(), l.life, e.seq, index)
	}
	delete(l.entries, e.seq)
	return true
}
