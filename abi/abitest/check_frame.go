package abitest

import (
	"bytes"
	"encoding/binary"

	"github.com/crhost/crhost/abi"
)

func checkManifest(t *trial) error {
	var first []byte
	for n := range 3 {
		i, err := t.instance()
		if err != nil {
			return err
		}
		for range 2 {
			out, err := i.describe()
			switch {
			case err != nil:
				return err
			case first == nil:
				first = out.Body
			case !bytes.Equal(first, out.Body):
				return broken(ruleManifest, "cr1_describe answers other bytes the second time").by("instance %d", n+1)
			}
		}
	}
	var m abi.Manifest
	if err := m.Decode(first); err != nil {
		return broken(ruleManifest, "%v", err)
	}
	t.report.Manifest = &m
	var err error
	t.samples, err = given(&m, t.cfg.Actions)
	return err
}

func checkAnswers(t *trial) error {
	learnt, err := t.learn()
	if err != nil {
		return err
	}
	t.samples = append(learnt, t.samples...)
	return t.everyCall(func(*instance, string, uint64) error { return nil })
}

// everyCall makes each kind of call that may be answered, and shows the result of each to look.
func (t *trial) everyCall(look func(i *instance, call string, span uint64) error) error {
	i, err := t.instance()
	if err != nil {
		return err
	}
	span, err := i.guest.Describe()
	if err != nil {
		return trapped(callDescribe, err)
	}
	if err := look(i, callDescribe, span); err != nil {
		return err
	}
	reduce := func(in abi.ReduceInput) error {
		frame := make([]byte, in.Size())
		in.Encode(frame)
		span, err := i.sendRaw(frame)
		if err == nil {
			err = look(i, callReduce, span)
		}
		if b, ok := err.(*breach); ok {
			return b.by("%s", describe(&in))
		}
		return err
	}
	state := func(ticket uint64) error {
		span, err := i.guest.State(0, ticket)
		if err != nil {
			return trapped(callState, err)
		}
		return look(i, callState, span)
	}
	for n, in := range t.walk(1, t.cfg.Steps) {
		in.Mode, in.Ticket, in.Seq = abi.Fresh, uint64(n), 1
		if err := reduce(in); err != nil {
			return err
		}
		if err := state(in.Ticket); err != nil {
			return err
		}
		if !t.slots() {
			continue
		}
		in.Mode, in.Seq = abi.Resident, 2
		if err := reduce(in); err != nil {
			return err
		}
		in.Ticket += firstTicket // which it does not hold
		if err := reduce(in); err != nil {
			return err
		}
		if err := state(in.Ticket); err != nil {
			return err
		}
		if err := i.evict(0, in.Ticket); err != nil {
			return err
		}
	}
	return i.idle()
}

func checkBuffer(t *trial) error {
	i, err := t.instance()
	if err != nil {
		return err
	}
	limits := t.report.Manifest.Limits.OrDefault()
	most := uint32(abi.ReduceHeaderLen + limits.ActionBytes + abi.MaxMetaBytes + abi.PageBytes)
	for _, size := range []uint32{1, abi.ReduceHeaderLen, 1000, most, 8, 4097} {
		ptr, err := i.guest.Buffer(size)
		if err != nil {
			return trapped("cr1_buffer", err)
		}
		end := uint64(ptr) + uint64(size)
		switch {
		case ptr%8 != 0:
			return broken(ruleBuffer, "cr1_buffer(%d) answers %d, which is not 8-aligned", size, ptr)
		case end > uint64(len(i.guest.Memory())):
			return broken(ruleBuffer, "cr1_buffer(%d): [%d, %d) is outside memory of %d bytes", size, ptr, end, len(i.guest.Memory()))
		}
	}
	// One large buffer must do for all that follows.
	i.size = 0
	if err := i.write(make([]byte, 1<<14)); err != nil {
		return err
	}
	kept, err := t.storeOn(i, 0, true).run(t.walk(2, t.cfg.Steps))
	if err != nil {
		return err
	}
	fresh, err := t.store(true)
	if err != nil {
		return err
	}
	grown, err := fresh.run(t.walk(2, t.cfg.Steps))
	if err != nil {
		return err
	}
	return compare(ruleBuffer, "with one large buffer", "with a growing one", t.walk(2, t.cfg.Steps), kept, grown)
}

func checkOutput(t *trial) error {
	return t.everyCall(func(i *instance, call string, span uint64) error {
		_, err := i.output(call, span)
		return err
	})
}

func checkStatus(t *trial) error {
	return t.everyCall(func(i *instance, call string, span uint64) error {
		_, err := i.read(call, span)
		return err
	})
}

func checkHeader(t *trial) error {
	walk := t.walk(4, t.cfg.Steps)
	known, err := t.store(true)
	if err != nil {
		return err
	}
	want, err := known.run(walk)
	if err != nil {
		return err
	}
	longer, err := t.store(true)
	if err != nil {
		return err
	}
	for n, in := range walk {
		at := longer.address(in)
		frame := make([]byte, at.Size())
		at.Encode(frame)
		out, err := longer.on.send(lengthen(frame))
		if err != nil {
			return broken("header", "a frame with a header of %d bytes: %v", abi.ReduceHeaderLen+8, err)
		}
		longer.held = out.Status == abi.OK
		if longer.held {
			longer.seq++
			if longer.state, _, err = longer.on.state(longer.slot, longer.ticket); err != nil {
				return err
			}
		}
		got := outcome{out.Status, out.Flags, out.Body, string(out.Code), string(out.Text), longer.state}
		if err := compareStep("header", "with a longer header", "as it is", n, &walk[n], &got, &want[n]); err != nil {
			return err
		}
	}
	return nil
}

// lengthen adds 8 bytes to the header of a reduce frame.
func lengthen(frame []byte) []byte {
	longer := append([]byte(nil), frame[:abi.ReduceHeaderLen]...)
	longer = append(longer, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	longer = append(longer, frame[abi.ReduceHeaderLen:]...)
	binary.LittleEndian.PutUint16(longer[2:], abi.ReduceHeaderLen+8)
	return longer
}
