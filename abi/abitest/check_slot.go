package abitest

import (
	"bytes"

	"github.com/crhost/crhost/abi"
)

func checkHeld(t *trial) error {
	for _, resident := range []bool{true, false} {
		st, err := t.store(resident)
		if err != nil {
			return err
		}
		for _, in := range t.walk(6, 2*t.cfg.Steps) {
			o, err := st.do(in) // sees to the accepted ones
			if err != nil {
				return err
			}
			if o.status != abi.Rejected {
				continue
			}
			if _, ok, err := st.on.state(st.slot, st.ticket); err != nil {
				return err
			} else if !ok {
				at := st.address(in)
				return broken(ruleHeld, "cr1_state answers NO_SUCH_SLOT after a rejection").by("%s", describe(&at))
			}
		}
	}
	return nil
}

// used returns a store that has been through a walk, in a new instance.
func (t *trial) used(number uint64) (*store, error) {
	st, err := t.store(true)
	if err != nil {
		return nil, err
	}
	_, err = st.run(t.walk(number, t.cfg.Steps))
	return st, err
}

// sameAsNew does a walk in a store and in a new instance, the latter from the same state.
func (t *trial) sameAsNew(rule, what string, st *store, number uint64) error {
	other, err := t.store(true)
	if err != nil {
		return err
	}
	other.ticket, other.seq, other.state = st.ticket, st.seq, st.state
	walk := t.walk(number, t.cfg.Steps)
	got, err := st.run(walk)
	if err != nil {
		return err
	}
	want, err := other.run(walk)
	if err != nil {
		return err
	}
	return compare(rule, what, "in a new instance", walk, got, want)
}

func checkFresh(t *trial) error {
	st, err := t.used(7)
	if err != nil {
		return err
	}
	st.seq, st.state, st.held = 0, nil, false // under the same ticket
	if err := t.sameAsNew("fresh", "FRESH over a held slot", st, 8); err != nil {
		return err
	}
	st.forget()
	return t.sameAsNew("fresh", "FRESH over a held slot, with a new ticket", st, 9)
}

func checkReplace(t *trial) error {
	source, err := t.used(10)
	if err != nil {
		return err
	}
	for _, sameTicket := range []bool{true, false} {
		st, err := t.used(11)
		if err != nil {
			return err
		}
		if !sameTicket {
			st.forget()
		}
		st.seq, st.state, st.held = source.seq, source.state, false
		if err := t.sameAsNew("replace", "STATE over a held slot", st, 12); err != nil {
			return err
		}
	}
	return nil
}

// accepted brings a store to its next accepted action, so that its slot holds its state.
func (t *trial) accepted(st *store, number uint64) error {
	steps := t.walk(number, 4*t.cfg.Steps)
	for _, s := range t.samples {
		steps = append(steps, s.input())
	}
	for _, in := range steps {
		if o, err := st.do(in); err != nil || o.status == abi.OK {
			return err
		}
	}
	return broken("coverage", "a store came to where no sample is accepted: the guest needs sample actions of its own")
}

// welcome returns an input that a new store accepts.
func (t *trial) welcome() (abi.ReduceInput, error) {
	st, err := t.store(false)
	if err != nil {
		return abi.ReduceInput{}, err
	}
	for _, s := range t.samples {
		st.forget()
		in := st.address(s.input())
		if o, err := st.do(in); err != nil || o.status == abi.OK {
			return in, err
		}
	}
	return abi.ReduceInput{}, broken("coverage", "no sample was accepted by a new store: the guest needs sample actions of its own")
}

func checkTickets(t *trial) error {
	st, err := t.store(true)
	if err != nil {
		return err
	}
	for n, ticket := range []uint64{0, 1, 1 << 32, 1 << 63, ^uint64(0)} {
		st.forget()
		st.ticket = ticket
		if err := t.accepted(st, 13+uint64(n)); err != nil {
			return err
		}
		for _, wrong := range []uint64{ticket + 1, ticket - 1, ticket ^ 1<<32, ticket ^ 1<<63} {
			if err := t.wrongTicket(st, wrong); err != nil {
				return err
			}
		}
	}
	if t.slots() {
		if _, ok, err := st.on.state(1, 0); err != nil {
			return err
		} else if ok {
			return broken("tickets", "cr1_state(1, 0) answers OK for a slot that was never used")
		}
	}
	return t.sameAsNew("tickets", "after calls with wrong tickets", st, 20)
}

func (t *trial) wrongTicket(st *store, wrong uint64) error {
	if _, ok, err := st.on.state(st.slot, wrong); err != nil {
		return err
	} else if ok {
		return broken("tickets", "cr1_state with ticket %#x answers OK, the slot holds %#x", wrong, st.ticket)
	}
	if t.slots() {
		in := st.address(t.samples[0].input())
		in.Mode, in.Ticket = abi.Resident, wrong
		out, err := st.on.reduce(&in)
		if err != nil {
			return err
		}
		if out.Status != abi.NoSuchSlot {
			return broken("tickets", "RESIDENT with ticket %#x answers %s, the slot holds %#x", wrong, out.Status, st.ticket)
		}
	}
	if now, ok, err := st.on.state(st.slot, st.ticket); err != nil {
		return err
	} else if !ok || !bytes.Equal(now, st.state) {
		return broken("tickets", "a call with ticket %#x changed the slot, which holds %#x", wrong, st.ticket)
	}
	return nil
}

func checkEvict(t *trial) error {
	st, err := t.store(true)
	if err != nil {
		return err
	}
	neighbour := t.storeOn(st.on, 1, true)
	for n, s := range []*store{st, neighbour} {
		if err := t.accepted(s, 21+uint64(n)); err != nil {
			return err
		}
	}
	holds := func(s *store) (bool, error) {
		now, ok, err := st.on.state(s.slot, s.ticket)
		return ok && bytes.Equal(now, s.state), err
	}
	for _, call := range []struct {
		slot   uint32
		ticket uint64
	}{{0, st.ticket + 1}, {0, neighbour.ticket}, {1, st.ticket}} {
		if err := st.on.evict(call.slot, call.ticket); err != nil {
			return err
		}
		for _, s := range []*store{st, neighbour} {
			if ok, err := holds(s); err != nil {
				return err
			} else if !ok {
				return broken("evict", "cr1_evict(%d, %#x) changed slot %d, which holds %#x", call.slot, call.ticket, s.slot, s.ticket)
			}
		}
	}
	for range 2 { // the second time there is nothing to evict
		if err := st.on.evict(st.slot, st.ticket); err != nil {
			return err
		}
	}
	if _, ok, err := st.on.state(st.slot, st.ticket); err != nil {
		return err
	} else if ok {
		return broken("evict", "cr1_state answers OK after cr1_evict")
	}
	in := st.address(t.samples[0].input())
	if out, err := st.on.reduce(&in); err != nil {
		return err
	} else if in.Mode == abi.Resident && out.Status != abi.NoSuchSlot {
		return broken("evict", "RESIDENT after cr1_evict answers %s", out.Status)
	}
	if ok, err := holds(neighbour); err != nil {
		return err
	} else if !ok {
		return broken("evict", "evicting slot 0 changed slot 1")
	}
	return nil
}

func checkClean(t *trial) error {
	for _, resident := range []bool{true, false} {
		st, err := t.store(resident)
		if err != nil {
			return err
		}
		if err := t.refusedFresh(st); err != nil {
			return err
		}
		for _, in := range t.walk(24, 4*t.cfg.Steps) {
			at := st.address(in)
			o, err := st.do(in)
			if err != nil {
				return err
			}
			if o.flags&abi.Clean == 0 || st.state == nil {
				continue
			}
			now, ok, err := st.on.state(st.slot, st.ticket)
			if err != nil {
				return err
			}
			if !ok || !bytes.Equal(now, st.state) {
				after, before := texts(now, st.state)
				return broken("clean", "%s with CLEAN left %s, before it was %s", o.status, after, before).by("%s", describe(&at))
			}
			st.held = true // as it says
		}
	}
	return nil
}

// refusedFresh starts with each sample that is refused with CLEAN, and wants the slot to be as new: going on in it is like starting.
func (t *trial) refusedFresh(st *store) error {
	next := t.walk(25, 8)
	for n, s := range t.samples {
		st.forget()
		o, err := st.do(s.input())
		if err != nil {
			return err
		}
		if !t.slots() || o.flags&abi.Clean == 0 {
			continue
		}
		on := st.address(next[n%len(next)])
		on.Mode = abi.Resident
		out, err := st.on.reduce(&on)
		if err != nil {
			return err
		}
		state, _, err := st.on.state(st.slot, st.ticket)
		if err != nil {
			return err
		}
		st.forget()
		want, err := st.do(next[n%len(next)])
		if err != nil {
			return err
		}
		if out.Status != want.status || out.Status == abi.OK && !bytes.Equal(state, want.state) {
			return broken("clean", "after FRESH was refused with CLEAN, RESIDENT answers %s with state %s, and FRESH %s with %s",
				out.Status, text(state), want.status, text(want.state)).by("refused: %s", text(s.body))
		}
	}
	st.forget()
	return nil
}

func checkHint(t *trial) error {
	for _, resident := range []bool{true, false} {
		st, err := t.store(resident)
		if err != nil {
			return err
		}
		for _, in := range t.walk(26, 2*t.cfg.Steps) {
			before, at := st.state, st.address(in)
			o, err := st.do(in)
			if err != nil {
				return err
			}
			if o.status == abi.OK && o.flags&abi.StateChanged == 0 && before != nil && !bytes.Equal(before, o.state) {
				from, to := texts(before, o.state)
				return broken("hint", "OK without STATE_CHANGED, and the state went from %s to %s", from, to).by("%s", describe(&at))
			}
		}
	}
	return nil
}
