package sdk

import (
	"reflect"
	"unsafe"
)

// table is what a Guest has to know of its states, whatever their type. Slots are below the number that grow was given.
type table interface {
	grow(n int)
	load(slot uint32, b []byte) error
	append(b []byte, slot uint32) []byte
	undo(slot uint32) bool
	clear(slot uint32)
}

// states holds the state of each slot.
type states[S any] struct {
	list []S
	plan *plan

	before S            // the state before the action, when it can be kept
	flat   bool         // assignment keeps it
	clone  func(s *S) S // or this does; nil = neither does, and the host rebuilds the state
}

func statesOf[S any]() states[S] {
	p := planOf(reflect.TypeFor[S]())
	t := states[S]{plan: p, flat: p.flat}
	switch any(new(S)).(type) {
	case interface{ Clone() S }:
		t.flat, t.clone = false, func(s *S) S { return any(s).(interface{ Clone() S }).Clone() }
	case interface{ Clone() *S }:
		t.flat, t.clone = false, func(s *S) S { return *any(s).(interface{ Clone() *S }).Clone() }
	}
	return t
}

func (t *states[S]) grow(n int) { t.list = append(t.list, make([]S, n-len(t.list))...) }

func (t *states[S]) load(slot uint32, b []byte) error { return t.decode(&t.list[slot], b) }

// decode reads a state. Fields that the state has no more are skipped.
func (t *states[S]) decode(s *S, b []byte) error {
	var zero S
	*s = zero
	t.plan.prepare(unsafe.Pointer(s))
	return decodeWhole(t.plan, b, unsafe.Pointer(s), false)
}

func (t *states[S]) append(b []byte, slot uint32) []byte {
	return t.plan.append(b, unsafe.Pointer(&t.list[slot]), 0)
}

func (t *states[S]) clear(slot uint32) {
	var zero S
	t.list[slot] = zero
}

// keep prepares undo for a state that is not flat.
func (t *states[S]) keep(s *S) {
	if t.clone != nil {
		t.before = t.clone(s)
	}
}

// undo reports whether the state is again as it was before the action.
func (t *states[S]) undo(slot uint32) bool {
	if !t.flat && t.clone == nil {
		return false
	}
	t.list[slot] = t.before
	return true
}
