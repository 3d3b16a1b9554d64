package abitest

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

func checkUnknown(t *trial) error {
	for _, lie := range []struct {
		what   string
		offset int
		value  byte
	}{{"version 2", 0, 2}, {"mode 3", 4, 3}, {"mode 255", 4, 255}, {"a byte of flags", 5, 1}, {"flag 1", 8, 1}, {"flag 1<<31", 11, 0x80}} {
		i, err := t.instance()
		if err != nil {
			return err
		}
		in := t.samples[0].input()
		in.Ticket, in.Seq = firstTicket, 1
		frame := make([]byte, in.Size())
		in.Encode(frame)
		frame[lie.offset] = lie.value
		out, err := i.send(frame)
		if err == nil {
			return broken("unknown", "cr1_reduce with %s answers %s instead of trapping", lie.what, out.Status)
		}
		if !isTrap(err) {
			return err
		}
	}
	return nil
}

func isTrap(err error) bool {
	var b *breach
	return errors.As(err, &b) && b.rule == ruleAnswers
}

func checkLengths(t *trial) error {
	good, err := t.welcome()
	if err != nil {
		return err
	}
	for _, lie := range []struct {
		what   string
		offset int
		value  uint32
	}{
		{"state", 56, math.MaxUint32}, {"action", 60, math.MaxUint32}, {"meta", 64, math.MaxUint32},
		{"state", 56, 1 << 16}, {"action", 60, 1 << 16}, {"action", 60, 1 << 31}, {"meta", 64, 1 << 16},
		{"header", 0, abi.Version | 0xfff8<<16}, {"header", 0, abi.Version | 8<<16},
	} {
		i, err := t.instance()
		if err != nil {
			return err
		}
		frame := make([]byte, good.Size())
		good.Encode(frame)
		binary.LittleEndian.PutUint32(frame[lie.offset:], lie.value)
		out, err := i.send(frame)
		switch {
		case err == nil && out.Status == abi.OK:
			return broken("lengths", "a frame of %d bytes with the %s length %d is answered OK", len(frame), lie.what, lie.value)
		case err != nil && !isTrap(err):
			return err
		}
	}
	return t.cutActions()
}

// cutActions sends actions that end before they should, or claim to go on for ever.
func (t *trial) cutActions() error {
	i, err := t.instance()
	if err != nil {
		return err
	}
	for _, s := range t.samples {
		bodies := [][]byte{{0xdf, 0xff, 0xff, 0xff, 0xff}, {0x81, 0xdb, 0xff, 0xff, 0xff, 0xff}, {0x81, 0xa1, 'x', 0xc6, 0xff, 0xff, 0xff, 0xff},
			{0x81, 0xa1, 'x', 0xdd, 0xff, 0xff, 0xff, 0xff, 0x01}, {0x81, 0xa1, 'x', 0xc9, 0xff, 0xff, 0xff, 0xff, 0x01}, {0xc1}}
		for n := range s.body {
			bodies = append(bodies, s.body[:n])
		}
		for _, body := range bodies {
			in := sample{s.action, body}.input()
			in.Ticket, in.Seq = firstTicket, 1
			out, err := i.reduce(&in)
			if err != nil {
				return broken("lengths", "an action that ends early: %v", err).by("%s", describe(&in))
			}
			if out.Status != abi.BadAction {
				return broken("lengths", "an action that ends early is answered %s, want BAD_ACTION", out.Status).by("%s", describe(&in))
			}
		}
	}
	return nil
}

// strange are well-formed values of every kind.
func strange() [][]byte {
	nested := pack.AppendArrayLen(nil, 1)
	for range pack.MaxDepth - 3 {
		nested = pack.AppendArrayLen(nested, 1)
	}
	nested = pack.AppendNil(nested)
	long := make([]byte, 4000)
	for i := range long {
		long[i] = 'x'
	}
	return [][]byte{
		pack.AppendNil(nil), pack.AppendBool(nil, true), pack.AppendInt(nil, -1), pack.AppendUint(nil, math.MaxUint64),
		pack.AppendInt(nil, math.MinInt64), pack.AppendFloat(nil, 1e300), pack.AppendFloat(nil, math.NaN()), pack.AppendFloat32(nil, -0.5),
		pack.AppendString(nil, ""), pack.AppendString(nil, "\xff\x00"), pack.AppendStringBytes(nil, long), pack.AppendBin(nil, long),
		pack.AppendArrayLen(nil, 0), pack.AppendMapLen(nil, 0), nested,
		{0x81, 0xc0, 0xc0}, // a map with nil for a key
		pack.AppendExt(nil, 5, []byte("abc")), pack.AppendExt(nil, -1, make([]byte, 12)), pack.AppendExt(nil, 1, nil),
	}
}

func checkBadAction(t *trial) error {
	st, err := t.store(true)
	if err != nil {
		return err
	}
	for _, value := range strange() {
		for _, s := range t.withField(value) {
			in := st.address(s.input())
			if _, err := st.on.reduce(&in); isTrap(err) {
				return broken("bad_action", "an action with a field of another type: %v", err).by("%s", describe(&in))
			} else if err != nil {
				return err
			}
		}
	}
	st.forget()
	return t.sameAsNew("bad_action", "after bad actions", st, 101)
}

func checkBadState(t *trial) error {
	source, err := t.store(true)
	if err != nil {
		return err
	}
	if err := t.accepted(source, 102); err != nil {
		return err
	}
	if _, err := source.run(t.walk(103, t.cfg.Steps)); err != nil {
		return err
	}
	st, err := t.store(true)
	if err != nil {
		return err
	}
	bring := func(state []byte) (abi.Status, *abi.ReduceInput, error) {
		st.forget()
		in := st.address(t.samples[0].input())
		in.Mode, in.State = abi.WithState, state
		out, err := st.on.reduce(&in)
		if isTrap(err) {
			return 0, &in, broken("bad_state", "bytes that are not a state: %v", err).by("%s", describe(&in))
		}
		return out.Status, &in, err
	}
	not := [][]byte{{0xc1}, {0xdf, 0xff, 0xff, 0xff, 0xff}, {0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdb, 0xff, 0xff, 0xff, 0xff}, {0xc6, 0xff, 0xff, 0xff, 0xff},
		append(append([]byte(nil), source.state...), 0xc0)}
	for n := range source.state {
		not = append(not, source.state[:n])
	}
	for _, state := range not {
		status, in, err := bring(state)
		if err != nil {
			return err
		}
		if status != abi.BadState {
			return broken("bad_state", "bytes that are not one msgpack value are answered %s, want BAD_STATE", status).by("%s", describe(in))
		}
	}
	for n := range source.state { // what they mean is unknown: they only must not trap
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			state := append([]byte(nil), source.state...)
			state[n] ^= flip
			if _, _, err := bring(state); err != nil {
				return err
			}
		}
	}
	st.forget()
	return t.sameAsNew("bad_state", "after bad states", st, 104)
}
