package sdk

import (
	"encoding/binary"
	"unsafe"

	"github.com/crhost/crhost/abi"
)

// slot is what is known of the state in a slot besides the state.
type slot struct {
	ticket uint64
	size   int // when it was last encoded or decoded, bytes; 0 = the slot is empty
}

// Reduce is cr1_reduce.
func (g *Guest) Reduce(frame []byte) []byte {
	if g.reduce(frame) {
		return g.accepted
	}
	return g.out
}

// What the first 6 bytes of a frame are when the mode is RESIDENT and the header of the length that this SDK knows: see the drawing in package abi.
const (
	residentHeader = abi.Version | abi.ReduceHeaderLen<<16 | uint64(abi.Resident)<<32
	residentMask   = 1<<48 - 1
)

// reduce answers with the frame accepted, or else with out; it reports which. Nearly all frames are RESIDENT, and accepted without effects: their way is
// this one function, straight and short, because compiled to WebAssembly by Go it is calls, their results and branches that a reduce costs.
// Whatever is not as it mostly is goes the long way.
func (g *Guest) reduce(frame []byte) bool {
	if len(frame) < abi.ReduceHeaderLen {
		return g.reduceAny(frame)
	}
	head := (*abi.ReduceHeader)(frame)
	first, place, lengths := binary.LittleEndian.Uint64(head[0:]), binary.LittleEndian.Uint64(head[8:]), binary.LittleEndian.Uint64(head[56:])
	i, end := place>>32, abi.ReduceHeaderLen+lengths>>32
	if first&residentMask != residentHeader || uint32(place)|uint32(lengths) != 0 || i >= uint64(len(g.slots)) ||
		end+uint64(binary.LittleEndian.Uint32(head[64:])) > uint64(len(frame)) {
		return g.reduceAny(frame)
	}
	s := &g.slots[i]
	if s.ticket != binary.LittleEndian.Uint64(head[16:]) || s.size == 0 {
		return g.reduceAny(frame)
	}
	g.env.frame, g.env.read = frame, 0
	h := g.handlers[first>>48]
	pos := uint64(abi.ReduceHeaderLen)
	for k := range h.short { // readForm, without a call, for the smallest integers
		s := &h.short[k]
		pos += uint64(s.length)
		if pos > end || !s.match(unsafe.Add(unsafe.Pointer(head), int(pos)-len(s.literal))) {
			pos = 0
			break
		}
		if s.word {
			if pos == end || frame[pos] > 0x7f {
				pos = 0
				break
			}
			*(*uint64)(unsafe.Add(h.at, s.offset)) = uint64(frame[pos])
			pos++
		}
	}
	if pos != end || h.short == nil {
		return g.run(uint32(i), h, frame[abi.ReduceHeaderLen:end])
	}
	if !h.run(uint32(i)) {
		g.answer(uint32(i))
		return false
	}
	binary.LittleEndian.PutUint64(g.accepted[8:], uint64(s.size))
	return true
}

// run reads an action and does it.
func (g *Guest) run(i uint32, h *handler, body []byte) bool {
	if g.err = h.read(body); g.err != nil || !h.run(i) {
		g.answer(i)
		return false
	}
	binary.LittleEndian.PutUint64(g.accepted[8:], uint64(g.slots[i].size))
	return true
}

// reduceAny is the long way of reduce, for every frame.
func (g *Guest) reduceAny(frame []byte) bool {
	h, body, err := abi.ReduceHeaderOf(frame)
	if err != nil {
		panic(err)
	}
	i := h.Slot()
	if h.Mode() != abi.Resident && !g.assign(h, frame) {
		return false
	}
	if g.slot(i, h.Ticket()) == nil {
		g.refuse(abi.NoSuchSlot, 0, "", "")
		return false
	}
	g.env.frame, g.env.read = frame, 0
	return g.run(i, g.handlers[h.Action()], body)
}

// answer is the answer of a reducer that returned more than nothing, which the handler has left in g.
func (g *Guest) answer(i uint32) {
	flags := abi.StateChanged
	if g.err != nil {
		if g.err != Unchanged {
			g.fail(i)
			return
		}
		flags, g.err = 0, nil
	}
	b := g.begin()
	if len(g.effects) > 0 {
		b = g.effects.Append(b)
	}
	g.effects = nil
	g.finish(b, flags, g.slots[i].size)
}

// fail is the answer of an action that could not be read, or of a reducer that did not accept it.
func (g *Guest) fail(i uint32) {
	err := g.err
	g.effects, g.err = nil, nil
	if bad, _ := err.(*badAction); bad != nil {
		g.refuse(abi.BadAction, abi.Clean, "", bad.Error())
		return
	}
	flags := abi.Flags(0)
	if g.table.undo(i) {
		flags = abi.Clean
	}
	code, text := rejection(err)
	g.refuse(abi.Rejected, flags, code, text)
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

// assign puts the state that a frame brings into its slot. If it cannot be read, the answer is BAD_STATE.
func (g *Guest) assign(h *abi.ReduceHeader, frame []byte) bool {
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
		g.refuse(abi.BadState, 0, "", err.Error())
		return false
	}
	g.slots[i] = slot{ticket: h.Ticket(), size: len(b)}
	return true
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
