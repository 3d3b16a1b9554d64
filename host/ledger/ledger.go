package ledger

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/journal"
)

// MaxOpen is how many leaves of one store may be open before its commands may describe no more. What effects feed back has as many again for itself, so that a
// store that is full drains by itself (SEMANTICS S10).
const (
	MaxOpen = 10_000
	Reserve = 10_000
)

// Ref names a leaf of a store.
type Ref struct {
	Seq   uint64
	Index int
}

// Leaf is a leaf to be done, with all that is needed for it.
type Leaf struct {
	Ref
	Store       journal.StoreID
	Life        journal.Incarnation
	Effect      *abi.Effect
	Drive       uint32
	Due         int64 // of a delay, Unix nanoseconds
	Emitted     uint64
	Token       []byte
	Dispatched  []byte // the result of a dispatch that was made already
	Again       []byte // what is fed back instead of doing the leaf
	Depth       uint32
	Correlation string
	Trace       string
}

// Key is the idempotency key of the leaf (SEMANTICS E1).
func (l *Leaf) Key() string { return effects.Key(l.Life, l.Seq, l.Index) }

// Moves are what follows from changes, once they are durable.
type Moves struct {
	Now    int64    // set by the caller: the time of the changes, Unix nanoseconds; a delay that begins counts from it
	Opened []Opened // effects that were described, or are not done any more
	Start  []Leaf
	Stop   []Ref    // cancelled while they may be running
	Done   []uint64 // seqs of effects whose leaves are all finished

	Letters int // dead letters that there are more, or fewer
}

// Opened is an effect that is not finished.
type Opened struct {
	Seq         uint64
	Correlation string
}

// Empty says that nothing follows.
func (m *Moves) Empty() bool {
	return m == nil || len(m.Opened) == 0 && len(m.Start) == 0 && len(m.Stop) == 0 && len(m.Done) == 0 && m.Letters == 0
}

// Ledger is one store's open effects. Its invariants:
//
//	L1  ids holds the id of each open leaf that has one and may still run, and nothing else.
//	L2  open counts the open leaves that may still run.
//	L3  an entry is in entries from its action on until it is done and has no letters; done entries have letters.
type Ledger struct {
	store   journal.StoreID
	life    journal.Incarnation
	entries map[uint64]*entry
	ids     map[string]Ref
	open    int
}

// entry is what one action described.
type entry struct {
	seq        uint64
	effect     journal.Effect
	tree       []abi.Effect
	leaves     []journal.Standing
	dispatched map[int][]byte
	traps      map[int]int // of the feedback of leaves; not durable
	done       bool
	put        bool // its row is written
	moved      bool // a row of its own says how it stands
}

func (e *entry) outcome(index int) effects.Outcome { return effects.Outcome(e.leaves[index].Outcome) }
func (e *entry) ran(index int) bool                { return e.leaves[index].Ran }

func (e *entry) lettered() bool {
	return slices.ContainsFunc(e.leaves, func(l journal.Standing) bool { return l.Letter })
}

// New returns the empty ledger of a store.
func New(store journal.StoreID, life journal.Incarnation) *Ledger {
	return &Ledger{store: store, life: life, entries: make(map[uint64]*entry), ids: make(map[string]Ref)}
}

// Load returns a store's ledger as the journal has it; nil when there is nothing in it.
func Load(r journal.Reader, store journal.StoreID, life journal.Incarnation) (*Ledger, error) {
	var l *Ledger
	for row, err := range journal.EffectsOf(r, journal.ModuleID{Tenant: store.Tenant, Module: store.Module}, life) {
		if err != nil {
			return nil, err
		}
		if l == nil {
			l = New(store, life)
		}
		if err := l.restore(row); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *Ledger) restore(row *journal.EffectRow) error {
	damaged := func(reason string) error {
		return &journal.CorruptError{What: "effect", Life: l.life, Seq: row.Seq, Reason: reason}
	}
	tree, err := abi.DecodeEffects(row.Tree)
	if err != nil {
		return damaged(err.Error())
	}
	e := &entry{seq: row.Seq, effect: row.Effect, tree: tree, leaves: row.Leaves, dispatched: row.Dispatched, put: true, moved: row.Moved}
	n := 0
	for leaf := range effects.Leaves(tree) {
		if leaf.Index >= len(e.leaves) || e.outcome(leaf.Index) > effects.Cancelled {
			return damaged("it does not say how each leaf stands")
		}
		n++
	}
	if n != len(e.leaves) {
		return damaged("it says how leaves stand that it does not have")
	}
	l.entries[e.seq] = e
	e.done = effects.Finished(tree, e.outcome)
	for _, leaf := range e.waiting() {
		l.occupy(e, leaf)
	}
	return nil
}

// waiting are the leaves that are open and may still run.
func (e *entry) waiting() []effects.Leaf {
	skipped := effects.Skipped(e.tree, e.outcome)
	var open []effects.Leaf
	for leaf := range effects.Leaves(e.tree) {
		if e.outcome(leaf.Index) == effects.Open && !slices.ContainsFunc(skipped, func(s effects.Leaf) bool { return s.Index == leaf.Index }) {
			open = append(open, leaf)
		}
	}
	return open
}

func (l *Ledger) occupy(e *entry, leaf effects.Leaf) {
	l.open++
	if leaf.Effect.ID != "" && leaf.Effect.Kind != abi.KindCancel { // a cancel's is that of another
		l.ids[leaf.Effect.ID] = Ref{e.seq, leaf.Index}
	}
}

// vacate undoes occupy for a leaf that is finished or will not run.
func (l *Ledger) vacate(e *entry, leaf effects.Leaf) {
	l.open--
	if id := leaf.Effect.ID; id != "" && l.ids[id] == (Ref{e.seq, leaf.Index}) {
		delete(l.ids, id)
	}
}

// Open is how many leaves are open.
func (l *Ledger) Open() int {
	if l == nil {
		return 0
	}
	return l.open
}

// Letters is how many dead letters the store has.
func (l *Ledger) Letters() int {
	n := 0
	if l != nil {
		for _, e := range l.entries {
			for i := range e.leaves {
				if e.leaves[i].Letter {
					n++
				}
			}
		}
	}
	return n
}

// Empty says that the store has asked for nothing that is not done.
func (l *Ledger) Empty() bool { return l == nil || len(l.entries) == 0 }

// Pending reports whether the effects of an action are not all finished.
func (l *Ledger) Pending(seq uint64) bool {
	if l == nil {
		return false
	}
	e := l.entries[seq]
	return e != nil && !e.done
}

// Holds reports whether a leaf is open in the given drive: not cancelled, finished, redriven or forgotten.
func (l *Ledger) Holds(ref Ref, drive uint32) bool {
	e := l.entry(ref)
	return e != nil && e.outcome(ref.Index) == effects.Open && e.leaves[ref.Index].Drive == drive && e.ran(ref.Index)
}

func (l *Ledger) entry(ref Ref) *entry {
	if l == nil {
		return nil
	}
	if e := l.entries[ref.Seq]; e != nil && ref.Index < len(e.leaves) {
		return e
	}
	return nil
}

// Trapped counts a trap of the reducer on a leaf's feedback, and returns how many there were.
func (l *Ledger) Trapped(ref Ref) int {
	e := l.entry(ref)
	if e.traps == nil {
		e.traps = make(map[int]int)
	}
	e.traps[ref.Index]++
	return e.traps[ref.Index]
}

// Check refuses a tree that the store cannot take: an id in use, more than so many open leaves. Errors are *abi.Error.
func (l *Ledger) Check(tree []abi.Effect, most int) error {
	leaves := 0
	taken := make(map[string]abi.Kind)
	if l != nil {
		for id, ref := range l.ids {
			taken[id] = l.effect(ref).Kind
		}
	}
	err := check(tree, false, func(e *abi.Effect, sequential bool) error {
		leaves++
		if e.Kind == abi.KindCancel {
			if !sequential {
				delete(taken, e.ID)
			}
			return nil
		}
		if e.ID == "" {
			return nil
		}
		if kind, used := taken[e.ID]; used && (e.Kind != abi.KindDelay || kind != abi.KindDelay) {
			return &abi.Error{Code: abi.CodeInvalidEffect, Text: fmt.Sprintf("the id %q is in use", e.ID)}
		}
		taken[e.ID] = e.Kind
		return nil
	})
	if err == nil && l.Open()+leaves > most {
		err = &abi.Error{Code: abi.CodeOverloaded, Text: fmt.Sprintf("the store has %d open effects and may have %d", l.Open(), most)}
	}
	return err
}

// check calls each for the leaves of a tree, in order.
func check(list []abi.Effect, sequential bool, each func(e *abi.Effect, sequential bool) error) error {
	for i := range list {
		e := &list[i]
		var err error
		if e.Kind.Leaf() {
			err = each(e, sequential)
		} else {
			err = check(e.Children, sequential || e.Kind == abi.KindSequential, each)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) effect(ref Ref) *abi.Effect {
	for leaf := range effects.Leaves(l.entries[ref.Seq].tree) {
		if leaf.Index == ref.Index {
			return leaf.Effect
		}
	}
	return nil
}

// Add takes in what an accepted action described.
//
// REQUIRES: Check finds nothing; tree is what effect.Tree says and has leaves.
func (l *Ledger) Add(b *journal.Batch, m *Moves, seq uint64, effect journal.Effect, tree []abi.Effect) {
	e := &entry{seq: seq, effect: effect, tree: tree}
	for range effects.Leaves(tree) {
		e.leaves = append(e.leaves, journal.Standing{Drive: 1})
	}
	l.entries[seq] = e
	m.Opened = append(m.Opened, Opened{seq, effect.Correlation})
	index := 0
	_ = check(tree, false, func(leaf *abi.Effect, sequential bool) error {
		at := effects.Leaf{Index: index, Effect: leaf}
		index++
		if replaced, used := l.ids[leaf.ID]; used && leaf.ID != "" && leaf.Kind != abi.KindCancel {
			l.cancel(b, m, replaced)
		}
		l.occupy(e, at)
		if leaf.Kind == abi.KindCancel && !sequential {
			l.begin(b, m, e, at)
		}
		return nil
	})
	l.step(b, m, e)
	if !l.forget(b, e) {
		journal.PutEffect(b, l.module(), l.life, seq, &e.effect, e.leaves)
		e.put = true
	}
}

func (l *Ledger) module() journal.ModuleID {
	return journal.ModuleID{Tenant: l.store.Tenant, Module: l.store.Module}
}

// Settle ends a leaf: its feedback was reduced or refused, or there was none. letter says that it leaves a dead letter.
//
// REQUIRES: Holds.
func (l *Ledger) Settle(b *journal.Batch, m *Moves, ref Ref, outcome effects.Outcome, letter bool) {
	e := l.entries[ref.Seq]
	if e.dispatched[ref.Index] != nil || l.effect(ref).Kind == abi.KindDispatch {
		journal.DeleteDispatched(b, l.module(), l.life, ref.Seq, ref.Index)
		delete(e.dispatched, ref.Index)
	}
	l.end(e, ref.Index, outcome)
	e.leaves[ref.Index].Letter = letter
	e.leaves[ref.Index].Token = nil
	l.advance(b, m, e)
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

// Redrive opens another drive of a leaf that has a letter, and reports whether there is one. The sequential around it goes on only if nothing in it
// that comes later has run. With again the leaf is not done once more: that is what is fed back.
func (l *Ledger) Redrive(b *journal.Batch, m *Moves, ref Ref, again []byte) bool {
	e := l.entry(ref)
	if e == nil || !e.leaves[ref.Index].Letter {
		return false
	}
	if e.done {
		e.done = false
		m.Opened = append(m.Opened, Opened{e.seq, e.effect.Correlation})
	}
	if effects.LaterRan(e.tree, ref.Index, e.ran) {
		for _, leaf := range effects.Skipped(e.tree, e.outcome) { // they stay where they are
			e.leaves[leaf.Index].Outcome = uint8(effects.Cancelled)
		}
	}
	leaf := &e.leaves[ref.Index]
	*leaf = journal.Standing{Drive: leaf.Drive + 1, Emitted: leaf.Emitted, Again: again}
	delete(e.traps, ref.Index)
	l.occupy(e, effects.Leaf{Index: ref.Index, Effect: l.effect(ref)})
	l.advance(b, m, e)
	return true
}

// Discard forgets the letter of a leaf, and reports whether there was one.
func (l *Ledger) Discard(b *journal.Batch, ref Ref) bool {
	e := l.entry(ref)
	if e == nil || !e.leaves[ref.Index].Letter {
		return false
	}
	e.leaves[ref.Index].Letter = false
	l.write(b, e)
	return true
}

// Resume are the moves that start what a journal was found with: everything whose turn it is.
func (l *Ledger) Resume() *Moves {
	m := new(Moves)
	for _, seq := range l.seqs() {
		e := l.entries[seq]
		if e.done {
			continue
		}
		m.Opened = append(m.Opened, Opened{e.seq, e.effect.Correlation})
		for _, leaf := range effects.Runnable(e.tree, e.outcome) {
			m.Start = append(m.Start, l.leaf(e, leaf))
		}
	}
	return m
}

func (l *Ledger) seqs() []uint64 {
	var seqs []uint64
	for seq := range l.entries {
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	return seqs
}

// Leaves yields the leaves that are open and may still run, by seq and index, and whether something in a sequential holds them back.
func (l *Ledger) Leaves() iter.Seq2[Leaf, bool] {
	return func(yield func(Leaf, bool) bool) {
		if l == nil {
			return
		}
		for _, seq := range l.seqs() {
			e := l.entries[seq]
			for _, leaf := range e.waiting() {
				if !yield(l.leaf(e, leaf), !e.ran(leaf.Index)) {
					return
				}
			}
		}
	}
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
			if leaf.Ran && e.outcome(index) == effects.Open {
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
			m.Done = append(m.Done, seq)
		}
		journal.DeleteEffect(b, l.module(), l.life, seq, e.moved)
	}
	return m
}

// end finishes an open leaf, and with it those that it keeps from running.
func (l *Ledger) end(e *entry, index int, outcome effects.Outcome) {
	if outcome == effects.Done { // keeps nothing from running
		e.leaves[index].Outcome, e.leaves[index].Due = uint8(outcome), 0
		l.vacate(e, effects.Leaf{Index: index, Effect: l.effect(Ref{e.seq, index})})
		return
	}
	before := e.waiting()
	e.leaves[index].Outcome = uint8(outcome)
	e.leaves[index].Due = 0
	after := e.waiting()
	for _, leaf := range before {
		if !slices.ContainsFunc(after, func(a effects.Leaf) bool { return a.Index == leaf.Index }) {
			l.vacate(e, leaf)
		}
	}
}

// cancel ends an open leaf that has an id.
func (l *Ledger) cancel(b *journal.Batch, m *Moves, ref Ref) {
	e := l.entries[ref.Seq]
	if e.ran(ref.Index) {
		m.Stop = append(m.Stop, ref)
	}
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
	for begun := true; begun; {
		begun = false
		for _, leaf := range effects.Runnable(e.tree, e.outcome) {
			if !e.ran(leaf.Index) {
				l.begin(b, m, e, leaf)
				begun = true
			}
		}
	}
	if !e.done && effects.Finished(e.tree, e.outcome) {
		e.done = true
		m.Done = append(m.Done, e.seq)
	}
}

// begin starts a leaf whose turn it is. A cancel is done by that, unless it has something to feed back.
func (l *Ledger) begin(b *journal.Batch, m *Moves, e *entry, leaf effects.Leaf) {
	if e.ran(leaf.Index) {
		return
	}
	standing := &e.leaves[leaf.Index]
	standing.Ran = true
	switch leaf.Effect.Kind {
	case abi.KindDelay:
		standing.Due = m.Now + min(int64(leaf.Effect.After), math.MaxInt64-m.Now)
	case abi.KindCancel:
		if ref, used := l.ids[leaf.Effect.ID]; used && ref != (Ref{e.seq, leaf.Index}) {
			l.cancel(b, m, ref)
		}
		if leaf.Effect.OK == "" {
			l.end(e, leaf.Index, effects.Done)
			return
		}
	}
	m.Start = append(m.Start, l.leaf(e, leaf))
}

func (l *Ledger) leaf(e *entry, leaf effects.Leaf) Leaf {
	s := &e.leaves[leaf.Index]
	return Leaf{
		Ref: Ref{e.seq, leaf.Index}, Store: l.store, Life: l.life, Effect: leaf.Effect, Drive: s.Drive, Due: s.Due, Emitted: s.Emitted, Token: s.Token, Again: s.Again,
		Dispatched: e.dispatched[leaf.Index], Depth: e.effect.Depth, Correlation: e.effect.Correlation, Trace: e.effect.Trace,
	}
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
	delete(l.entries, e.seq)
	return true
}
