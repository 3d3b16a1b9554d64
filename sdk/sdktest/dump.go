package sdktest

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/crhost/crhost/abi/pack"
)

// dump shows msgpack as text, one scalar a line.
func dump(b []byte) string {
	r := pack.NewReader(b)
	var text strings.Builder
	dumpValue(&text, &r, 0)
	if err := r.Err(); err != nil {
		text.WriteString(" <" + err.Error() + ">")
	}
	return text.String()
}

// dumpEffects shows the effects section of an answer; nothing and an empty list are the same.
func dumpEffects(b []byte) string {
	if len(b) == 0 {
		b = []byte{0x90}
	}
	return dump(b)
}

func dumpValue(text *strings.Builder, r *pack.Reader, depth int) {
	if depth > pack.MaxDepth {
		r.Fail("too deep to be shown")
		return
	}
	switch r.Peek() {
	case pack.Nil:
		r.Nil()
		text.WriteString("nil")
	case pack.Bool:
		text.WriteString(strconv.FormatBool(r.Bool()))
	case pack.Int:
		text.WriteString(strconv.FormatInt(r.Int(), 10))
	case pack.Uint:
		text.WriteString(strconv.FormatUint(r.Uint(), 10))
	case pack.Float:
		text.WriteString(dumpFloat(r.Float()))
	case pack.Str:
		text.WriteString(strconv.Quote(string(r.Str())))
	case pack.Bin:
		text.WriteString("bin(" + hex.EncodeToString(r.Bin()) + ")")
	case pack.Ext:
		dumpExt(text, r)
	case pack.Array:
		dumpList(text, r, depth, "[", "]", r.ArrayLen(), false)
	case pack.Map:
		dumpList(text, r, depth, "{", "}", r.MapLen(), true)
	default:
		r.Skip()
	}
}

func dumpList(text *strings.Builder, r *pack.Reader, depth int, open, end string, n int, keys bool) {
	text.WriteString(open)
	for i := 0; i < n && r.OK(); i++ {
		text.WriteString("\n" + strings.Repeat("  ", depth+1))
		if keys {
			dumpValue(text, r, depth+1)
			text.WriteString(": ")
		}
		dumpValue(text, r, depth+1)
	}
	if n > 0 {
		text.WriteString("\n" + strings.Repeat("  ", depth))
	}
	text.WriteString(end)
}

// dumpFloat tells floats from integers: 3 is 3.0.
func dumpFloat(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".eIN") {
		s += ".0"
	}
	return s
}

func dumpExt(text *strings.Builder, r *pack.Reader) {
	at := *r
	if t := at.Time(); at.OK() {
		*r = at
		text.WriteString(t.Format(time.RFC3339Nano))
		return
	}
	typ, data := r.Ext()
	text.WriteString("ext(" + strconv.Itoa(int(typ)) + ", " + hex.EncodeToString(data) + ")")
}

// diffContext is how many equal lines are shown around a difference.
const diffContext = 3

// diff shows the lines in which want and got differ, "" when they are equal. It shows what lies between the first and last difference, which
// for states is short, and needs no search for the best match.
func diff(want, got string) string {
	if want == got {
		return ""
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	start := 0
	for start < len(w) && start < len(g) && w[start] == g[start] {
		start++
	}
	end := 0
	for end < len(w)-start && end < len(g)-start && w[len(w)-1-end] == g[len(g)-1-end] {
		end++
	}
	var text strings.Builder
	show := func(mark string, lines []string) {
		for _, line := range lines {
			text.WriteString(mark + line + "\n")
		}
	}
	show("  ", w[max(0, start-diffContext):start])
	show("- ", w[start:len(w)-end])
	show("+ ", g[start:len(g)-end])
	show("  ", w[len(w)-end:min(len(w), len(w)-end+diffContext)])
	return text.String()
}
