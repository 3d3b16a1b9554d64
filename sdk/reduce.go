package sdk

import (
	"unsafe"

	"github.com/crhost/crhost/abi"
)

// slot holds the state of one store.
type slot[S any] struct {
	state  S
	ticket uint64
	size   int // of the state when it was last encoded or decoded, bytes
	held   bool
}

// Reduce is cr1_reduce.
func (m *Module[S]) Reduce(frame []byte) []byte {
	in := &m.env.in
	if err := in.Decode(frame); err != nil {
		panic(err)
	}
	if int(in.Action) >= len(m.handlers) {
		panic("sdk: the host sent an action type that the manifest does not have")
	}
	m.env.begin()
	s := m.slot(in.Slot, in.Ticket)
	if in.Mode != abi.Resident {
		var err error
		if s, err = m.assign(in); err != nil {
			return m.refuse(abi.Output{Status: abi.BadState}, "", err.Error())
		}
	}
	if s == nil {
		return m.refuse(abi.Output{Status: abi.NoSuchSlot}, "", "")
	}
	h := m.handlers[in.Action]
	if err := h.decode(in.Body); err != nil {
		return m.refuse(abi.Output{Status: abi.BadAction, Flags: abi.Clean}, "", err.Error())
	}
	m.undo.save(&s.state)
	effects, err := h.reduce(&s.state, &m.env)
	out := abi.Output{Flags: abi.StateChanged, SizeHint: uint64(s.size)}
	if err != nil {
		if err != Unchanged {
			return m.reject(s, err)
		}
		out.Flags = 0
	}
	b := m.frame()
	if len(effects) > 0 {
		b = effects.append(b)
	}
	return m.finish(b, out)
}

func (m *Module[S]) reject(s *slot[S], err error) []byte {
	out := abi.Output{Status: abi.Rejected}
	if m.undo.restore(&s.state) {
		out.Flags = abi.Clean
	}
	code, text := rejection(err)
	return m.refuse(out, code, text)
}

// slot returns the slot if it holds a state under ticket, else nil.
func (m *Module[S]) slot(i uint32, ticket uint64) *slot[S] {
	if int(i) >= len(m.slots) {
		return nil
	}
	if s := &m.slots[i]; s.held && s.ticket == ticket {
		return s
	}
	return nil
}

// assign puts the state that a frame brings into its slot.
func (m *Module[S]) assign(in *abi.ReduceInput) (*slot[S], error) {
	if missing := int(in.Slot) + 1 - len(m.slots); missing > 0 {
		m.slots = append(m.slots, make([]slot[S], missing)...)
	}
	b := m.initial
	if in.Mode == abi.WithState {
		b = in.State
	}
	s := &m.slots[in.Slot]
	err := m.load(b, &s.state)
	s.held, s.ticket, s.size = err == nil, in.Ticket, len(b)
	return s, err
}

// State is cr1_state.
func (m *Module[S]) State(i uint32, ticket uint64) []byte {
	s := m.slot(i, ticket)
	if s == nil {
		return m.refuse(abi.Output{Status: abi.NoSuchSlot}, "", "")
	}
	b := m.plan.append(m.frame(), unsafe.Pointer(&s.state), 0)
	s.size = len(b) - abi.OutputHeaderLen
	return m.finish(b, abi.Output{SizeHint: uint64(s.size)})
}

// Evict is cr1_evict.
func (m *Module[S]) Evict(i uint32, ticket uint64) {
	if s := m.slot(i, ticket); s != nil {
		*s = slot[S]{}
	}
}

// undo takes back what a rejected action did to the state.
type undo[S any] struct {
	before S            // the state before the action, when it can be kept
	flat   bool         // assignment keeps it
	clone  func(s *S) S // or this does; nil = neither, and the host rebuilds the state
}

func undoOf[S any](p *plan) undo[S] {
	u := undo[S]{flat: p.flat}
	switch any(new(S)).(type) {
	case interface{ Clone() S }:
		u.flat, u.clone = false, func(s *S) S { return any(s).(interface{ Clone() S }).Clone() }
	case interface{ Clone() *S }:
		u.flat, u.clone = false, func(s *S) S { return *any(s).(interface{ Clone() *S }).Clone() }
	}
	return u
}

func (u *undo[S]) save(s *S) {
	switch {
	case u.flat:
		u.before = *s
	case u.clone != nil:
		u.before = u.clone(s)
	}
}

// restore reports whether s is as it was at save.
func (u *undo[S]) restore(s *S) bool {
	if !u.flat && u.clone == nil {
		return false
	}
	*s = u.before
	return true
}
