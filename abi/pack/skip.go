package pack

// MaxDepth is how deep arrays and maps may nest in anything that Raw or Skip accept.
const MaxDepth = 64

// Skip reads the next value, whatever it is, and checks that it is well formed and nests at most MaxDepth deep.
func (r *Reader) Skip() {
	if n := r.skipOne(); n > 0 {
		r.skipNested(n)
	}
}

// skipNested reads the n values of a container.
func (r *Reader) skipNested(n int) {
	var left [MaxDepth]int // values still to come at each open level
	left[0] = n
	for depth := 0; depth >= 0; {
		if left[depth] == 0 {
			depth--
			continue
		}
		left[depth]--
		n := r.skipOne()
		if r.what != "" {
			return
		}
		if n == 0 {
			continue
		}
		if depth++; depth == MaxDepth {
			r.what = "arrays and maps nest too deep"
			return
		}
		left[depth] = n
	}
}

// skipOne reads a scalar, or the header of a container: then it returns how many values follow.
func (r *Reader) skipOne() int {
	switch r.Peek() {
	case Nil, Bool:
		r.pos++
	case Int, Uint:
		r.integer()
	case Float:
		r.take(4 << (r.buf[r.pos] - 0xca))
	case Str:
		r.Str()
	case Bin:
		r.Bin()
	case Ext:
		r.Ext()
	case Array:
		return r.ArrayLen()
	case Map:
		return 2 * r.MapLen()
	default:
		r.mismatch("a value")
	}
	return 0
}

// Raw reads the next value and returns its bytes.
func (r *Reader) Raw() []byte {
	start := r.pos
	r.Skip()
	if r.what != "" {
		return nil
	}
	return r.buf[start:r.pos:r.pos]
}

// Valid checks that b is exactly one well-formed value. Errors are *SyntaxError.
func Valid(b []byte) error {
	r := NewReader(b)
	r.Skip()
	r.End()
	return r.Err()
}
