package resident

import (
	"github.com/crhost/crhost/abi"
)

// Guest is an instance, as a set needs it.
type Guest interface {
	// Reduce runs one action with a limit of fuel. Out aliases guest memory until the next call. An error means that the instance is lost.
	Reduce(in *abi.ReduceInput, fuel int64, out *abi.Output) error
	// State encodes a slot; the bytes alias guest memory until the next call.
	State(slot uint32, ticket uint64) ([]byte, error)
	// Evict forgets a slot.
	Evict(slot uint32, ticket uint64) error
	// Poisoned reports that the instance is lost.
	Poisoned() bool
}

// Set is an instance and who sits in its slots.
//
// Invariants:
//
//	S1  a slot below len(slots) is either free or the seat of exactly one cell.
//	S2  no two assignments of any slot have the same ticket.
type Set struct {
	guest   Guest
	forgets bool // the guest keeps no state between calls
	max     int  // slots at most
	slots   []*Cell
	free    []uint32
	hand    int
	tickets uint64
}

// NewSet returns the set of a guest in which nobody sits. At most max cells are seated at a time, 1 or more. A guest without residency
// is asked for the state after every action.
func NewSet(guest Guest, residency abi.Residency, max int) *Set {
	if residency == abi.ResidencyNone {
		return &Set{guest: guest, forgets: true, max: 1}
	}
	return &Set{guest: guest, max: max}
}

// Guest is the instance.
func (s *Set) Guest() Guest { return s.guest }

// Settle ends an action that c's guest has accepted: a guest that keeps no state is asked for it, and c leaves. Errors are as of Encode.
func (s *Set) Settle(c *Cell) error {
	if !s.forgets {
		return nil
	}
	_, err := c.Encode()
	c.Drop()
	return err
}

// Refuse ends an action that was not accepted. Unless clean, which says that the slot holds what it held before, c leaves.
func (s *Set) Refuse(c *Cell, clean bool) {
	if clean && !s.forgets || c.set != s {
		return
	}
	s.leave(c, Refused)
	c.rebase = !clean && len(c.tail) > 0
}

// Len is how many cells are seated.
func (s *Set) Len() int { return len(s.slots) - len(s.free) }

// Cells calls yield for each seated cell until it returns false. The cell may leave meanwhile.
func (s *Set) Cells(yield func(*Cell) bool) {
	for _, c := range s.slots {
		if c != nil && !yield(c) {
			return
		}
	}
}

// Empty makes all cells leave, without calling the guest: for an instance that is lost or about to be closed.
func (s *Set) Empty() {
	for _, c := range s.slots {
		if c != nil {
			c.set, c.absent = nil, Lost
		}
	}
	s.slots, s.free, s.hand = s.slots[:0], s.free[:0], 0
}

// leave frees the cell's slot. An instance that is lost is not told; one that traps on being told is lost, which its next call shows.
func (s *Set) leave(c *Cell, why Absence) {
	c.set, c.absent = nil, why
	s.slots[c.slot] = nil
	s.free = append(s.free, c.slot)
	if !s.guest.Poisoned() {
		_ = s.guest.Evict(c.slot, c.ticket)
	}
}

// seat gives c a slot and a ticket. If all are taken another cell is encoded and leaves: when that fails the error is an *EvictionError.
//
// REQUIRES: c is absent.
func (s *Set) seat(c *Cell) error {
	if len(s.free) == 0 && len(s.slots) >= s.max {
		victim := s.victim()
		if _, err := victim.Encode(); err != nil {
			return &EvictionError{Cell: victim, Err: err}
		}
		s.leave(victim, Evicted)
	}
	if n := len(s.free); n > 0 {
		c.slot, s.free = s.free[n-1], s.free[:n-1]
	} else {
		c.slot, s.slots = uint32(len(s.slots)), append(s.slots, nil)
	}
	s.tickets++
	c.set, c.ticket, c.used = s, s.tickets, true
	s.slots[c.slot] = c
	return nil
}

// victim is the next cell that was not used since the hand passed it.
func (s *Set) victim() *Cell {
	for {
		c := s.slots[s.hand]
		s.hand = (s.hand + 1) % len(s.slots)
		if !c.used {
			return c
		}
		c.used = false
	}
}

// EvictionError says that another cell, which had to make room, could not be encoded. That cell is absent now.
type EvictionError struct {
	Cell *Cell
	Err  error
}

func (e *EvictionError) Error() string { return "evict another state: " + e.Err.Error() }

// Unwrap returns what the guest said.
func (e *EvictionError) Unwrap() error { return e.Err }
