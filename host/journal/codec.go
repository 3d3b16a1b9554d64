package journal

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// writer encodes the value of a row: a version, fields, a checksum. Numbers are little-endian, byte strings have a u32 length before them.
type writer struct {
	b []byte
}

func newWriter(version uint8, size int) *writer {
	b := make([]byte, 0, 1+size+checksumSize)
	return &writer{append(b, version)}
}

func (w *writer) u32(v uint32)   { w.b = binary.LittleEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64)   { w.b = binary.LittleEndian.AppendUint64(w.b, v) }
func (w *writer) fixed(v []byte) { w.b = append(w.b, v...) }

func (w *writer) bytes(v []byte) {
	w.u32(uint32(len(v)))
	w.b = append(w.b, v...)
}

func (w *writer) text(v string) {
	w.u32(uint32(len(v)))
	w.b = append(w.b, v...)
}

func (w *writer) seal() []byte {
	w.u64(xxhash.Sum64(w.b))
	return w.b
}

// reader decodes the value of a row. After the first fault it reads zeros; close reports the fault.
type reader struct {
	what string
	key  []byte
	b    []byte // without the checksum
	off  int
	err  error
}

func newReader(what string, version uint8, key, value []byte) *reader {
	r := &reader{what: what, key: key, b: value, off: 1}
	end := len(value) - checksumSize
	switch {
	case end < 1:
		r.damaged(len(value), "%d bytes, fewer than the shortest %s", len(value), what)
	case value[0] != version:
		r.err = &FormatError{What: what, Version: value[0]}
	case binary.LittleEndian.Uint64(value[end:]) != xxhash.Sum64(value[:end]):
		r.damaged(end, "checksum differs")
	default:
		r.b = value[:end:end]
	}
	return r
}

func (r *reader) damaged(offset int, format string, args ...any) {
	if r.err == nil {
		r.err = &CorruptError{What: r.what, Key: fmt.Sprintf("%q", r.key), Offset: offset, Reason: fmt.Sprintf(format, args...)}
	}
}

// take returns the next n bytes, or nil after a fault.
func (r *reader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.b)-r.off) {
		r.damaged(r.off, "%d bytes needed, %d left", n, len(r.b)-r.off)
	}
	if r.err != nil {
		return nil
	}
	from := r.off
	r.off += int(n)
	return r.b[from:r.off:r.off]
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) fixed(dst []byte) { copy(dst, r.take(uint64(len(dst)))) }
func (r *reader) bytes() []byte    { return r.take(uint64(r.u32())) }

// some is bytes for what is absent when it is empty.
func (r *reader) some() []byte {
	if b := r.bytes(); len(b) > 0 {
		return b
	}
	return nil
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) close() error {
	if r.err == nil && r.off != len(r.b) {
		r.damaged(r.off, "%d bytes too many", len(r.b)-r.off)
	}
	return r.err
}
