package meter

import (
	"fmt"
	"unicode/utf8"
)

// reader walks module[pos:end]. The first fault sticks: every later read returns zero and does not move,
// so callers check err once per item and never index out of range.
type reader struct {
	module   []byte
	pos, end int
	err      error
}

func (r *reader) fail(at int, format string, args ...any) {
	if r.err == nil {
		r.err = &MalformedError{Offset: at, What: fmt.Sprintf(format, args...)}
	}
	r.pos = r.end
}

func (r *reader) refuse(err error) {
	if r.err == nil {
		r.err = err
	}
	r.pos = r.end
}

func (r *reader) done() bool { return r.pos >= r.end }

func (r *reader) byte() byte {
	if r.pos >= r.end {
		r.fail(r.end, "unexpected end")
		return 0
	}
	b := r.module[r.pos]
	r.pos++
	return b
}

func (r *reader) skip(n int) {
	if n < 0 || n > r.end-r.pos {
		r.fail(r.end, "unexpected end")
		return
	}
	r.pos += n
}

func (r *reader) bytes(n int) []byte {
	start := r.pos
	if r.skip(n); r.err != nil {
		return nil
	}
	return r.module[start:r.pos]
}

func (r *reader) u32() uint32 {
	if r.pos < r.end { // nearly all immediates are one byte
		if b := r.module[r.pos]; b < 0x80 {
			r.pos++
			return uint32(b)
		}
	}
	start := r.pos
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		if shift == 28 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.fail(start, "integer too large for 32 bits")
	return 0
}

// signed reads a signed LEB128 of at most bits bits (32, 33 or 64).
func (r *reader) signed(bits int) int64 {
	start := r.pos
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		v |= int64(b&0x7f) << shift
		if b >= 0x80 {
			continue
		}
		if left := bits - shift; left < 7 {
			// The unused bits of the last byte must repeat the sign.
			if sign := int8(b<<1) >> left; sign != 0 && sign != -1 {
				break
			}
		}
		if shift+7 < 64 && b&0x40 != 0 {
			v |= -1 << (shift + 7)
		}
		return v
	}
	r.fail(start, "integer too large for %d bits", bits)
	return 0
}

// count reads the length of a vector whose items take at least size bytes each,
// so that a few bytes never make anyone allocate for millions of items.
func (r *reader) count(what string, size int) int {
	start := r.pos
	n := r.u32()
	if r.err == nil && uint64(n)*uint64(size) > uint64(r.end-r.pos) {
		r.fail(start, "%d %s in %d bytes", n, what, r.end-r.pos)
		return 0
	}
	return int(n)
}

func (r *reader) name(limit int) string {
	start := r.pos
	b := r.bytes(r.count("name bytes", 1))
	switch {
	case r.err != nil:
		return ""
	case len(b) > limit:
		r.refuse(&BoundError{What: "bytes", Where: fmt.Sprintf("name at byte %d", start), Have: uint64(len(b)), Limit: uint64(limit)})
		return ""
	case !utf8.Valid(b):
		r.fail(start, "name is not UTF-8")
		return ""
	}
	return string(b)
}

func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendS64(b []byte, v int64) []byte {
	for v < -0x40 || v >= 0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}
