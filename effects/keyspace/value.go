package keyspace

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

const sumSize = 8

// Value makes the value of a row. Numbers are little-endian, texts and bytes have a u32 length before them.
type Value struct{ b []byte }

// NewValue begins a value of so many bytes between version and checksum; more is allowed.
func NewValue(version uint8, size int) *Value {
	return &Value{append(make([]byte, 0, 1+size+sumSize), version)}
}

// Uint32 adds a number.
func (v *Value) Uint32(n uint32) { v.b = binary.LittleEndian.AppendUint32(v.b, n) }

// Uint64 adds a number.
func (v *Value) Uint64(n uint64) { v.b = binary.LittleEndian.AppendUint64(v.b, n) }

// Text adds a text.
func (v *Value) Text(s string) {
	v.Uint32(uint32(len(s)))
	v.b = append(v.b, s...)
}

// Bytes adds bytes.
func (v *Value) Bytes(b []byte) {
	v.Uint32(uint32(len(b)))
	v.b = append(v.b, b...)
}

// Raw adds bytes without their length: the last field, which [Fields.Rest] reads.
func (v *Value) Raw(b []byte) { v.b = append(v.b, b...) }

// Unsealed returns what was added, without a checksum and with room for one: for who has to change something in it before [Seal].
func (v *Value) Unsealed() []byte { return v.b }

// Seal adds the checksum and returns the value.
func (v *Value) Seal() []byte { return Seal(v.b) }

// Seal adds the checksum to what Unsealed returned.
func Seal(b []byte) []byte { return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b)) }

// Fields reads what Value made. After the first fault it reads zeros; Close reports the fault.
type Fields struct {
	what string
	row  Row
	b    []byte // what is left, without the checksum
	err  error
}

// Open checks the checksum and the version of a row's value. What names the kind of row in errors.
func Open(what string, version uint8, row Row) *Fields {
	f := &Fields{what: what, row: row}
	end := len(row.Value) - sumSize
	switch {
	case end < 1:
		f.Damaged(fmt.Sprintf("%d bytes, fewer than the shortest %s", len(row.Value), what))
	case row.Value[0] != version:
		f.err = &FormatError{What: what, Version: row.Value[0]}
	case binary.LittleEndian.Uint64(row.Value[end:]) != xxhash.Sum64(row.Value[:end]):
		f.Damaged("checksum differs")
	default:
		f.b = row.Value[1:end:end]
	}
	return f
}

// Damaged reports a fault that only the caller can see.
func (f *Fields) Damaged(reason string) {
	if f.err == nil {
		f.err = &CorruptError{What: f.what, Key: f.row.Key, Reason: reason}
		f.b = nil
	}
}

func (f *Fields) take(n uint64) []byte {
	if n > uint64(len(f.b)) {
		f.Damaged(fmt.Sprintf("%d bytes needed, %d left", n, len(f.b)))
	}
	if f.err != nil {
		return nil
	}
	b := f.b[:n:n]
	f.b = f.b[n:]
	return b
}

// Uint32 reads a number.
func (f *Fields) Uint32() uint32 {
	if b := f.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads a number.
func (f *Fields) Uint64() uint64 {
	if b := f.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Text reads a text.
func (f *Fields) Text() string { return string(f.Bytes()) }

// Bytes reads bytes. They are part of the value.
func (f *Fields) Bytes() []byte { return f.take(uint64(f.Uint32())) }

// Rest reads all that is left.
func (f *Fields) Rest() []byte { return f.take(uint64(len(f.b))) }

// Close reports the first fault, be it that something is left.
func (f *Fields) Close() error {
	if len(f.b) != 0 {
		f.Damaged(fmt.Sprintf("%d bytes too many", len(f.b)))
	}
	return f.err
}
