package jsonpack

import (
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"github.com/crhost/crhost/abi/pack"
)

// strict refuses base64 with bits set that no byte holds, so that each bin has one spelling.
var strict = base64.StdEncoding.Strict()

// timeForm is the form of RFC 3339, section 5.6, which package time checks for the numbers but not for commas, offsets and single digits.
var timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// form reads what follows the name of a form, which was found at offset at, up to the end of its object.
func (p *parser) form(name string, at, depth int) error {
	if err := p.expect(':'); err != nil {
		return err
	}
	p.space()
	if err := p.formValue(name, at, depth); err != nil {
		return err
	}
	if p.expect('}') != nil {
		return p.unexpected(fmt.Sprintf("'}', for the form %q stands alone in its object", name))
	}
	return nil
}

func (p *parser) formValue(name string, at, depth int) error {
	switch name {
	case "$bin":
		data, err := p.base64()
		p.out = pack.AppendBin(p.out, data)
		return err
	case "$str":
		data, err := p.base64()
		p.out = pack.AppendStringBytes(p.out, data)
		return err
	case "$time":
		return p.time()
	case "$ext":
		return p.ext()
	case "$float":
		f, err := p.noNumber()
		p.out = pack.AppendFloat(p.out, f)
		return err
	case "$f32":
		return p.float32()
	case "$map":
		return p.pairs(at, depth)
	}
	return p.failAt(at, fmt.Sprintf("there is no form %q; a key of yours starts with \"$$\"", name))
}

// quoted reads a text, after white space.
func (p *parser) quoted(what string) ([]byte, error) {
	if p.peek() != '"' {
		return nil, p.unexpected(what)
	}
	return p.text()
}

func (p *parser) base64() ([]byte, error) {
	at := p.pos
	text, err := p.quoted("base64 in quotes")
	if err != nil {
		return nil, err
	}
	data, err := strict.AppendDecode(nil, text)
	if err != nil || strict.EncodedLen(len(data)) != len(text) { // the decoder overlooks line ends
		return nil, p.failAt(at, "the text is not base64 of the standard alphabet with padding")
	}
	return data, nil
}

func (p *parser) time() error {
	at := p.pos
	text, err := p.quoted("a time in quotes")
	if err != nil {
		return err
	}
	var t time.Time
	if !timeForm.Match(text) || t.UnmarshalText(text) != nil {
		return p.failAt(at, "the text is not a time of RFC 3339 with at most nine digits after the point")
	}
	p.out = pack.AppendTime(p.out, t)
	return nil
}

func (p *parser) ext() error {
	if err := p.expect('['); err != nil {
		return err
	}
	p.space()
	at := p.pos
	digits, integer, err := p.digits()
	if err != nil {
		return err
	}
	typ, err := strconv.ParseInt(string(digits), 10, 8)
	if err != nil || !integer {
		return p.failAt(at, "the type of an ext is an integer from -128 to 127")
	}
	if err := p.expect(','); err != nil {
		return err
	}
	p.space()
	data, err := p.base64()
	if err != nil {
		return err
	}
	p.out = pack.AppendExt(p.out, int8(typ), data)
	return p.expect(']')
}

// noNumber reads the word for a float that has no digits.
func (p *parser) noNumber() (float64, error) {
	at := p.pos
	text, err := p.quoted(`"nan", "inf" or "-inf"`)
	if err != nil {
		return 0, err
	}
	switch string(text) {
	case "nan":
		return math.NaN(), nil
	case "inf":
		return math.Inf(1), nil
	case "-inf":
		return math.Inf(-1), nil
	}
	return 0, p.failAt(at, `want "nan", "inf" or "-inf"`)
}

func (p *parser) float32() error {
	if p.peek() == '"' {
		f, err := p.noNumber()
		p.out = pack.AppendFloat32(p.out, float32(f))
		return err
	}
	at := p.pos
	digits, _, err := p.digits()
	if err != nil {
		return err
	}
	f, err := strconv.ParseFloat(string(digits), 32)
	if err != nil {
		return p.failAt(at, "the number is beyond 32 bits of float")
	}
	p.out = pack.AppendFloat32(p.out, float32(f))
	return nil
}

func (p *parser) pairs(at, depth int) error {
	header, err := p.open(at, depth)
	if err != nil {
		return err
	}
	n, err := p.elements(func() error { return p.pair(depth + 1) })
	if err != nil {
		return err
	}
	p.close(header, pack.AppendMapLen(p.head[:0], n))
	return nil
}

func (p *parser) pair(depth int) error {
	if err := p.expect('['); err != nil {
		return err
	}
	if err := p.value(depth); err != nil {
		return err
	}
	if err := p.expect(','); err != nil {
		return err
	}
	if err := p.value(depth); err != nil {
		return err
	}
	return p.expect(']')
}
