package abitest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi/pack"
)

func TestText(t *testing.T) {
	deep := pack.AppendNil([]byte(strings.Repeat("\x91", 1000)))
	for name, test := range map[string]struct {
		in   []byte
		want string
	}{
		"nothing":            {nil, "nothing"},
		"empty":              {[]byte{}, "[]"},
		"a map":              {[]byte("\x82\xa1a\x01\xa1b\x92\xc0\xc3"), `{"a": 1, "b": [null, true]}`},
		"numbers":            {append(pack.AppendInt([]byte{0x92}, -300), pack.AppendFloat(nil, 1.5)...), "[-300, 1.5]"},
		"bytes":              {pack.AppendBin(nil, []byte{1, 2}), "<c4 02 01 02>"},
		"no value":           {[]byte{0x81, 0xa1}, "[81 a1]"},
		"two values":         {[]byte{1, 2}, "[01 02]"},
		"long":               {pack.AppendString(nil, strings.Repeat("x", 1000)), `"` + strings.Repeat("x", maxText-1) + "..."},
		"many":               {append([]byte{0xdc, 0x01, 0x00}, make([]byte, 256)...), "[0" + strings.Repeat(", 0", 66)[:maxText-2] + "..."},
		"nested without end": {deep, ("[" + strings.Repeat("91 ", maxText))[:maxText] + "..."},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, text(test.in)) })
	}
}

func TestTexts(t *testing.T) {
	long := strings.Repeat("x", 1000)
	a, b := texts(pack.AppendString(nil, long+"a"+long), pack.AppendString(nil, long+"b"))
	require.Equal(t, "..."+long[:50]+"a"+long[:149]+"...", a)
	require.Equal(t, "..."+long[:50]+`b"`, b)
}
