package abitest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/crhost/crhost/abi/pack"
)

// maxText is how much of a value a finding shows, bytes.
const maxText = 200

// text shows msgpack to people: like JSON, with the byte strings of msgpack in hexadecimal; what is not one value is shown as bytes.
func text(b []byte) string {
	if b == nil {
		return "nothing"
	}
	if pack.Valid(b) != nil { // which bounds the depth, too
		if len(b) > maxText/4 {
			return fmt.Sprintf("[% x ...]", b[:maxText/4])
		}
		return fmt.Sprintf("[% x]", b)
	}
	var s strings.Builder
	r := pack.NewReader(b)
	writeValue(&s, &r)
	if s.Len() > maxText {
		return s.String()[:maxText] + "..."
	}
	return s.String()
}

func writeValue(s *strings.Builder, r *pack.Reader) {
	if s.Len() > maxText {
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
