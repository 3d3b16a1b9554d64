package abitest

import (
	"bytes"
	"math"
	"strings"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

func checkCoverage(t *trial) error {
	accepted := make([]int, len(t.report.Manifest.Actions))
	st, err := t.store(false)
	if err != nil {
		return err
	}
	try := func(in abi.ReduceInput) error {
		o, err := st.do(in)
		if o.status == abi.OK {
			accepted[in.Action]++
		}
		return err
	}
	for _, s := range t.samples {
		st.forget()
		if err := try(s.input()); err != nil {
			return err
		}
	}
	for _, in := range t.walk(3, 4*t.cfg.Steps) {
		if err := try(in); err != nil {
			return err
		}
	}
	var never []string
	for n, a := range t.report.Manifest.Actions {
		if accepted[n] == 0 {
			never = append(never, a.Type)
		}
	}
	switch {
	case len(never) == len(accepted):
		return broken("coverage", "no sample was accepted: the guest needs sample actions of its own")
	case len(never) > 0:
		b := broken("coverage", "no sample of %s was accepted: what they do was not checked", strings.Join(never, ", "))
		b.severity = Warning
		return b
	}
	return nil
}

func checkEffects(t *trial) error {
	limits := t.report.Manifest.Limits.OrDefault()
	return t.everyCall(func(i *instance, call string, span uint64) error {
		out, err := i.read(call, span)
		if err != nil || call != callReduce || out.Status != abi.OK {
			return err
		}
		if uint64(len(out.Body)) > limits.EffectsBytes {
			return broken("effects", "effects of %d bytes, the limit is %d", len(out.Body), limits.EffectsBytes)
		}
		effects, err := abi.DecodeEffects(out.Body)
		if err != nil {
			return broken("effects", "%v", err)
		}
		return undeclared(t.report.Manifest, effects)
	})
}

// undeclared returns a breach for the first effect that the manifest does not allow.
func undeclared(m *abi.Manifest, effects []abi.Effect) error {
	for _, e := range effects {
		if e.Kind.Leaf() && !m.Allows(e.Kind, e.Target) {
			return broken("effects", "an effect %s to %q that the manifest does not declare", e.Kind, e.Target)
		}
		if err := undeclared(m, e.Children); err != nil {
			return err
		}
	}
	return nil
}

func checkState(t *trial) error {
	limits := t.report.Manifest.Limits.OrDefault()
	st, err := t.store(true)
	if err != nil {
		return err
	}
	for _, in := range t.walk(5, t.cfg.Steps) {
		if o, err := st.do(in); err != nil || o.status != abi.OK {
			if err != nil {
				return err
			}
			continue
		}
		if err := pack.Valid(st.state); err != nil {
			return broken("state", "the state is not one msgpack value: %v", err).by("% x", st.state[:min(len(st.state), 64)])
		}
		if uint64(len(st.state)) > limits.StateBytes {
			return broken("state", "a state of %d bytes, the limit is %d", len(st.state), limits.StateBytes)
		}
		again, ok, err := st.on.state(st.slot, st.ticket)
		if err != nil {
			return err
		}
		if !ok || !bytes.Equal(again, st.state) {
			first, second := texts(st.state, again)
			return broken("state", "asked twice, cr1_state answers %s and then %s", first, second)
		}
	}
	return nil
}

func checkNaN(t *trial) error {
	st, err := t.store(true)
	if err != nil {
		return err
	}
	steps := t.walk(15, t.cfg.Steps)
	for _, s := range t.withField(pack.AppendFloat(nil, math.NaN())) {
		steps = append(steps, s.input())
	}
	for _, in := range steps {
		o, err := st.do(in)
		if err != nil {
			return err
		}
		for _, written := range [][]byte{o.body, o.state} {
			if nan := foreignNaN(written); nan != nil {
				return broken("nan", "a NaN is written as % x", nan).by("after %s", text(in.Body))
			}
		}
	}
	return nil
}

// foreignNaN returns the first NaN that is not written as the contract wants it.
func foreignNaN(b []byte) []byte {
	r := pack.NewReader(b)
	for r.More() { // headers and scalars one after another, whatever they belong to
		switch r.Peek() {
		case pack.Array:
			r.ArrayLen()
		case pack.Map:
			r.MapLen()
		case pack.Float:
			raw := r.Raw()
			f := pack.NewReader(raw)
			if v := f.Float(); v != v && !bytes.Equal(raw, pack.AppendFloat(nil, v)) && !bytes.Equal(raw, pack.AppendFloat32(nil, float32(v))) {
				return raw
			}
		default:
			r.Skip()
		}
	}
	return nil
}
