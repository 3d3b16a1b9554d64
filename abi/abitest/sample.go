package abitest

import (
	"fmt"
	"math/rand/v2"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

// A sample is an action that the host could send.
type sample struct {
	action uint16
	body   []byte
}

// given checks the caller's samples.
func given(m *abi.Manifest, bodies [][]byte) ([]sample, error) {
	var samples []sample
	for n, body := range bodies {
		typ, err := abi.TypeOf(body)
		if err != nil {
			return nil, fmt.Errorf("sample action %d: %w", n, err)
		}
		i, ok := index(m, string(typ))
		if !ok {
			return nil, fmt.Errorf("sample action %d: the guest has no action %q", n, typ)
		}
		samples = append(samples, sample{i, body})
	}
	return samples, nil
}

func index(m *abi.Manifest, typ string) (uint16, bool) {
	for i, a := range m.Actions {
		if a.Type == typ {
			return uint16(i), true
		}
	}
	return 0, false
}

// A field is a key and its encoded value.
type field struct {
	name  string
	value []byte
}

func action(typ string, fields []field) []byte {
	b := pack.AppendMapLen(nil, 1+len(fields))
	b = pack.AppendString(pack.AppendString(b, "type"), typ)
	for _, f := range fields {
		b = append(pack.AppendString(b, f.name), f.value...)
	}
	return b
}

// withField gives each field of each action's samples the value, one at a time.
func (t *trial) withField(value []byte) []sample {
	type place struct {
		action uint16
		name   string
	}
	seen := map[place]bool{}
	var samples []sample
	for _, s := range t.samples {
		r := pack.NewReader(s.body)
		for n := r.MapLen(); n > 0 && r.OK(); n-- {
			at := place{s.action, string(r.Str())}
			if at.name != "type" && !seen[at] {
				seen[at] = true
				typ := t.report.Manifest.Actions[s.action].Type
				samples = append(samples, sample{s.action, action(typ, []field{{at.name, value}})})
			}
			r.Skip()
		}
	}
	return samples
}

// walk draws n inputs from the samples. Equal numbers give equal walks.
func (t *trial) walk(number uint64, n int) []abi.ReduceInput {
	random := rand.New(rand.NewPCG(t.cfg.Seed, number))
	now := int64(1_700_000_000_000_000_000)
	walk := make([]abi.ReduceInput, n)
	for i := range walk {
		s := t.samples[random.IntN(len(t.samples))]
		now += random.Int64N(1_000_000_000)
		meta := abi.Meta{Store: sampleStore, Correlation: fmt.Sprint("c", i)}
		in := abi.ReduceInput{Action: s.action, Now: now, Body: s.body, Meta: meta.Append(nil)}
		for j := range in.Seed {
			in.Seed[j] = byte(random.Uint32())
		}
		walk[i] = in
	}
	return walk
}

// sampleStore is the address that every sample comes with: a guest may rely on there being one.
const sampleStore = "default/abitest/main"

// input is the one step that tries a sample.
func (s sample) input() abi.ReduceInput {
	meta := abi.Meta{Store: sampleStore}
	return abi.ReduceInput{Action: s.action, Body: s.body, Now: 1_700_000_000_000_000_000, Meta: meta.Append(nil)}
}
