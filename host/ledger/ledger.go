package ledger

import (
	"fmt"
	"iter"
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

	key string // what Key returns, once Name was called
}

// Key is the idempotency key of the leaf (SEMANTICS E1).
func (l *Leaf) Key() string {
	if l.key != "" {
		return l.key
	}
	return effects.Key(l.Life, l.Seq, l.Index)
}

// Name makes the key once and for all, and returns it. To be called before others have the leaf.
func (l *Leaf) Name() string {
	if l.key == "" {
		l.key = l.Key()
	}
	return l.key
}

// Moves are what follows from changes, once they are durable.
type Moves struct {
	Now    int64    // set by the caller: the time of the changes, Unix nanoseconds; a delay that begins counts from it
	Opened []Opened // effects that were described, or are not done any more
	Start  []*Leaf  // whoever is told of them may have them
	Stop   []Ref    // cancelled while they may be running
	Done   []uint64 // seqs of effects whose leaves are all finished

	Letters int // dead letters that there are more, or fewer

	first struct { // room for what follows from most changes, in the same piece of memory
		opened [1]Opened
		start  [1]*Leaf
		done   [1]uint64
	}
}

func (m *Moves) open(o Opened) {
	if m.Opened == nil {
		m.Opened = m.first.opened[:0]
	}
	m.Opened = append(m.Opened, o)
}

func (m *Moves) start(l *Leaf) {
	if m.Start == nil {
		m.Start = m.first.start[:0]
	}
	m.Start = append(m.Start, l)
}

func (m *Moves) done(seq uint64) {
	if m.Done == nil {
		m.Done = m.first.done[:0]
	}
	m.Done = append(m.Done, seq)
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
//	L1  ids holds the id of each open leaf that has one and may still run, and nothing else. A redrive can make several of them share one: it is the newest one's,
//	    and who cancels that cancels all.
//	L2  open counts the open leaves that may still run.
//	L3  an entry is in entries from its action on until it is done and has no letters; done entries have letters.
//	L4  left holds the leaves of lanes that have a letter, were not done, and that nothing has overtaken.
type Ledger struct {
	store   journal.StoreID
	life    journal.Incarnation
	entries map[uint64]*entry
	ids     map[string]Ref
	shared  map[string]bool // ids that several leaves had at once, ever
	open    int
	left    left
	turn    []effects.Leaf // memory of step
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
	first      [1]journal.Standing
}

// outcome is how a leaf stands for the sequentials around it.
func (e *entry) outcome(index int) effects.Outcome { return effects.Outcome(e.leaves[index].Outcome) }
func (e *entry) ran(index int) bool                { return e.leaves[index].Ran }

// open reports whether a leaf is not finished.
func (e *entry) open(index int) bool {
	return e.outcome(index) == effects.Open || e.leaves[index].Apart
}

// stopped reports whether a leaf is dead or cancelled.
func (e *entry) stopped() bool {
	return slices.ContainsFunc(e.leaves, func(l journal.Standing) bool { return effects.Outcome(l.Outcome) > effects.Done })
}

func (e *entry) finished() bool {
	return effects.Finished(e.tree, e.outcome) && !slices.ContainsFunc(e.leaves, func(l journal.Standing) bool { return l.Apart })
}

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
	e.done = e.finished()
	e.eachWaiting(func(leaf effects.Leaf) { l.occupy(e, leaf) })
	for index := range e.leaves {
		l.leave(e, index)
	}
	return nil
}

// eachWaiting calls each for the leaves that are open and may still run.
func (e *entry) eachWaiting(each func(effects.Leaf)) {
	var skipped []effects.Leaf
	if e.stopped() {
		skipped = effects.Skipped(e.tree, e.outcome)
	}
	for leaf := range effects.Leaves(e.tree) {
		if e.open(leaf.Index) && !holds(skipped, leaf) {
			each(leaf)
		}
	}
}

// waiting are the leaves that are open and may still run.
func (e *entry) waiting() (open []effects.Leaf) {
	e.eachWaiting(func(leaf effects.Leaf) { open = append(open, leaf) })
	return open
}

func holds(list []effects.Leaf, leaf effects.Leaf) bool {
	return slices.ContainsFunc(list, func(l effects.Leaf) bool { return l.Index == leaf.Index })
}

// idOf is the id that a leaf goes by, empty for none. That of a cancel is of another.
func idOf(e *abi.Effect) string {
	if e.Kind == abi.KindCancel {
		return ""
	}
	return e.ID
}

func (r Ref) before(other Ref) bool {
	return r.Seq < other.Seq || r.Seq == other.Seq && r.Index < other.Index
}

func (l *Ledger) occupy(e *entry, leaf effects.Leaf) {
	l.open++
	id, ref := idOf(leaf.Effect), Ref{e.seq, leaf.Index}
	if id == "" {
		return
	}
	other, used := l.ids[id]
	if used {
		if l.shared == nil {
			l.shared = make(map[string]bool)
		}
		l.shared[id] = true
	}
	if !used || other.before(ref) {
		l.ids[id] = ref
	}
}

// vacate undoes occupy for a leaf that is finished or will not run.
func (l *Ledger) vacate(e *entry, leaf effects.Leaf) {
	l.open--
	id := idOf(leaf.Effect)
	if id == "" || l.ids[id] != (Ref{e.seq, leaf.Index}) {
		return
	}
	delete(l.ids, id)
	if !l.shared[id] {
		return
	}
	for _, e := range l.entries {
		for _, other := range e.waiting() {
			ref := Ref{e.seq, other.Index}
			if newest, used := l.ids[id]; idOf(other.Effect) == id && (!used || newest.before(ref)) {
				l.ids[id] = ref
			}
		}
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
	return e != nil && e.open(ref.Index) && e.leaves[ref.Index].Drive == drive && e.ran(ref.Index)
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

// Calm forgets the traps that were counted.
func (l *Ledger) Calm() {
	if l != nil {
		for _, e := range l.entries {
			e.traps = nil
		}
	}
}

// Check refuses a tree that the store cannot take: an id in use, more than so many open leaves. Errors are *abi.Error.
func (l *Ledger) Check(tree []abi.Effect, most int) error {
	leaves := 0
	type use struct {
		kind abi.Kind
		free bool // cancelled by this tree
	}
	var uses map[string]use // of the ids in the tree so far; the others are as the ledger has them
	used := func(id string) (abi.Kind, bool) {
		if u, ok := uses[id]; ok {
			return u.kind, !u.free
		}
		if l != nil {
			if ref, ok := l.ids[id]; ok {
				return l.effect(ref).Kind, true
			}
		}
		return "", false
	}
	set := func(id string, u use) {
		if uses == nil {
			uses = make(map[string]use)
		}
		uses[id] = u
	}
	err := check(tree, false, func(e *abi.Effect, sequential bool) error {
		leaves++
		if e.Kind == abi.KindCancel {
			if !sequential {
				set(e.ID, use{free: true})
			}
			return nil
		}
		if e.ID == "" {
			return nil
		}
		if kind, taken := used(e.ID); taken && (e.Kind != abi.KindDelay || kind != abi.KindDelay) {
			return &abi.Error{Code: abi.CodeInvalidEffect, Text: fmt.Sprintf("the id %q is in use", e.ID)}
		}
		set(e.ID, use{kind: e.Kind})
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

func (l *Ledger) module() journal.ModuleID {
	return journal.ModuleID{Tenant: l.store.Tenant, Module: l.store.Module}
}

// Resume are the moves that start what a journal was found with: everything that was started and is not finished.
func (l *Ledger) Resume() *Moves {
	m := new(Moves)
	for _, seq := range l.seqs() {
		e := l.entries[seq]
		if e.done {
			continue
		}
		m.open(Opened{e.seq, e.effect.Correlation})
		for _, leaf := range e.waiting() {
			if e.ran(leaf.Index) {
				m.start(l.leaf(e, leaf))
			}
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
				if !yield(*l.leaf(e, leaf), !e.ran(leaf.Index)) {
					return
				}
			}
		}
	}
}

func (l *Ledger) leaf(e *entry, leaf effects.Leaf) *Leaf {
	s := &e.leaves[leaf.Index]
	return &Leaf{
		Ref: Ref{e.seq, leaf.Index}, Store: l.store, Life: l.life, Effect: leaf.Effect, Drive: s.Drive, Due: s.Due, Emitted: s.Emitted, Token: s.Token, Again: s.Again,
		Dispatched: e.dispatched[leaf.Index], Depth: e.effect.Depth, Correlation: e.effect.Correlation, Trace: e.effect.Trace,
	}
}
