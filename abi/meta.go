package abi

import "github.com/crhost/crhost/abi/pack"

// Meta is what a reducer may know of the circumstances of an action besides what the header says. Encoded it is a msgpack array in the
// order of the fields; readers ignore elements that they do not know and take missing ones as empty.
type Meta struct {
	Store       string // the store's address: tenant/module/key
	Correlation string // the same in everything that one outside action caused
	Causation   string // the leaf or store/seq that caused this action; empty for a command
	Drive       uint64 // which drive of the effect this feedback comes from, from 1; 0 for a command
	Principal   string // who sent it; empty when unknown
}

// Append appends the encoding of m.
func (m *Meta) Append(b []byte) []byte {
	b = pack.AppendArrayLen(b, 5)
	b = pack.AppendString(b, m.Store)
	b = pack.AppendString(b, m.Correlation)
	b = pack.AppendString(b, m.Causation)
	b = pack.AppendUint(b, m.Drive)
	return pack.AppendString(b, m.Principal)
}

// Decode reads m; an empty b is an empty Meta. Errors are *pack.SyntaxError.
func (m *Meta) Decode(b []byte) error {
	*m = Meta{}
	if len(b) == 0 {
		return nil
	}
	r := pack.NewReader(b)
	n := r.ArrayLen()
	for i := 0; i < n && r.OK(); i++ {
		switch i {
		case 0:
			m.Store = string(r.Str())
		case 1:
			m.Correlation = string(r.Str())
		case 2:
			m.Causation = string(r.Str())
		case 3:
			m.Drive = r.Uint()
		case 4:
			m.Principal = string(r.Str())
		default:
			r.Skip()
		}
	}
	r.End()
	return r.Err()
}
