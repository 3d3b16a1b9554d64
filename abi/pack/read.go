package pack

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

const timestampType = -1

// Kind is the kind of a value, as told by its first byte.
type Kind uint8

// The kinds of msgpack.
const (
	Invalid Kind = iota // end of input, or the byte 0xc1
	Nil
	Bool
	Int  // any integer whose form is signed
	Uint // any integer whose form is unsigned, the positive fixint included
	Float
	Str
	Bin
	Array
	Map
	Ext
)

var kindNames = [...]string{"nothing", "nil", "bool", "int", "uint", "float", "str", "bin", "array", "map", "ext"}

func (k Kind) String() string { return kindNames[k] }

// SyntaxError says that bytes are not the msgpack that was asked for.
type SyntaxError struct {
	Offset int    // of the first byte of the offending value
	What   string // what is wrong, for people
}

func (e *SyntaxError) Error() string {
	return "msgpack at byte " + strconv.Itoa(e.Offset) + ": " + e.What
}

// Reader reads values one after another from a byte slice.
//
// The first error sticks: later calls return zero values and Err reports it, so that a decoder checks once, at its end.
// Slices that it returns alias the input. The zero Reader is at the end of an empty input.
type Reader struct {
	buf  []byte
	pos  int
	what string // "" while all is well
}

// NewReader reads from b.
func NewReader(b []byte) Reader { return Reader{buf: b} }

// Reset starts over, on b.
func (r *Reader) Reset(b []byte) { r.buf, r.pos, r.what = b, 0, "" }

// Err is the first error, or nil.
func (r *Reader) Err() error {
	if r.what == "" {
		return nil
	}
	return &SyntaxError{Offset: r.pos, What: r.what}
}

// Fail makes what the error of r, unless it has one. Decoders call it for values of the right kind that they cannot take.
func (r *Reader) Fail(what string) {
	if r.what == "" {
		r.what = what
	}
}

// OK reports whether there was no error yet.
func (r *Reader) OK() bool { return r.what == "" }

// Pos is the offset of the next value.
func (r *Reader) Pos() int { return r.pos }

// More reports whether input is left and there was no error.
func (r *Reader) More() bool { return r.what == "" && r.pos < len(r.buf) }

// End fails when input is left.
func (r *Reader) End() {
	if r.what == "" && r.pos < len(r.buf) {
		r.what = "there are bytes after the value"
	}
}

// Peek tells the kind of the next value without reading it.
func (r *Reader) Peek() Kind {
	if !r.More() {
		return Invalid
	}
	return kindOf(r.buf[r.pos])
}

func kindOf(c byte) Kind {
	switch {
	case c <= 0x7f:
		return Uint
	case c <= 0x8f:
		return Map
	case c <= 0x9f:
		return Array
	case c <= 0xbf:
		return Str
	case c >= 0xe0:
		return Int
	}
	return [...]Kind{ // 0xc0 to 0xdf
		Nil, Invalid, Bool, Bool, Bin, Bin, Bin, Ext, Ext, Ext, Float, Float, Uint, Uint, Uint, Uint,
		Int, Int, Int, Int, Ext, Ext, Ext, Ext, Ext, Str, Str, Str, Array, Array, Map, Map,
	}[c-0xc0]
}

// take returns the n bytes after the first byte of the next value and moves past them; nil after an error.
func (r *Reader) take(n int) []byte {
	if len(r.buf)-r.pos <= n {
		r.what = "the input ends inside a value"
		return nil
	}
	b := r.buf[r.pos+1 : r.pos+1+n]
	r.pos += 1 + n
	return b
}

func (r *Reader) mismatch(want string) {
	if r.what != "" {
		return
	}
	if r.pos >= len(r.buf) {
		r.what = "want " + want + ", have the end of the input"
		return
	}
	if have := kindOf(r.buf[r.pos]); have != Invalid {
		r.what = "want " + want + ", have " + have.String()
		return
	}
	r.what = "the byte 0xc1 begins no value"
}

// Nil reads a nil and reports whether there was one; anything else is left unread.
func (r *Reader) Nil() bool {
	if r.More() && r.buf[r.pos] == 0xc0 {
		r.pos++
		return true
	}
	return false
}

// Bool reads a bool.
func (r *Reader) Bool() bool {
	if r.More() {
		if c := r.buf[r.pos]; c == 0xc2 || c == 0xc3 {
			r.pos++
			return c == 0xc3
		}
	}
	r.mismatch("a bool")
	return false
}

// integer reads any integer form: its magnitude as two's complement, and whether it is negative.
func (r *Reader) integer() (v uint64, negative bool) {
	if !r.More() {
		r.mismatch("an integer")
		return 0, false
	}
	c := r.buf[r.pos]
	switch {
	case c <= 0x7f:
		r.pos++
		return uint64(c), false
	case c >= 0xe0:
		r.pos++
		return uint64(int64(int8(c))), true
	case c < 0xcc || c > 0xd3:
		r.mismatch("an integer")
		return 0, false
	}
	b := r.take(1 << (c & 3))
	switch len(b) {
	case 1:
		v = uint64(b[0])
	case 2:
		v = uint64(binary.BigEndian.Uint16(b))
	case 4:
		v = uint64(binary.BigEndian.Uint32(b))
	case 8:
		v = binary.BigEndian.Uint64(b)
	default:
		return 0, false
	}
	if c >= 0xd0 {
		shift := 64 - 8*len(b)
		v = uint64(int64(v<<shift) >> shift)
		return v, int64(v) < 0
	}
	return v, false
}

// Int reads an integer of any form that fits an int64.
func (r *Reader) Int() int64 {
	start := r.pos
	v, negative := r.integer()
	if !negative && v > math.MaxInt64 {
		r.pos, r.what = start, "the integer does not fit 64 bits with a sign"
		return 0
	}
	return int64(v)
}

// Uint reads an integer of any form that is not negative.
func (r *Reader) Uint() uint64 {
	start := r.pos
	v, negative := r.integer()
	if negative {
		r.pos, r.what = start, "want an integer that is not negative"
		return 0
	}
	return v
}

// Float reads a float32 or float64. Integers are not floats.
func (r *Reader) Float() float64 {
	if r.More() {
		switch r.buf[r.pos] {
		case 0xca:
			if b := r.take(4); b != nil {
				return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
			}
			return 0
		case 0xcb:
			if b := r.take(8); b != nil {
				return math.Float64frombits(binary.BigEndian.Uint64(b))
			}
			return 0
		}
	}
	r.mismatch("a float")
	return 0
}

// size reads a big-endian length of width bytes after the first byte of the value, without moving.
func (r *Reader) size(width int) (int, bool) {
	if len(r.buf)-r.pos <= width {
		r.what = "the input ends inside a value"
		return 0, false
	}
	b := r.buf[r.pos+1:]
	switch width {
	case 1:
		return int(b[0]), true
	case 2:
		return int(binary.BigEndian.Uint16(b)), true
	}
	return int(binary.BigEndian.Uint32(b)), true
}

// body returns the n bytes that follow a header of h bytes.
func (r *Reader) body(h, n int) []byte {
	if n > len(r.buf)-r.pos-h {
		r.what = "the input ends inside a value"
		return nil
	}
	b := r.buf[r.pos+h : r.pos+h+n : r.pos+h+n]
	r.pos += h + n
	return b
}

// Str reads a str; the bytes need not be UTF-8.
func (r *Reader) Str() []byte {
	if r.More() {
		c := r.buf[r.pos]
		if c >= 0xa0 && c <= 0xbf {
			return r.body(1, int(c&31))
		}
		if c >= 0xd9 && c <= 0xdb {
			if n, ok := r.size(1 << (c - 0xd9)); ok {
				return r.body(1+1<<(c-0xd9), n)
			}
			return nil
		}
	}
	r.mismatch("a str")
	return nil
}

// Bin reads a bin.
func (r *Reader) Bin() []byte {
	if r.More() {
		if c := r.buf[r.pos]; c >= 0xc4 && c <= 0xc6 {
			if n, ok := r.size(1 << (c - 0xc4)); ok {
				return r.body(1+1<<(c-0xc4), n)
			}
			return nil
		}
	}
	r.mismatch("a bin")
	return nil
}

// ArrayLen reads the header of an array. The result is at most the number of bytes left, so it may size an allocation.
func (r *Reader) ArrayLen() int { return r.container("an array", 0x90, 0xdc, 1) }

// MapLen reads the header of a map. Twice the result is at most the number of bytes left.
func (r *Reader) MapLen() int { return r.container("a map", 0x80, 0xde, 2) }

func (r *Reader) container(want string, fix, wide byte, each int) int {
	if !r.More() {
		r.mismatch(want)
		return 0
	}
	c, n, h := r.buf[r.pos], 0, 1
	switch {
	case c&0xf0 == fix:
		n = int(c & 15)
	case c == wide || c == wide+1:
		width := 2 << (c - wide)
		size, ok := r.size(width)
		if !ok {
			return 0
		}
		n, h = size, 1+width
	default:
		r.mismatch(want)
		return 0
	}
	if n*each > len(r.buf)-r.pos-h {
		r.what = "the input ends inside a value"
		return 0
	}
	r.pos += h
	return n
}

// Ext reads an extension value.
func (r *Reader) Ext() (typ int8, data []byte) {
	if r.More() {
		c := r.buf[r.pos]
		n, h := 0, 2
		switch {
		case c >= 0xd4 && c <= 0xd8:
			n = 1 << (c - 0xd4)
		case c >= 0xc7 && c <= 0xc9:
			width := 1 << (c - 0xc7)
			size, ok := r.size(width)
			if !ok {
				return 0, nil
			}
			n, h = size, 2+width
		default:
			r.mismatch("an ext")
			return 0, nil
		}
		start := r.pos
		if data = r.body(h, n); data == nil {
			return 0, nil
		}
		return int8(r.buf[start+h-1]), data
	}
	r.mismatch("an ext")
	return 0, nil
}

// Time reads a timestamp (extension type -1, in any of its three forms), in UTC.
func (r *Reader) Time() time.Time {
	start := r.pos
	typ, data := r.Ext()
	if r.what != "" {
		return time.Time{}
	}
	var sec int64
	var ns uint64
	switch {
	case typ == timestampType && len(data) == 4:
		sec = int64(binary.BigEndian.Uint32(data))
	case typ == timestampType && len(data) == 8:
		v := binary.BigEndian.Uint64(data)
		sec, ns = int64(v&(1<<34-1)), v>>34
	case typ == timestampType && len(data) == 12:
		ns, sec = uint64(binary.BigEndian.Uint32(data)), int64(binary.BigEndian.Uint64(data[4:]))
	default:
		r.pos, r.what = start, "want a timestamp"
		return time.Time{}
	}
	if ns > 999_999_999 {
		r.pos, r.what = start, "the timestamp has more than 999,999,999 ns"
		return time.Time{}
	}
	return time.Unix(sec, int64(ns)).UTC()
}
