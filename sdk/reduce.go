package sdk

import (
	"encoding/binary"

	"github.com/crhost/crhost/abi"
)

// slot is what is known of the state in a slot besides the state.
type slot struct {
	ticket uint64
	size   int // when it was last encoded or decoded, bytes; 0 = the slot is empty
}

// Reduce is cr1_reduce. The way of an accepted action without effects is kept straight and short: compiled to WebAssembly, calls and
// branches are what a reduce costs.
func (g *Guest) Reduce(frame []byte) []byte {
	h, body, err := abi.ReduceHeaderOf(frame)
	if err != nil {
		panic(err)
	}
	i := h.Slot()
	if h.Mode() != abi.Resident {
		if err := g.assign(h, frame); err != nil {
			return g.refuse(abi.BadState, 0, "", err.Error())
		}
	}
	if uint64(i) >= uint64(len(g.slots)) {
		return g.refuse(abi.NoSuchSlot, 0, "", "")
	}
	s := &g.slots[i]
	if s.ticket != h.Ticket() || s.size == 0 {
		return g.refuse(abi.NoSuchSlot, 0, "", "")
	}
	g.env.frame, g.env.read = frame, 0
	effects, err := g.handlers[h.Action()](i, body)
	if err != nil || effects != nil {
		return g.answer(i, effects, err)
	}
	binary.LittleEndian.PutUint64(g.accepted[8:], uint64(s.size))
	return g.accepted
}

// answer is the answer of a reducer that returned more than nothing.
func (g *Guest) answer(i uint32, effects Effects, err error) []byte {
	flags := abi.StateChanged
	switch bad, _ := err.(*badAction); {
	case err == nil:
	case err == Unchanged:
		flags = 0
	case bad != nil:
		return g.refuse(abi.BadAction, abi.Clean, "", bad.Error())
	default:
		flags = 0
		if g.table.undo(i) {
			flags = abi.Clean
		}
		code, text := rejection(err)
		return g.refuse(abi.Rejected, flags, code, text)
	}
	b := g.begin()
	if len(effects) > 0 {
		b = effects.Append(b)
	}
	return g.finish(b, flags, g.slots[i].size)
}

// badAction is the error of a handler that could not read its action; the state is as it was.
type badAction struct{ error }

// slot returns slot i if it holds a state under ticket, else nil.
func (g *Guest) slot(i uint32, ticket uint64) *slot {
	if uint64(i) >= uint64(len(g.slots)) {
		return nil
	}
	if s := &g.slots[i]; s.ticket == ticket && s.size != 0 {
		return s
	}
	return nil
}

// assign puts the state that a frame brings into its slot.
func (g *Guest) assign(h *abi.ReduceHeader, frame []byte) error {
	i := h.Slot()
	if missing := int(i) + 1 - len(g.slots); missing > 0 {
		g.slots = append(g.slots, make([]slot, missing)...)
		g.table.grow(len(g.slots))
	}
	b := g.initial
	if h.Mode() == abi.WithState {
		b, _, _ = h.Sections(frame)
	}
	g.slots[i] = slot{}
	if err := g.table.load(i, b); err != nil {
		return err
	}
	g.slots[i] = slot{ticket: h.Ticket(), size: len(b)}
	return nil
}

// State is cr1_state.
func (g *Guest) State(i uint32, ticket uint64) []byte {
	s := g.slot(i, ticket)
	if s == nil {
		return g.refuse(abi.NoSuchSlot, 0, "", "")
	}
	b := g.table.append(g.begin(), i)
	s.size = len(b) - abi.OutputHeaderLen
	return g.finish(b, 0, s.size)
}

// Evict is cr1_evict.
func (g *Guest) Evict(i uint32, ticket uint64) {
	if s := g.slot(i, ticket); s != nil {
		*s = slot{}
		g.table.clear(i)
	}
}
