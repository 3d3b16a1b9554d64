package abitest

import (
	"bytes"
	"strconv"

	"github.com/crhost/crhost/abi"
)

// A store is followed through an instance as a host would do it: what was accepted is the new state, and after a refusal the state is
// brought again. So a guest's claim to have restored a state is believed by the rule "clean" only.
type store struct {
	on       *instance
	slot     uint32
	ticket   uint64
	resident bool // go on with what the slot holds, where there is a choice

	seq   uint64
	state []byte // nil before the first accepted action
	held  bool   // the slot holds state
}

// An outcome is what must not depend on anything but the state and the input.
type outcome struct {
	status     abi.Status
	flags      abi.Flags // not compared: they are hints
	body       []byte
	code, text string
	state      []byte // after the action
}

// do reduces one action and fetches the state that it left.
func (s *store) do(in abi.ReduceInput) (outcome, error) {
	in = s.address(in)
	out, err := s.on.reduce(&in)
	if err != nil {
		return outcome{}, err
	}
	s.held = out.Status == abi.OK
	switch out.Status {
	case abi.OK:
		state, ok, err := s.on.state(s.slot, s.ticket)
		if err != nil {
			return outcome{}, err
		}
		if !ok {
			return outcome{}, broken(ruleHeld, "cr1_state(%d, %#x) answers NO_SUCH_SLOT after an accepted action", s.slot, s.ticket).by("%s", describe(&in))
		}
		s.seq++
		s.state = state
	case abi.NoSuchSlot:
		if in.Mode == abi.Resident {
			return outcome{}, broken(ruleHeld, "NO_SUCH_SLOT for a ticket that the slot was given and nothing has taken from it").by("%s", describe(&in))
		}
		return outcome{}, broken(ruleStatus, "NO_SUCH_SLOT in answer to %s", in.Mode).by("%s", describe(&in))
	}
	return outcome{out.Status, out.Flags, out.Body, string(out.Code), string(out.Text), s.state}, nil
}

// address makes an input one of this store.
func (s *store) address(in abi.ReduceInput) abi.ReduceInput {
	in.Slot, in.Ticket, in.Seq = s.slot, s.ticket, s.seq+1
	switch {
	case s.state == nil:
		in.Mode = abi.Fresh
	case s.resident && s.held:
		in.Mode = abi.Resident
	default:
		in.Mode, in.State = abi.WithState, s.state
	}
	return in
}

// run does a walk.
func (s *store) run(walk []abi.ReduceInput) ([]outcome, error) {
	outcomes := make([]outcome, 0, len(walk))
	for _, in := range walk {
		o, err := s.do(in)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// forget begins another life of the store in the same slot.
func (s *store) forget() {
	s.ticket++
	s.seq, s.state, s.held = 0, nil, false
}

// compare returns a breach at the first step in which two walks differ.
func compare(rule, one, other string, walk []abi.ReduceInput, a, b []outcome) error {
	for n := range walk {
		if err := compareStep(rule, one, other, n, &walk[n], &a[n], &b[n]); err != nil {
			return err
		}
	}
	return nil
}

func compareStep(rule, one, other string, n int, in *abi.ReduceInput, a, b *outcome) error {
	if what, x, y := difference(a, b); what != "" {
		return broken(rule, "%s: %s %s, %s %s", what, one, x, other, y).by("action %d of a walk: %s", n+1, text(in.Body))
	}
	return nil
}

func difference(a, b *outcome) (what, x, y string) {
	switch {
	case a.status != b.status:
		return "status", a.status.String(), b.status.String()
	case a.code != b.code:
		return "code", strconv.Quote(a.code), strconv.Quote(b.code)
	case a.text != b.text:
		return "text", strconv.Quote(a.text), strconv.Quote(b.text)
	case !bytes.Equal(a.body, b.body):
		x, y = texts(a.body, b.body)
		return "effects", x, y
	case !bytes.Equal(a.state, b.state):
		x, y = texts(a.state, b.state)
		return "state", x, y
	}
	return "", "", ""
}
