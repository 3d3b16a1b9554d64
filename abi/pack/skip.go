package pack

// MaxDepth is how deep arrays and maps may nest in anything that Raw or Skip accept.
const MaxDepth = 64

// Skip reads the next value, whatever it is, and checks that it is well formed and nests at most MaxDepth deep.
func (r *Reader) Skip() {
	var left [MaxDepth]int // values still to come at each open level
	depth := 0
	for {
		n := r.skipOne()
		if r.what != "" {
			return
		}
		if n > 0 {
			if depth == MaxDepth {
				r.what = "arrays and maps nest too deep"
				return
			}
			left[depth] = n
			depth++
			continue
		}
		for depth > 0 {
			left[depth-1]--
			if left[depth-1] > 0 {
				break
			}
			depth--
		}
		if depth == 0 {
			return
		}
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
