package wat

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

func uleb(out []byte, v uint64) []byte { return binary.AppendUvarint(out, v) }

func sleb(out []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// bytes appends a length and then the bytes: a name, a body, a data segment.
func bytes[T string | []byte](out []byte, b T) []byte {
	return append(uleb(out, uint64(len(b))), b...)
}

// integer reads a number of the given width that may be written as signed or as unsigned, and returns it sign-extended.
func integer(n node, bits int) int64 {
	digits, negative := strings.CutPrefix(strings.ReplaceAll(n.text, "_", ""), "-")
	v, ok := magnitude(strings.TrimPrefix(digits, "+"), bits)
	if !ok || negative && v > 1<<(bits-1) {
		fail(n.line, "%q is no i%d", n.text, bits)
	}
	if negative {
		return -int64(v)
	}
	return int64(v) << (64 - bits) >> (64 - bits)
}

func unsigned(n node, bits int) uint64 {
	v, ok := magnitude(strings.ReplaceAll(n.text, "_", ""), bits)
	if !ok {
		fail(n.line, "%q is no number of %d bits", n.text, bits)
	}
	return v
}

func magnitude(digits string, bits int) (uint64, bool) {
	base := 10
	if hex, ok := strings.CutPrefix(digits, "0x"); ok {
		digits, base = hex, 16
	}
	v, err := strconv.ParseUint(digits, base, bits)
	return v, err == nil
}

// float returns the bits of a floating-point literal: decimal, hexadecimal, inf, nan or nan:0xPAYLOAD.
func float(n node, bits int) uint64 {
	mantissa := 52
	if bits == 32 {
		mantissa = 23
	}
	text, negative := strings.CutPrefix(strings.ReplaceAll(n.text, "_", ""), "-")
	text = strings.TrimPrefix(text, "+")
	infinity := uint64(1)<<(bits-1) - 1<<mantissa
	var v uint64
	switch payload, hasPayload := strings.CutPrefix(text, "nan:"); {
	case text == "inf":
		v = infinity
	case text == "nan":
		v = infinity | 1<<(mantissa-1)
	case hasPayload:
		p, ok := magnitude(payload, mantissa)
		if !ok {
			fail(n.line, "%q is no f%d", n.text, bits)
		}
		v = infinity | p
	default:
		if strings.HasPrefix(text, "0x") && !strings.ContainsAny(text, "pP") {
			text += "p0" // strconv wants an exponent where WebAssembly does not
		}
		f, err := strconv.ParseFloat(text, bits)
		if err != nil {
			fail(n.line, "%q is no f%d", n.text, bits)
		}
		v = math.Float64bits(f)
		if bits == 32 {
			v = uint64(math.Float32bits(float32(f)))
		}
	}
	if negative {
		v |= 1 << (bits - 1)
	}
	return v
}

// valueType returns the byte of a value type.
func valueType(n node) byte {
	switch n.text {
	case "i32":
		return 0x7f
	case "i64":
		return 0x7e
	case "f32":
		return 0x7d
	case "f64":
		return 0x7c
	case "v128":
		return 0x7b
	case "funcref", "func":
		return 0x70
	case "externref", "extern":
		return 0x6f
	}
	fail(n.line, "unknown type %q", n.text)
	return 0
}

// limits reads a minimum and perhaps a maximum.
func limits(c *cursor) []byte {
	least := uleb(nil, unsigned(c.word("minimum"), 32))
	if !c.peekIndex() {
		return append([]byte{0}, least...)
	}
	return uleb(append([]byte{1}, least...), unsigned(c.word("maximum"), 32))
}
