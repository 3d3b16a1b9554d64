package sdk

import (
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

// handler does the actions of one type: it reads an action to its place and runs the reducer's function on it.
type handler struct {
	// run runs the function on the state in a slot and the action in its place. It reports whether the action was accepted without effects; if not, the
	// rest is in the Guest. (Returning the rest would make every action carry it through two calls.)
	run   func(slot uint32) bool
	clear func() // zeroes the place

	plan  *plan
	at    unsafe.Pointer // the place
	form  []segment      // nil = the type has its own codec
	short []segment      // the form, if its values are all integers of 64 bits; else nil
	msgp  msgpCodec      // of what is at, when it is one
	typed segment        // how an action for msgp mostly begins, behind its map's header; of length 0 when that means nothing
	d     decoder
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

// newHandler returns a handler without its functions, whose place is what value points to.
func newHandler(value any, action abi.Action) *handler {
	t := reflect.TypeOf(value).Elem()
	p := planOf(t)
	h := &handler{plan: p, at: reflect.ValueOf(value).UnsafePointer(), d: decoder{strict: action.Kind == abi.Command, action: true}}
	switch p.kind {
	case kindMsgp:
		h.msgp = value.(msgpCodec)
		if !namesType(t) {
			h.typed = newSegment(pack.AppendString(pack.AppendString(nil, "type"), action.Type), nil)
		}
		return h
	case kindCodec:
		return h
	case kindStruct:
	default:
		panic("sdk: action " + action.Type + ": a " + t.String() + " has no fields; use a struct")
	}
	literal := pack.AppendMapLen(nil, len(p.fields)+1)
	literal = pack.AppendString(pack.AppendString(literal, "type"), action.Type)
	for i := range p.fields {
		f := &p.fields[i]
		if len(f.plan.preset) > 0 { // in the form no field is absent; but one inside this may be
			h.form = nil
			return h
		}
		h.form = append(h.form, newSegment(pack.AppendString(literal, f.name), f))
		literal = nil
	}
	if literal != nil {
		h.form = append(h.form, newSegment(literal, nil))
	}
	if !slices.ContainsFunc(h.form, func(s segment) bool { return s.plan != nil && !s.word }) {
		h.short = h.form
	}
	return h
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

// read reads an action to its place. Errors are *badAction.
func (h *handler) read(b []byte) error {
	h.clear()
	if h.msgp != nil {
		return h.readMsgp(b)
	}
	if h.readForm(b) {
		return nil
	}
	h.clear()
	h.plan.prepare(h.at)
	if err := h.d.whole(h.plan, b, h.at); err != nil {
		return &badAction{err}
	}
	return nil
}

// readMsgp reads an action by its generated code alone. The host has checked that b is one well-formed value.
//
// The type mostly comes first. Then the code is given the map behind it, for skipping a key that it does not know costs it as much as all else: the last byte
// of the type's name, which nobody needs any more, becomes the header of a map of one key less.
//
// REQUIRES: as of readForm.
func (h *handler) readMsgp(b []byte) error {
	if len(h.plan.preset) > 0 {
		h.plan.prepare(h.at)
	}
	n := h.typed.length
	if n > 0 && len(b) > n && b[0]&0xf0 == 0x80 && h.typed.match(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), 1+n-len(h.typed.literal))) {
		less := b[0] - 1 // not empty: it has a type
		b = b[n:]
		b[0] = less
	}
	rest, err := h.msgp.UnmarshalMsg(b)
	if err == nil && len(rest) > 0 {
		err = errors.New("there are bytes after the value")
	}
	if err != nil {
		return &badAction{err}
	}
	return nil
}

// namesType reports whether generated code for t might care for the key type.
func namesType(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return true
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name := strings.ToLower(f.Name + " " + string(f.Tag))
		if f.Anonymous || strings.Contains(name, "type") || strings.Contains(name, "flatten") {
			return true
		}
	}
	return false
}

// readForm reads an action that has the form, and reports whether it had. If not, the place holds anything.
//
// REQUIRES: b is a section of a frame: the words that it is compared by may begin before it, in the frame's header.
func (h *handler) readForm(b []byte) bool {
	pos := 0
	for i := range h.form {
		s := &h.form[i]
		pos += s.length
		if pos > len(b) || !s.match(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), pos-len(s.literal))) {
			return false
		}
		if s.plan != nil {
			h.d.begin(b[pos:])
			h.d.depth = 1
			s.plan.decode(&h.d, unsafe.Add(h.at, s.offset))
			if pos += h.d.Pos(); !h.d.OK() {
				return false
			}
		}
	}
	return pos == len(b) && h.form != nil
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
