package resident

import (
	"fmt"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
)

// Fuel of a replayed action: whether it was accepted is never decided again, so that its own limit does not matter; a replay that runs away does.
const (
	replayFactor  = 16
	replayReserve = 1_000_000_000
)

// Prepare seats c in s, rebuilding it if it has a tail, and fills the parts of in that say where the state comes from: Mode, Slot, Ticket and State.
// It returns how many records it replayed. c must be absent or seated in s.
//
// Errors: *EvictionError, *DivergedError, *UnreadableError (the guest does not take the bytes that it or an older revision wrote), *journal.CorruptError, or what
// the guest's Reduce returned. After an error c is absent.
func (s *Set) Prepare(c *Cell, life journal.Incarnation, in *abi.ReduceInput) (replayed int, err error) {
	if c.set == s && s.forgets {
		c.source(in) // its tail is empty
		return 0, nil
	}
	if c.set == s {
		c.used = true
		in.Mode, in.Slot, in.Ticket, in.State = abi.Resident, c.slot, c.ticket, nil
		return 0, nil
	}
	if c.set != nil {
		panic("resident: the cell sits elsewhere")
	}
	if err := s.seat(c); err != nil {
		return 0, err
	}
	if len(c.tail) > 0 {
		n := len(c.tail)
		if err := s.replay(c, life); err != nil {
			c.Drop()
			return 0, err
		}
		if c.rebase || s.forgets {
			if _, err := c.Encode(); err != nil {
				return n, err
			}
		}
		if s.forgets {
			c.source(in)
			return n, nil
		}
		in.Mode, in.Slot, in.Ticket, in.State = abi.Resident, c.slot, c.ticket, nil
		return n, nil
	}
	c.source(in)
	return 0, nil
}

// source fills in for a cell that is seated and whose slot holds nothing yet.
func (c *Cell) source(in *abi.ReduceInput) {
	in.Slot, in.Ticket, in.State = c.slot, c.ticket, c.base.State
	if in.Mode = abi.WithState; c.base.State == nil {
		in.Mode = abi.Fresh
	}
}

// replay reduces the tail of a cell that was just seated.
func (s *Set) replay(c *Cell, life journal.Incarnation) error {
	var in abi.ReduceInput
	var out abi.Output
	c.source(&in)
	for i := range c.tail {
		r, err := c.decode(life, i)
		if err != nil {
			return err
		}
		in.Action, in.Seq, in.Now, in.Seed, in.Body, in.Meta = r.ActionIndex, r.Seq, r.Time, r.Seed, r.Action, r.Meta
		if err := s.guest.Reduce(&in, int64(r.Fuel)*replayFactor+replayReserve, &out); err != nil {
			return err
		}
		switch {
		case out.Status == abi.BadState:
			return &UnreadableError{Seq: c.base.Seq, Text: string(out.Text)}
		case out.Status != abi.OK:
			return &DivergedError{Seq: r.Seq, What: fmt.Sprintf("the reducer answers %s to an action that it accepted before", out.Status)}
		case journal.HashEffects(out.Body) != r.EffectsHash:
			return &DivergedError{Seq: r.Seq, What: "the effects differ from the recorded ones"}
		}
		if in.Mode, in.State = abi.Resident, nil; s.forgets {
			state, err := s.guest.State(c.slot, c.ticket)
			if err != nil {
				return err
			}
			in.Mode, in.State = abi.WithState, append([]byte(nil), state...)
		}
	}
	return nil
}

// DivergedError says that replaying a record gave another outcome than the recorded one.
type DivergedError struct {
	Seq  uint64
	What string
}

func (e *DivergedError) Error() string { return fmt.Sprintf("seq %d: %s", e.Seq, e.What) }

// UnreadableError says that a guest answered BAD_STATE to a state that it has to take.
type UnreadableError struct {
	Seq  uint64 // of the state
	Text string // what the guest said
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("the guest cannot decode the state of seq %d: %s", e.Seq, e.Text)
}
