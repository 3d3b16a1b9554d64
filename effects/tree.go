package effects

import (
	"iter"

	"github.com/crhost/crhost/abi"
)

// Outcome is how a leaf stands.
type Outcome uint8

// The outcomes.
const (
	Open      Outcome = iota // not finished: it waits, runs or is parked
	Done                     // finished, its feedback included
	Dead                     // given up; it stops the sequentials around it
	Cancelled                // cancelled, perhaps before its turn; likewise
)

var outcomeNames = [...]string{"open", "done", "dead", "cancelled"}

func (o Outcome) String() string { return outcomeNames[o] }

// Leaf is a node of an effect tree that does something.
type Leaf struct {
	Index  int         // its number among the leaves of its action, depth first from 0
	Effect *abi.Effect // in the tree that was asked about
}

// Leaves are all leaves of a tree, in the order of their indices. The list of an action's effects acts as a parallel.
func Leaves(tree []abi.Effect) iter.Seq[Leaf] {
	return func(yield func(Leaf) bool) {
		next := 0
		eachLeaf(tree, &next, yield)
	}
}

func eachLeaf(list []abi.Effect, next *int, yield func(Leaf) bool) bool {
	for i := range list {
		e := &list[i]
		if !e.Kind.Leaf() {
			if !eachLeaf(e.Children, next, yield) {
				return false
			}
			continue
		}
		if !yield(Leaf{*next, e}) {
			return false
		}
		*next++
	}
	return true
}

// Runnable are the leaves that may run now: those that are open and that no sequential holds back (SEMANTICS E5). A leaf that is running
// already is open, and so among them. A child of a sequential has its turn when the one before it is done, a nested parallel when all
// its branches are; none and combinators without children are done at once. A child that is dead or cancelled, or a parallel with such a
// branch once all its branches have finished, stops the sequential around it: the rest does not run.
//
// done tells how the leaf with an index stands; it is asked once for each leaf, in order. Recursion is as deep as the tree, which
// abi.DecodeEffects bounds to abi.MaxEffectDepth.
func Runnable(tree []abi.Effect, done func(index int) Outcome) []Leaf {
	return AppendRunnable(nil, tree, done)
}

// AppendRunnable appends to dst what Runnable returns.
func AppendRunnable(dst []Leaf, tree []abi.Effect, done func(index int) Outcome) []Leaf {
	w := walk{wanted: now, found: dst}
	w.parallel(tree, now, done)
	return w.found
}

// Skipped are the leaves that are open and will not run, since something before them in a sequential is dead or cancelled. A redrive of what
// stopped them can change that.
func Skipped(tree []abi.Effect, done func(index int) Outcome) []Leaf {
	w := walk{wanted: never}
	w.parallel(tree, now, done)
	return w.found
}

// Finished reports whether nothing will run any more: every leaf is finished or skipped. An empty tree is finished.
func Finished(tree []abi.Effect, done func(index int) Outcome) bool {
	w := walk{wanted: nothing}
	return w.parallel(tree, now, done) != Open
}

// LaterRan reports whether a leaf ran that comes after the one with this index in a sequential around both: a redrive of that one then does
// not go on with the sequential (SEMANTICS E4). ran tells whether a leaf was ever started; being cancelled before its turn is not that.
func LaterRan(tree []abi.Effect, index int, ran func(index int) bool) bool {
	s := search{index: index, ran: ran}
	s.list(tree, false)
	return s.later
}

// turn is when the leaves below a node may run.
type turn uint8

const (
	nothing turn = iota // no node has it
	now
	later // something before it in a sequential is not finished
	never // something before it in a sequential stopped it
)

// walk goes through a tree once and collects the open leaves whose turn is wanted. How leaves stand is asked of a function that is handed down: in the
// struct, that would have to live as long as what is found.
type walk struct {
	wanted turn
	next   int // index of the next leaf
	found  []Leaf
}

// visit says how a node stands: Dead stands for all that stops a sequential.
func (w *walk) visit(e *abi.Effect, t turn, done func(int) Outcome) Outcome {
	switch {
	case e.Kind == abi.KindSequential:
		return w.sequential(e.Children, t, done)
	case !e.Kind.Leaf():
		return w.parallel(e.Children, t, done) // none has no children
	}
	index := w.next
	w.next++
	switch o := done(index); o {
	case Open:
		if t == w.wanted {
			w.found = append(w.found, Leaf{index, e})
		}
		return Open
	case Done:
		return Done
	default:
		return Dead
	}
}

func (w *walk) parallel(list []abi.Effect, t turn, done func(int) Outcome) Outcome {
	open, stopped := false, false
	for i := range list {
		switch w.visit(&list[i], t, done) {
		case Open:
			open = true
		case Dead:
			stopped = true
		}
	}
	switch {
	case open:
		return Open
	case stopped:
		return Dead
	}
	return Done
}

func (w *walk) sequential(list []abi.Effect, t turn, done func(int) Outcome) Outcome {
	outcome := Done
	for i := range list {
		o := w.visit(&list[i], t, done)
		if outcome == Done {
			outcome = o // that of the first child that is not done; those after it cannot change it
		}
		switch {
		case o == Dead:
			t = never
		case o == Open && t == now:
			t = later
		}
	}
	return outcome
}

// search looks for leaves that ran after one leaf of a sequential.
type search struct {
	index int
	ran   func(index int) bool
	next  int
	later bool
}

// list searches a list, below a later child of a sequential that has the leaf or not, and reports whether the leaf is in it.
func (s *search) list(list []abi.Effect, after bool) (has bool) {
	for i := range list {
		has = s.node(&list[i], after) || has
	}
	return has
}

func (s *search) node(e *abi.Effect, after bool) (has bool) {
	switch {
	case e.Kind == abi.KindSequential:
		for i := range e.Children {
			has = s.node(&e.Children[i], after || has) || has
		}
		return has
	case !e.Kind.Leaf():
		return s.list(e.Children, after)
	}
	index := s.next
	s.next++
	if after && !s.later {
		s.later = s.ran(index)
	}
	return index == s.index
}
