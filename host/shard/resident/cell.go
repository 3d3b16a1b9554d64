package resident

import (
	"github.com/crhost/crhost/host/journal"
)

// Base is an encoded state.
type Base struct {
	Seq   uint64 // of the last action in it; 0 = the initial state
	State []byte // msgpack, immutable; nil with Seq 0: the guest knows its initial state
}

// Cell is what is known of one store's state.
//
// Invariants:
//
//	C1  base and the tail are contiguous: tail[i] has seq base.Seq+1+i.
//	C2  all records of the tail were reduced by one revision.
//	C3  while seated, the slot holds the state as of Seq() under the ticket.
type Cell struct {
	Key string // of the store, for whoever is handed the cell in an error

	base      Base
	tail      [][]byte
	tailBytes int
	rebase    bool // the tail was replayed because of a refusal: take a base from the next slot, so that the next refusal costs a decode

	set    *Set // nil while absent
	absent Absence
	slot   uint32
	ticket uint64
	used   bool // since the clock hand last passed
}

// Absence is why a cell that has a state is in no slot.
type Absence string

// The absences.
const (
	Loaded  Absence = "loaded"  // it was never in one
	Refused Absence = "refused" // an action was refused
	Lost    Absence = "lost"    // the instance was
	Evicted Absence = "evicted" // another cell needed the slot
	Moved   Absence = "moved"   // it left for another instance, or for the journal
)

// Absence is why the cell is absent, or was last.
func (c *Cell) Absence() Absence { return c.absent }

// Seq is the seq of the last accepted action.
func (c *Cell) Seq() uint64 { return c.base.Seq + uint64(len(c.tail)) }

// Base is the newest encoded state known.
func (c *Cell) Base() Base { return c.base }

// TailBytes is the size of the records after the base.
func (c *Cell) TailBytes() int { return c.tailBytes }

// Tail is the records after the base, encoded. The slice is the cell's own.
func (c *Cell) Tail() [][]byte { return c.tail }

// Set is where the cell is seated, or nil.
func (c *Cell) Set() *Set { return c.set }

// Restore makes base and tail what is known of the state, and leaves the slot.
func (c *Cell) Restore(base Base, tail [][]byte) {
	c.Drop()
	c.base, c.tail, c.tailBytes, c.rebase, c.absent = base, tail, 0, false, Loaded
	for _, record := range tail {
		c.tailBytes += len(record)
	}
}

// Accept adds the record of an action that the slot holds the outcome of.
func (c *Cell) Accept(record []byte) {
	c.tail = append(c.tail, record)
	c.tailBytes += len(record)
}

// rebased makes state the base as of the last record.
func (c *Cell) rebased(state []byte) {
	c.base = Base{Seq: c.Seq(), State: state}
	clear(c.tail)
	c.tail, c.tailBytes, c.rebase = c.tail[:0], 0, false
}

// Drop leaves the slot; the state lives on as base and tail.
func (c *Cell) Drop() {
	if c.set != nil {
		c.set.leave(c, Moved)
	}
}

// Encode returns the state as of Seq, and makes it the base. The cell must be seated unless its tail is empty.
//
// Errors come from the guest: then the cell is absent and otherwise unchanged.
func (c *Cell) Encode() (Base, error) {
	if len(c.tail) == 0 {
		return c.base, nil
	}
	if c.set == nil {
		panic("resident: encoding an absent cell")
	}
	state, err := c.set.guest.State(c.slot, c.ticket)
	if err != nil {
		c.Drop()
		return Base{}, err
	}
	c.rebased(append([]byte(nil), state...))
	return c.base, nil
}

// decode is how records of the tail are read again.
func (c *Cell) decode(life journal.Incarnation, i int) (journal.Record, error) {
	var r journal.Record
	err := r.Decode(life, c.base.Seq+1+uint64(i), c.tail[i])
	return r, err
}
