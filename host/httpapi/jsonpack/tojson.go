package jsonpack

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/crhost/crhost/abi/pack"
)

// ToJSON appends the JSON of one msgpack value to dst and returns the result. It has no white space. After an error, a *pack.SyntaxError,
// dst is returned as it was.
func ToJSON(dst, msgpack []byte) ([]byte, error) {
	w := writer{in: msgpack, out: dst, r: pack.NewReader(msgpack)}
	w.survey(0)
	w.r.End()
	if err := w.r.Err(); err != nil {
		return dst, err
	}
	w.r.Reset(msgpack)
	w.value()
	return w.out, nil
}

// writer goes through its input twice: survey checks it and finds out which maps can be objects, and then value writes, which cannot fail.
// Deciding map by map while writing would look at each value once per level of nesting.
type writer struct {
	in, out []byte
	r       pack.Reader
	objects []bool // for each map, in the order of their beginnings: whether its keys are text and differ
}

func (w *writer) survey(depth int) {
	switch w.r.Peek() {
	case pack.Array:
		if w.tooDeep(depth) {
			return
		}
		for range w.r.ArrayLen() {
			if w.survey(depth + 1); !w.r.OK() {
				return
			}
		}
	case pack.Map:
		if w.tooDeep(depth) {
			return
		}
		w.surveyMap(depth)
	default:
		w.r.Skip()
	}
}

func (w *writer) surveyMap(depth int) {
	at := len(w.objects)
	w.objects = append(w.objects, true)
	var seen keys
	for range w.r.MapLen() {
		if w.r.Peek() == pack.Str {
			if key := w.r.Str(); !utf8.Valid(key) || !seen.add(key) {
				w.objects[at] = false
			}
		} else {
			w.objects[at] = false
			w.survey(depth + 1)
		}
		if w.survey(depth + 1); !w.r.OK() {
			return
		}
	}
}

func (w *writer) tooDeep(depth int) bool {
	if depth == pack.MaxDepth {
		w.r.Fail("arrays and maps nest too deep")
	}
	return depth == pack.MaxDepth
}

func (w *writer) value() {
	switch w.r.Peek() {
	case pack.Nil:
		w.r.Nil()
		w.raw("null")
	case pack.Bool:
		w.out = strconv.AppendBool(w.out, w.r.Bool())
	case pack.Int:
		w.out = strconv.AppendInt(w.out, w.r.Int(), 10)
	case pack.Uint:
		w.out = strconv.AppendUint(w.out, w.r.Uint(), 10)
	case pack.Float:
		w.float()
	case pack.Str:
		w.str(w.r.Str())
	case pack.Bin:
		w.base64Form("$bin", w.r.Bin())
	case pack.Ext:
		w.ext()
	case pack.Array:
		w.array()
	case pack.Map:
		object := w.objects[0]
		w.objects = w.objects[1:]
		if object {
			w.object()
		} else {
			w.pairs()
		}
	}
}

func (w *writer) array() {
	w.raw("[")
	for i := range w.r.ArrayLen() {
		if i > 0 {
			w.raw(",")
		}
		w.value()
	}
	w.raw("]")
}

func (w *writer) object() {
	w.raw("{")
	for i := range w.r.MapLen() {
		if i > 0 {
			w.raw(",")
		}
		key := w.r.Str()
		w.raw(`"`)
		if len(key) > 0 && key[0] == '$' {
			w.raw("$")
		}
		w.out = appendEscaped(w.out, key)
		w.raw(`":`)
		w.value()
	}
	w.raw("}")
}

func (w *writer) pairs() {
	w.raw(`{"$map":[`)
	for i := range w.r.MapLen() {
		if i > 0 {
			w.raw(",")
		}
		w.raw("[")
		w.value()
		w.raw(",")
		w.value()
		w.raw("]")
	}
	w.raw("]}")
}

func (w *writer) str(s []byte) {
	if !utf8.Valid(s) {
		w.base64Form("$str", s)
		return
	}
	w.raw(`"`)
	w.out = appendEscaped(w.out, s)
	w.raw(`"`)
}

func (w *writer) float() {
	if w.in[w.r.Pos()] == 0xca {
		w.raw(`{"$f32":`)
		w.number(w.r.Float(), 32)
		w.raw("}")
		return
	}
	f := w.r.Float()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.raw(`{"$float":`)
		w.number(f, 64)
		w.raw("}")
		return
	}
	w.number(f, 64)
}

// number writes f with the fewest digits that give it back, and a '.' or an 'e' among them; or the word for what has no digits.
func (w *writer) number(f float64, bitSize int) {
	switch {
	case math.IsNaN(f):
		w.raw(`"nan"`)
		return
	case math.IsInf(f, 1):
		w.raw(`"inf"`)
		return
	case math.IsInf(f, -1):
		w.raw(`"-inf"`)
		return
	}
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		w.out = strconv.AppendFloat(w.out, f, 'e', -1, bitSize)
		return
	}
	w.out = strconv.AppendFloat(w.out, f, 'f', -1, bitSize)
	if f == math.Trunc(f) {
		w.raw(".0")
	}
}

// The instants that RFC 3339 has words for: the years 0000 to 9999.
const (
	firstSecond = -62167219200
	lastSecond  = 253402300799
)

func (w *writer) ext() {
	start := w.r.Pos()
	typ, data := w.r.Ext()
	if typ == -1 {
		r := pack.NewReader(w.in[start:w.r.Pos()])
		if t := r.Time(); r.OK() && t.Unix() >= firstSecond && t.Unix() <= lastSecond {
			w.raw(`{"$time":"`)
			w.out = t.AppendFormat(w.out, time.RFC3339Nano)
			w.raw(`"}`)
			return
		}
	}
	w.raw(`{"$ext":[`)
	w.out = strconv.AppendInt(w.out, int64(typ), 10)
	w.raw(`,"`)
	w.out = base64.StdEncoding.AppendEncode(w.out, data)
	w.raw(`"]}`)
}

func (w *writer) base64Form(name string, data []byte) {
	w.raw(`{"` + name + `":"`)
	w.out = base64.StdEncoding.AppendEncode(w.out, data)
	w.raw(`"}`)
}

func (w *writer) raw(s string) { w.out = append(w.out, s...) }

// appendEscaped appends s, which is UTF-8, as it stands between the quotes of a JSON string.
func appendEscaped(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	done := 0
	for i, c := range s {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, s[done:]...)
}
