package abitest

import (
	"bytes"

	"github.com/crhost/crhost/abi"
)

func checkTwin(t *trial) error {
	for _, resident := range []bool{true, false} {
		walk := t.walk(30, 2*t.cfg.Steps)
		var outcomes [2][]outcome
		for n := range outcomes {
			st, err := t.store(resident)
			if err != nil {
				return err
			}
			if outcomes[n], err = st.run(walk); err != nil {
				return err
			}
		}
		if err := compare("twin", "one instance", "the other", walk, outcomes[0], outcomes[1]); err != nil {
			return err
		}
	}
	return nil
}

// checkResidency goes on in three ways: in the slot; from the encoded state in one instance, the slot evicted after each step; and
// from the encoded state in a new instance every few steps, so that nothing but the bytes can carry over.
func checkResidency(t *trial) error {
	for number := range uint64(2) {
		walk := t.walk(31+number, 2*t.cfg.Steps)
		resident, err := t.store(true)
		if err != nil {
			return err
		}
		want, err := resident.run(walk)
		if err != nil {
			return err
		}
		encoded, err := t.store(false)
		if err != nil {
			return err
		}
		for n, in := range walk {
			if n%16 == 15 {
				if encoded.on, err = t.instance(); err != nil {
					return err
				}
			}
			got, err := encoded.do(in)
			if err != nil {
				return err
			}
			if err := compareStep("residency", "from the encoded state", "going on", n, &walk[n], &got, &want[n]); err != nil {
				return err
			}
			if err := encoded.on.evict(encoded.slot, encoded.ticket); err != nil {
				return err
			}
			encoded.ticket++
		}
	}
	return nil
}

// checkLeak runs several stores in turns in one instance, drops and restarts some of them, and wants of each what it does alone.
func checkLeak(t *trial) error {
	shared, err := t.instance()
	if err != nil {
		return err
	}
	slots := uint32(4)
	if n := t.report.Manifest.Slots; n != 0 {
		slots = min(slots, n)
	}
	var together, alone []*store
	for slot := range slots {
		st, err := t.store(true)
		if err != nil {
			return err
		}
		st.slot, st.ticket = 0, firstTicket // where every other rule has its store
		alone = append(alone, st)
		together = append(together, t.storeOn(shared, slot, true))
	}
	walks := make([][]abi.ReduceInput, slots)
	for slot := range walks {
		walks[slot] = t.walk(40+uint64(slot), t.cfg.Steps)
	}
	for n := range t.cfg.Steps {
		for slot, st := range together {
			in := walks[slot][n]
			got, err := st.do(in)
			if err != nil {
				return err
			}
			want, err := alone[slot].do(in)
			if err != nil {
				return err
			}
			if err := compareStep("leak", "beside other stores", "alone", n, &in, &got, &want); err != nil {
				return err
			}
			if slot == 1 && n%8 == 7 {
				if err := shared.evict(st.slot, st.ticket); err != nil {
					return err
				}
				st.forget()
				alone[slot].forget()
			}
		}
	}
	return nil
}

// live runs n actions through short lives of one store, with housekeeping as a host does it.
func (t *trial) live(st *store, number uint64, n int) error {
	const life = 16
	walk := t.walk(number, 16*life)
	memory := 0
	for done := 0; done < n; done++ {
		if done%life == 0 {
			st.forget()
		}
		if _, err := st.do(walk[done%len(walk)]); err != nil {
			return err
		}
		if size := len(st.on.guest.Memory()); size > memory || done%1000 == 999 {
			if err := st.on.idle(); err != nil {
				return err
			}
			memory = len(st.on.guest.Memory())
		}
	}
	return nil
}

func checkAge(t *trial) error {
	st, err := t.store(true)
	if err != nil {
		return err
	}
	for n := range uint64(4) {
		if err := t.live(st, 50+n, t.cfg.Rounds/4); err != nil {
			return err
		}
		st.forget()
		if err := t.sameAsNew("age", "in an old instance", st, 60+n); err != nil {
			return err
		}
	}
	return nil
}

func checkIdle(t *trial) error {
	i, err := t.instance()
	if err != nil {
		return err
	}
	slots := uint32(3)
	if n := t.report.Manifest.Slots; n != 0 {
		slots = min(slots, n)
	}
	var stores []*store
	for slot := range slots {
		st := t.storeOn(i, slot, true)
		if _, err := st.run(t.walk(70+uint64(slot), t.cfg.Steps)); err != nil {
			return err
		}
		if err := t.accepted(st, 75+uint64(slot)); err != nil {
			return err
		}
		stores = append(stores, st)
	}
	for range 2 {
		if err := i.idle(); err != nil {
			return err
		}
		for _, st := range stores {
			now, ok, err := i.state(st.slot, st.ticket)
			if err != nil {
				return err
			}
			if !ok || !bytes.Equal(now, st.state) {
				from, to := texts(st.state, now)
				return broken("idle", "cr1_idle changed slot %d from %s to %s", st.slot, from, to)
			}
		}
	}
	return t.sameAsNew("idle", "after cr1_idle", stores[0], 80)
}

func checkMemory(t *trial) error {
	st, err := t.store(true)
	if err != nil {
		return err
	}
	if err := t.live(st, 90, t.cfg.Rounds/2); err != nil {
		return err
	}
	warm := len(st.on.guest.Memory())
	if err := t.live(st, 90, t.cfg.Rounds/2); err != nil {
		return err
	}
	if grown := len(st.on.guest.Memory()) - warm; grown > abi.PageBytes {
		return broken("memory", "memory grew from %d to %d bytes over %d actions after as many for warm-up", warm, warm+grown, t.cfg.Rounds/2)
	}
	return nil
}
