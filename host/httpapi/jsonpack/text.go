package jsonpack

import (
	"encoding/binary"
	"encoding/hex"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a JSON string, whose quote is the next byte, and returns its content, which is UTF-8 and valid until the next call.
func (p *parser) text() ([]byte, error) {
	start := p.pos + 1
	escapes := false
	end := start
	for ; ; end++ {
		if end >= len(p.in) {
			return nil, p.fail("the text does not end")
		}
		c := p.in[end]
		if c == '"' {
			break
		}
		if c < ' ' {
			return nil, p.failAt(end, "control characters in a text are escaped")
		}
		if c == '\\' {
			escapes = true
			end++ // whatever is escaped, it does not end the text
		}
	}
	raw := p.in[start:end]
	if !utf8.Valid(raw) {
		return nil, p.failAt(start+firstInvalid(raw), "the text is not UTF-8")
	}
	p.pos = end + 1
	if !escapes {
		return raw, nil
	}
	return p.unescape(raw, start)
}

func firstInvalid(s []byte) (offset int) {
	for offset < len(s) {
		r, size := utf8.DecodeRune(s[offset:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		offset += size
	}
	return offset
}

// unescape returns what raw, found at offset, stands for.
func (p *parser) unescape(raw []byte, offset int) ([]byte, error) {
	p.buf = p.buf[:0]
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			p.buf = append(p.buf, raw[i])
			i++
			continue
		}
		if raw[i+1] != 'u' {
			c, ok := plainEscape(raw[i+1])
			if !ok {
				return nil, p.failAt(offset+i, "there is no such escape")
			}
			p.buf = append(p.buf, c)
			i += 2
			continue
		}
		r, ok := unicodeEscape(raw[i:])
		if !ok {
			return nil, p.failAt(offset+i, `want four hexadecimal digits after "\u"`)
		}
		size := 6
		if utf16.IsSurrogate(r) {
			low, _ := unicodeEscape(raw[i+6:])
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return nil, p.failAt(offset+i, "the escape is half of a surrogate pair")
			}
			size = 12
		}
		p.buf = utf8.AppendRune(p.buf, r)
		i += size
	}
	return p.buf, nil
}

func plainEscape(c byte) (byte, bool) {
	switch c {
	case '"', '\\', '/':
		return c, true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	}
	return 0, false
}

// unicodeEscape reads a \uXXXX that s begins with.
func unicodeEscape(s []byte) (r rune, ok bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var unit [2]byte
	if _, err := hex.Decode(unit[:], s[2:6]); err != nil {
		return 0, false
	}
	return rune(binary.BigEndian.Uint16(unit[:])), true
}
