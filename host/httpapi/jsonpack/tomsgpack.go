package jsonpack

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/crhost/crhost/abi/pack"
)

// SyntaxError says that bytes are not JSON, or JSON that maps to no msgpack.
type SyntaxError struct {
	Offset int    // of the first byte of the offence
	What   string // what is wrong, for people
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("json at byte %d: %s", e.Offset, e.What) }

// ToMsgpack appends the canonical msgpack of one JSON value, with white space around it, to dst and returns the result. After an error,
// a *SyntaxError, dst is returned as it was.
func ToMsgpack(dst, json []byte) ([]byte, error) {
	p := parser{in: json, out: dst}
	if err := p.value(0); err != nil {
		return dst, err
	}
	if p.space(); p.pos < len(p.in) {
		return dst, p.fail("there are bytes after the value")
	}
	return p.out, nil
}

// parser reads values from in and appends them to out.
type parser struct {
	in   []byte
	pos  int
	out  []byte
	buf  []byte  // of the newest text that had escapes
	head [5]byte // of the container being closed
}

func (p *parser) fail(what string) error { return p.failAt(p.pos, what) }

func (p *parser) failAt(offset int, what string) error {
	return &SyntaxError{Offset: offset, What: what}
}

// unexpected is the error for the byte at hand.
func (p *parser) unexpected(want string) error {
	if p.pos >= len(p.in) {
		return p.fail("want " + want + ", have the end of the input")
	}
	return p.fail(fmt.Sprintf("want %s, have %q", want, p.in[p.pos]))
}

// space moves past white space.
func (p *parser) space() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// peek moves past white space and returns the next byte; 0, which begins and ends nothing, at the end.
func (p *parser) peek() byte {
	if p.space(); p.pos < len(p.in) {
		return p.in[p.pos]
	}
	return 0
}

// expect moves past white space and the byte c.
func (p *parser) expect(c byte) error {
	if p.peek() != c {
		return p.unexpected(strconv.QuoteRune(rune(c)))
	}
	p.pos++
	return nil
}

func (p *parser) value(depth int) error {
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, err := p.text()
		p.out = pack.AppendStringBytes(p.out, s)
		return err
	case c == '-' || isDigit(c):
		return p.number()
	case p.word("null"):
		p.out = pack.AppendNil(p.out)
	case p.word("true"):
		p.out = pack.AppendBool(p.out, true)
	case p.word("false"):
		p.out = pack.AppendBool(p.out, false)
	default:
		return p.unexpected("a value")
	}
	return nil
}

func (p *parser) word(w string) bool {
	if len(p.in)-p.pos < len(w) || string(p.in[p.pos:p.pos+len(w)]) != w {
		return false
	}
	p.pos += len(w)
	return true
}

func (p *parser) array(depth int) error {
	header, err := p.open(p.pos, depth)
	if err != nil {
		return err
	}
	n, err := p.elements(func() error { return p.value(depth + 1) })
	if err != nil {
		return err
	}
	p.close(header, pack.AppendArrayLen(p.head[:0], n))
	return nil
}

// elements reads an array, each of its elements with one, and returns their number.
func (p *parser) elements(one func() error) (n int, err error) {
	if err := p.expect('['); err != nil {
		return 0, err
	}
	if p.peek() == ']' {
		p.pos++
		return 0, nil
	}
	for n = 1; ; n++ {
		if err := one(); err != nil {
			return 0, err
		}
		if p.peek() == ']' {
			p.pos++
			return n, nil
		}
		if err := p.expect(','); err != nil {
			return 0, p.unexpected("',' or ']'")
		}
	}
}

func (p *parser) object(depth int) error {
	start := p.pos
	p.pos++
	if p.peek() != '}' {
		at := p.pos
		key, err := p.key()
		if err != nil {
			return err
		}
		if isForm(key) {
			return p.form(string(key), at, depth)
		}
		p.pos = at
	}
	header, err := p.open(start, depth)
	if err != nil {
		return err
	}
	n, err := p.members(depth + 1)
	if err != nil {
		return err
	}
	p.close(header, pack.AppendMapLen(p.head[:0], n))
	return nil
}

// members reads the keys and values of an object up to its end, and returns their number.
func (p *parser) members(depth int) (n int, err error) {
	if p.peek() == '}' {
		p.pos++
		return 0, nil
	}
	var seen keys
	for n = 1; ; n++ {
		p.space()
		at := p.pos
		key, err := p.key()
		if err != nil {
			return 0, err
		}
		if isForm(key) {
			return 0, p.failAt(at, fmt.Sprintf("the form %q stands alone in its object; a key of yours starts with \"$$\"", key))
		}
		if len(key) > 0 && key[0] == '$' {
			key = key[1:]
		}
		p.out = pack.AppendStringBytes(p.out, key)
		// The set keeps the copy in out, which stays as it is: inner containers move only what lies behind it.
		if !seen.add(p.out[len(p.out)-len(key):]) {
			return 0, p.failAt(at, fmt.Sprintf("the key %q is there twice", key))
		}
		if err := p.expect(':'); err != nil {
			return 0, err
		}
		if err := p.value(depth); err != nil {
			return 0, err
		}
		if p.peek() == '}' {
			p.pos++
			return n, nil
		}
		if err := p.expect(','); err != nil {
			return 0, p.unexpected("',' or '}'")
		}
	}
}

func (p *parser) key() ([]byte, error) {
	if p.peek() != '"' {
		return nil, p.unexpected("a key")
	}
	return p.text()
}

// isForm reports whether a key is the name of a form and not a user's: it starts with one '$' exactly.
func isForm(key []byte) bool {
	return len(key) > 0 && key[0] == '$' && (len(key) == 1 || key[1] != '$')
}

// open begins a container, whose header is written when its size is known: one byte is kept for it, which is enough for most.
func (p *parser) open(start, depth int) (header int, err error) {
	if depth == pack.MaxDepth {
		return 0, p.failAt(start, fmt.Sprintf("arrays and objects nest deeper than %d", pack.MaxDepth))
	}
	p.out = append(p.out, 0)
	return len(p.out) - 1, nil
}

func (p *parser) close(header int, head []byte) {
	p.out[header] = head[0]
	p.out = slices.Insert(p.out, header+1, head[1:]...)
}

func (p *parser) number() error {
	start := p.pos
	digits, integer, err := p.digits()
	if err != nil {
		return err
	}
	if !integer {
		f, err := strconv.ParseFloat(string(digits), 64)
		if err != nil {
			return p.failAt(start, "the number is beyond 64 bits of float")
		}
		p.out = pack.AppendFloat(p.out, f)
		return nil
	}
	var beyond error
	if digits[0] == '-' {
		var v int64
		v, beyond = strconv.ParseInt(string(digits), 10, 64)
		p.out = pack.AppendInt(p.out, v)
	} else {
		var v uint64
		v, beyond = strconv.ParseUint(string(digits), 10, 64)
		p.out = pack.AppendUint(p.out, v)
	}
	if beyond != nil {
		return p.failAt(start, "the integer is beyond 64 bits; with a '.' or an 'e' it is a float")
	}
	return nil
}

// digits reads a number as it is written, and tells whether it is an integer.
func (p *parser) digits() (text []byte, integer bool, err error) {
	start := p.pos
	if p.at('-') {
		p.pos++
	}
	if p.at('0') {
		p.pos++ // no digit may follow a leading zero: it is then what comes after the value
	} else if !p.someDigits() {
		return nil, false, p.unexpected("a digit")
	}
	integer = true
	if p.at('.') {
		integer = false
		p.pos++
		if !p.someDigits() {
			return nil, false, p.unexpected("a digit")
		}
	}
	if p.at('e') || p.at('E') {
		integer = false
		p.pos++
		if p.at('+') || p.at('-') {
			p.pos++
		}
		if !p.someDigits() {
			return nil, false, p.unexpected("a digit")
		}
	}
	return p.in[start:p.pos], integer, nil
}

// at reports whether c is the next byte.
func (p *parser) at(c byte) bool { return p.pos < len(p.in) && p.in[p.pos] == c }

// someDigits moves past one or more digits and reports whether there were any.
func (p *parser) someDigits() bool {
	start := p.pos
	for p.pos < len(p.in) && isDigit(p.in[p.pos]) {
		p.pos++
	}
	return p.pos > start
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
