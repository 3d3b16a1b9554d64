package ledger

import (
	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/journal"
)

// InLane reports whether the leaves of a kind are done one at a time for each store and target (SEMANTICS E6).
func InLane(k abi.Kind) bool { return k == abi.KindPublish || k == abi.KindAppend }

// lane names leaves of the store that are done one at a time.
type lane struct {
	kind   abi.Kind
	target string
}

// left are dead leaves that have left their lane, by lane.
type left map[lane]map[Ref]struct{}

// leave notes a dead leaf that has a letter, if it was in a lane and nothing there has overtaken it.
func (l *Ledger) leave(e *entry, index int) {
	s := &e.leaves[index]
	if !s.Letter || s.Overtaken || e.outcome(index) == effects.Done { // of one that was done only the feedback is missing: nothing can overtake it
		return
	}
	ref := Ref{e.seq, index}
	leaf := l.effect(ref)
	if !InLane(leaf.Kind) {
		return
	}
	if l.left == nil {
		l.left = make(left)
	}
	in := lane{leaf.Kind, leaf.Target}
	if l.left[in] == nil {
		l.left[in] = make(map[Ref]struct{})
	}
	l.left[in][ref] = struct{}{}
}

// unleave forgets a leaf whose letter goes.
func (l *Ledger) unleave(ref Ref) {
	if len(l.left) == 0 {
		return
	}
	leaf := l.effect(ref)
	l.left.remove(lane{leaf.Kind, leaf.Target}, ref)
}

func (l left) remove(in lane, ref Ref) {
	delete(l[in], ref)
	if len(l[in]) == 0 {
		delete(l, in)
	}
}

// overtake marks the letters of those leaves which a leaf that was just done came after in its lane, by seq and index: a redrive, which goes to the end of the lane, does not
// overtake what it was before. Only what was done overtakes: behind one that merely began, or died too, a redrive still comes in its order.
func (l *Ledger) overtake(b *journal.Batch, ref Ref) {
	if len(l.left) == 0 { // nearly always: nothing is looked for
		return
	}
	leaf := l.effect(ref)
	in := lane{leaf.Kind, leaf.Target}
	for dead := range l.left[in] {
		if dead.before(ref) {
			e := l.entries[dead.Seq]
			e.leaves[dead.Index].Overtaken = true
			l.write(b, e)
			l.left.remove(in, dead)
		}
	}
}
