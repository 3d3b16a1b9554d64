package sdk

import (
	"encoding/binary"
	"errors"
	"reflect"
	"unsafe"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

// actions reads the actions of one type.
type actions struct {
	plan *plan
	at   unsafe.Pointer // where they are read to
	form []segment      // nil = the type has its own codec
	msgp msgpCodec      // of what is at, when it is one
	d    decoder
}

// segment is a part of the form in which an action mostly comes: its type first, then all of its fields in order. The form's bytes up to
// the next value are compared at once, eight by eight, which spares reading keys one after another: about 500 ns in a guest.
type segment struct {
	literal []byte // what has to stand there, behind zeros that make its length a multiple of 8
	length  int    // of the literal without those zeros
	mask    uint64 // the bytes of the first 8 that count
	offset  uintptr
	plan    *plan // of the value that follows, to be stored at offset; nil = the end
	word    bool  // it is an integer of 64 bits
}

// actionsOf reads actions into what value points to.
func actionsOf(value any, action abi.Action) *actions {
	t := reflect.TypeOf(value).Elem()
	p := planOf(t)
	a := &actions{plan: p, at: reflect.ValueOf(value).UnsafePointer(), d: decoder{strict: action.Kind == abi.Command, action: true}}
	switch p.kind {
	case kindMsgp:
		a.msgp = value.(msgpCodec)
		return a
	case kindCodec:
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
	zeros := -len(literal) & 7
	mask := make([]byte, 8)
	for i := zeros; i < 8; i++ {
		mask[i] = 0xff
	}
	s := segment{literal: append(make([]byte, zeros), literal...), length: len(literal), mask: binary.NativeEndian.Uint64(mask)}
	if f != nil {
		s.offset, s.plan = f.offset, f.plan
		s.word = (f.plan.kind == kindInt || f.plan.kind == kindUint) && f.plan.size == 8
	}
	return s
}

// decode reads an action; its place must be zero. Errors are *badAction.
func (a *actions) decode(b []byte) error {
	a.plan.prepare(a.at)
	if a.msgp != nil {
		return a.decodeMsgp(b)
	}
	if err := a.d.whole(a.plan, b, a.at); err != nil {
		return &badAction{err}
	}
	return nil
}

// decodeMsgp reads an action by its generated code alone. The host has checked that b is one well-formed value.
func (a *actions) decodeMsgp(b []byte) error {
	rest, err := a.msgp.UnmarshalMsg(b)
	if err == nil && len(rest) > 0 {
		err = errors.New("there are bytes after the value")
	}
	if err != nil {
		return &badAction{err}
	}
	return nil
}

// decodeForm reads an action that has the form, and reports whether it had. Otherwise b has to be read by decode, which reads all of it again.
//
// REQUIRES: b is a section of a frame: the words that it is compared by may begin before it, in the frame's header.
func (a *actions) decodeForm(b []byte) bool {
	pos, v := 0, a.at
	for i := range a.form {
		s := &a.form[i]
		pos += s.length
		if pos > len(b) || !s.match(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), pos-len(s.literal))) {
			return false
		}
		switch {
		case s.plan == nil:
		case s.word && pos < len(b) && b[pos] <= 0x7f:
			*(*uint64)(unsafe.Add(v, s.offset)) = uint64(b[pos])
			pos++
		default:
			a.d.begin(b[pos:])
			a.d.depth = 1
			s.plan.decode(&a.d, unsafe.Add(v, s.offset))
			if pos += a.d.Pos(); !a.d.OK() {
				return false
			}
		}
	}
	return pos == len(b) && a.form != nil
}

// match compares the literal with what ends where it would end.
func (s *segment) match(b unsafe.Pointer) bool {
	literal := unsafe.Pointer(unsafe.SliceData(s.literal))
	if *(*uint64)(b)&s.mask != *(*uint64)(literal) {
		return false
	}
	for at := 8; at < len(s.literal); at += 8 {
		if *(*uint64)(unsafe.Add(b, at)) != *(*uint64)(unsafe.Add(literal, at)) {
			return false
		}
	}
	return true
}
