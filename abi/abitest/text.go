package abitest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/crhost/crhost/abi/pack"
)

// maxText is how much of a value a finding shows, and maxRender how much of it is looked at for that, bytes.
const (
	maxText   = 200
	maxRender = 1 << 16
)

// text shows msgpack to people: like JSON, with what JSON does not have in hexadecimal; what is not one value is shown as bytes.
func text(b []byte) string { return window(render(b), 0) }

// texts shows two values from a little before where they differ.
func texts(a, b []byte) (string, string) {
	x, y := render(a), render(b)
	same := 0
	for same < min(len(x), len(y)) && x[same] == y[same] {
		same++
	}
	from := max(0, same-maxText/4)
	return window(x, from), window(y, from)
}

func window(s string, from int) string {
	from = min(from, len(s))
	to := min(from+maxText, len(s))
	shown := s[from:to]
	if from > 0 {
		shown = "..." + shown
	}
	if to < len(s) {
		shown += "..."
	}
	return shown
}

func render(b []byte) string {
	switch {
	case b == nil:
		return "nothing"
	case pack.Valid(b) != nil: // which bounds the depth, too
		return fmt.Sprintf("[% x]", b[:min(len(b), maxRender)])
	}
	var s strings.Builder
	r := pack.NewReader(b)
	writeValue(&s, &r)
	return s.String()
}

func writeValue(s *strings.Builder, r *pack.Reader) {
	if s.Len() > maxRender {
		r.Skip()
		return
	}
	list := func(open, shut string, n int, element func()) {
		s.WriteString(open)
		for i := 0; i < n && r.OK(); i++ {
			if i > 0 {
				s.WriteString(", ")
			}
			element()
		}
		s.WriteString(shut)
	}
	switch r.Peek() {
	case pack.Nil:
		r.Nil()
		s.WriteString("null")
	case pack.Bool:
		s.WriteString(strconv.FormatBool(r.Bool()))
	case pack.Uint:
		s.WriteString(strconv.FormatUint(r.Uint(), 10))
	case pack.Int:
		s.WriteString(strconv.FormatInt(r.Int(), 10))
	case pack.Float:
		s.WriteString(strconv.FormatFloat(r.Float(), 'g', -1, 64))
	case pack.Str:
		s.WriteString(strconv.Quote(string(r.Str())))
	case pack.Array:
		list("[", "]", r.ArrayLen(), func() { writeValue(s, r) })
	case pack.Map:
		list("{", "}", r.MapLen(), func() {
			writeValue(s, r)
			s.WriteString(": ")
			writeValue(s, r)
		})
	default:
		fmt.Fprintf(s, "<% x>", r.Raw())
	}
}
