package sdk

import (
	"encoding/binary"
	"reflect"
	"unsafe"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

// actions reads the actions of one type.
type actions struct {
	plan *plan
	form []segment // nil = the type has its own codec
	d    decoder
}

// segment is a part of the form in which an action mostly comes: its type first, then all of its fields in order. The form's bytes up to
// the next value are compared at once, eight by eight, which spares reading keys one after another: about 500 ns in a guest.
type segment struct {
	literal []byte // what has to stand there
	tail    uint64 // its last 8 bytes; for a shorter one, zeros before it
	mask    uint64 // the bytes of tail that count
	field   *field // what follows; nil = the end
	word    bool   // the field is an integer of 64 bits
}

func actionsOf(t reflect.Type, action abi.Action) *actions {
	p := planOf(t)
	a := &actions{plan: p, d: decoder{strict: action.Kind == abi.Command, action: true}}
	switch p.kind {
	case kindCodec, kindMsgp:
		return a
	case kindStruct:
	default:
		panic("sdk: action " + action.Type + ": a " + t.String() + " has no fields; use a struct")
	}
	literal := pack.AppendMapLen(nil, len(p.fields)+1)
	literal = pack.AppendString(pack.AppendString(literal, "type"), action.Type)
	for i := range p.fields {
		f := &p.fields[i]
		a.form = append(a.form, newSegment(pack.AppendString(literal, f.name), f))
		literal = nil
	}
	if literal != nil {
		a.form = append(a.form, newSegment(literal, nil))
	}
	return a
}

func newSegment(literal []byte, f *field) segment {
	s := segment{literal: literal, field: f, mask: ^uint64(0)}
	var last [8]byte
	if n := len(literal); n < 8 {
		copy(last[8-n:], literal)
		s.mask <<= 8 * (8 - n)
	} else {
		copy(last[:], literal[n-8:])
	}
	s.tail = binary.LittleEndian.Uint64(last[:])
	s.word = f != nil && (f.plan.kind == kindInt || f.plan.kind == kindUint) && f.plan.size == 8
	return s
}

// decode reads an action into the zero value at v. Errors are *badAction.
func (a *actions) decode(b []byte, v unsafe.Pointer) error {
	if a.form != nil && a.decodeForm(b, v) {
		return nil
	}
	a.plan.prepare(v)
	if err := a.d.whole(a.plan, b, v); err != nil {
		return &badAction{err}
	}
	return nil
}

// decodeForm reads an action that has the form, and reports whether it had. Otherwise b has to be read key by key: what is in v then is read
// again.
func (a *actions) decodeForm(b []byte, v unsafe.Pointer) bool {
	pos := 0
	for i := range a.form {
		s := &a.form[i]
		end := pos + len(s.literal)
		if end < 8 || end > len(b) || binary.LittleEndian.Uint64(b[end-8:])&s.mask != s.tail {
			return false
		}
		for at := 0; at+8 < len(s.literal); at += 8 {
			if binary.LittleEndian.Uint64(b[pos+at:]) != binary.LittleEndian.Uint64(s.literal[at:]) {
				return false
			}
		}
		pos = end
		switch {
		case s.field == nil:
		case s.word && pos < len(b) && b[pos] <= 0x7f:
			*(*uint64)(unsafe.Add(v, s.field.offset)) = uint64(b[pos])
			pos++
		default:
			a.d.begin(b[pos:])
			a.d.depth = 1
			s.field.plan.decode(&a.d, unsafe.Add(v, s.field.offset))
			pos += a.d.Pos()
			if !a.d.OK() {
				return false
			}
		}
	}
	return pos == len(b)
}
