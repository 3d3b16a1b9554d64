package slog

import (
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText is how many bytes of a text that others wrote go into a line.
const MaxText = 4 << 10

// text is an attribute whose value may have been written by a guest or a caller.
func text(key, value string) slog.Attr { return slog.String(key, clean(value)) }

// clean returns s with what could forge a line or drive a terminal escaped as in Go source: control and format characters, line and
// paragraph separators, and bytes that are not UTF-8. A backslash stays as it is: the result is for reading.
func clean(s string) string {
	cut := len(s) > MaxText
	if cut {
		end := MaxText
		for end > MaxText-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	if !cut && strings.IndexFunc(s, unprintable) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch size := utf8.RuneLen(r); {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unprintable(r) && size == 1:
			fmt.Fprintf(&b, `\x%02x`, r)
		case unprintable(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	if cut {
		b.WriteString("...")
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
