package jsonpack_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

// Both directions agree on each of these.
var pairs = []struct{ json, msgpack string }{
	{`null`, "c0"},
	{`true`, "c3"},
	{`false`, "c2"},

	{`0`, "00"},
	{`127`, "7f"},
	{`128`, "cc80"},
	{`65536`, "ce00010000"},
	{`18446744073709551615`, "cfffffffffffffffff"},
	{`-1`, "ff"},
	{`-33`, "d0df"},
	{`-9223372036854775808`, "d38000000000000000"},

	{`1.0`, "cb3ff0000000000000"},
	{`-0.0`, "cb8000000000000000"},
	{`0.0`, "cb0000000000000000"},
	{`0.1`, "cb3fb999999999999a"},
	{`100000000000000000000.0`, "cb4415af1d78b58c40"},
	{`1e+21`, "cb444b1ae4d6e2ef50"},
	{`1.5e-07`, "cb3e8421f5f40d8376"},
	{`0.000001`, "cb3eb0c6f7a0b5ed8d"},
	{`1e-07`, "cb3e7ad7f29abcaf48"},
	{`5e-324`, "cb0000000000000001"},
	{`1.7976931348623157e+308`, "cb7fefffffffffffff"},
	{`{"$float":"nan"}`, "cb7ff8000000000000"},
	{`{"$float":"inf"}`, "cb7ff0000000000000"},
	{`{"$float":"-inf"}`, "cbfff0000000000000"},

	{`{"$f32":0.1}`, "ca3dcccccd"},
	{`{"$f32":1.0}`, "ca3f800000"},
	{`{"$f32":-0.0}`, "ca80000000"},
	{`{"$f32":3.4028235e+38}`, "ca7f7fffff"},
	{`{"$f32":1e-45}`, "ca00000001"},
	{`{"$f32":"nan"}`, "ca7fc00000"},
	{`{"$f32":"-inf"}`, "caff800000"},

	{`""`, "a0"},
	{`"a\"\\\n\r\t\u0000\u001fü€𝄞/"`, "b2" + hex.EncodeToString([]byte("a\"\\\n\r\t\x00\x1fü€𝄞/"))},
	{`"\u0008 ~"`, "a308207e"},
	{`{"$str":"/w=="}`, "a1ff"},

	{`{"$bin":""}`, "c400"},
	{`{"$bin":"AAEC/w=="}`, "c404000102ff"},
	{`{"$ext":[5,"qg=="]}`, "d405aa"},
	{`{"$ext":[-128,""]}`, "c70080"},
	{`{"$ext":[127,"AAAA"]}`, "c7037f000000"},

	{`{"$time":"1970-01-01T00:00:00Z"}`, "d6ff00000000"},
	{`{"$time":"2106-02-07T06:28:15Z"}`, "d6ffffffffff"},
	{`{"$time":"2026-01-02T03:04:05.000000006Z"}`, "d7ff00000018" + "695735a5"},
	{`{"$time":"1969-12-31T23:59:59.5Z"}`, "c70cff1dcd6500ffffffffffffffff"},
	{`{"$time":"0000-01-01T00:00:00Z"}`, "c70cff00000000fffffff1868b8400"},
	{`{"$time":"9999-12-31T23:59:59.999999999Z"}`, "c70cff3b9ac9ff0000003afff4417f"},
	// Instants without words, and a timestamp that is none.
	{`{"$ext":[-1,"AAAAAAAAADr/9EGA"]}`, "c70cff000000000000003afff44180"},
	{`{"$ext":[-1,"AAAAAH//////////"]}`, "c70cff000000007fffffffffffffff"},
	{`{"$ext":[-1,"AAAAAIAAAAAAAAAA"]}`, "c70cff000000008000000000000000"},
	{`{"$ext":[-1,"/////wAAAAA="]}`, "d7ffffffffff00000000"},
	{`{"$ext":[-1,"qg=="]}`, "d4ffaa"},

	{`[]`, "90"},
	{`[1,[2.0,null],{}]`, "930192cb4000000000000000c080"},
	{`[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14]`, "9f000102030405060708090a0b0c0d0e"},
	{`[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]`, "dc0010000102030405060708090a0b0c0d0e0f"},

	{`{"type":"increment","by":3}`, "82a474797065a9696e6372656d656e74a2627903"},
	{`{"b":1,"a":2}`, "82a16201a16102"},
	{`{"":0}`, "81a000"},
	{`{"$$bin":1,"$$$x":2,"$$":3,"a$":4}`, "84a42462696e01a32424780" + "2a1240" + "3a2612404"},

	{`{"$map":[[1,2]]}`, "810102"},
	{`{"$map":[["a",1],["a",2]]}`, "82a16101a16102"},
	{`{"$map":[["$a",{"$map":[[null,{"k":1}]]}],[{"$str":"/w=="},2]]}`, "82a2246181c081a16b01a1ff02"},
	{`{"$map":[[[1],{"x":{"$map":[[1,1]]}}],[{"y":1},{"$map":[[2,2]]}]]}`, "82910181a178810101" + "81a17901810202"},
}

func TestPairs(t *testing.T) {
	for _, p := range pairs {
		packed, err := hex.DecodeString(p.msgpack)
		require.NoError(t, err)

		got, err := jsonpack.ToMsgpack(nil, []byte(p.json))
		require.NoError(t, err, p.json)
		require.Equal(t, p.msgpack, hex.EncodeToString(got), p.json)

		text, err := jsonpack.ToJSON(nil, packed)
		require.NoError(t, err, p.msgpack)
		require.Equal(t, p.json, string(text))
		require.True(t, json.Valid(text))
	}
}

// JSON that is not the one that comes back.
func TestToMsgpack_otherSpellings(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{" {\"a\" :\t[ 1 ,\r\n2 ] } ", `{"a":[1,2]}`},
		{`-0`, `0`},
		{`1e2`, `100.0`},
		{`1E+2`, `100.0`},
		{`1.10`, `1.1`},
		{`1e-400`, `0.0`},
		{`"\/\b\f\u00fc\uD834\udd1e"`, "\"/\\u0008\\u000cü𝄞\""},
		{`{"\u0024bin":"AA=="}`, `{"$bin":"AA=="}`},
		{`{"$f32":1}`, `{"$f32":1.0}`},
		{`{"$f32":1e-60}`, `{"$f32":0.0}`},
		{`{"$map":[["a",1],["b",2]]}`, `{"a":1,"b":2}`},
		{`{"$map":[]}`, `{}`},
		{`{"$str":"YQ=="}`, `"a"`},
		{`{"$time":"2026-01-02T03:04:05+01:00"}`, `{"$time":"2026-01-02T02:04:05Z"}`},
		{`{"$time":"2026-01-02T03:04:05.120Z"}`, `{"$time":"2026-01-02T03:04:05.12Z"}`},
		{`{"$ext":[-1,"AAAAAA=="]}`, `{"$time":"1970-01-01T00:00:00Z"}`},
		{` { "$ext" : [ 1 , "" ] } `, `{"$ext":[1,""]}`},
	} {
		packed, err := jsonpack.ToMsgpack(nil, []byte(tc.in))
		require.NoError(t, err, tc.in)
		text, err := jsonpack.ToJSON(nil, packed)
		require.NoError(t, err, tc.in)
		require.Equal(t, tc.want, string(text), tc.in)
	}
}

func TestToMsgpack_refusals(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tc := range []struct {
		in     string
		offset int
		what   string
	}{
		{``, 0, "want a value, have the end of the input"},
		{`  `, 2, "want a value, have the end of the input"},
		{"\x00", 0, `want a value, have '\x00'`},
		{`nul`, 0, "want a value"},
		{`nan`, 0, "want a value"},
		{`1 2`, 2, "there are bytes after the value"},
		{`01`, 1, "there are bytes after the value"},
		{`+1`, 0, "want a value"},
		{`.5`, 0, "want a value"},
		{`1.`, 2, "want a digit, have the end"},
		{`1.e5`, 2, "want a digit, have 'e'"},
		{`1e`, 2, "want a digit"},
		{`-`, 1, "want a digit"},
		{`18446744073709551616`, 0, "the integer is beyond 64 bits"},
		{`[-9223372036854775809]`, 1, "the integer is beyond 64 bits"},
		{`1e400`, 0, "the number is beyond 64 bits of float"},
		{`-1e309`, 0, "the number is beyond 64 bits of float"},
		{`{"$f32":1e39}`, 8, "the number is beyond 32 bits of float"},

		{`"a`, 0, "the text does not end"},
		{`"a\`, 0, "the text does not end"},
		{`"a\"`, 0, "the text does not end"},
		{"\"a\n\"", 2, "control characters in a text are escaped"},
		{"\"aü\xff\"", 4, "the text is not UTF-8"},
		{"\"\xed\xa0\x80\"", 1, "the text is not UTF-8"},
		{`"\x"`, 1, "there is no such escape"},
		{`"\u12"`, 1, "want four hexadecimal digits"},
		{`"\u12G4"`, 1, "want four hexadecimal digits"},
		{`"a\ud834"`, 2, "the escape is half of a surrogate pair"},
		{`"\ud834x"`, 1, "the escape is half of a surrogate pair"},
		{`"\ud834\u0061"`, 1, "the escape is half of a surrogate pair"},
		{`"\udd1e\ud834"`, 1, "the escape is half of a surrogate pair"},

		{`[1,]`, 3, "want a value, have ']'"},
		{`[1 2]`, 3, "want ',' or ']', have '2'"},
		{`[1`, 2, "want ',' or ']', have the end"},
		{`[`, 1, "want a value"},
		{`{`, 1, "want a key, have the end"},
		{`{1:2}`, 1, "want a key, have '1'"},
		{`{"a"}`, 4, "want ':', have '}'"},
		{`{"a":1,}`, 7, "want a key, have '}'"},
		{`{"a":1 "b":2}`, 7, "want ',' or '}'"},
		{`{"a":1,"b":2,"\u0061":3}`, 13, `the key "a" is there twice`},
		{`{"$$a":1,"$$a":3}`, 9, `the key "$a" is there twice`},
		{deep(65), 64, "arrays and objects nest deeper than 64"},
		{strings.Repeat(`{"a":`, 65), 320, "arrays and objects nest deeper than 64"},
		{strings.Repeat(`[`, 64) + `{}`, 64, "arrays and objects nest deeper than 64"},
		{strings.Repeat(`{"$map":[[1,`, 65), 64*12 + 1, "arrays and objects nest deeper than 64"},

		{`{"$bin":"AA==","x":1}`, 14, `want '}', for the form "$bin" stands alone in its object, have ','`},
		{`{"x":1,"$bin":"AA=="}`, 7, `the form "$bin" stands alone in its object`},
		{`{"$foo":1}`, 1, `there is no form "$foo"`},
		{`{"$":1}`, 1, `there is no form "$"`},
		{`{"$bin":1}`, 8, "want base64 in quotes, have '1'"},
		{`{"$bin":"AA"}`, 8, "the text is not base64"},
		{`{"$bin":"AB=="}`, 8, "the text is not base64"},
		{`{"$bin":"AA\n=="}`, 8, "the text is not base64"},
		{`{"$bin":"_-=="}`, 8, "the text is not base64"},
		{`{"$str":"-"}`, 8, "the text is not base64"},
		{`{"$float":1}`, 10, `want "nan", "inf" or "-inf", have '1'`},
		{`{"$float":"NaN"}`, 10, `want "nan", "inf" or "-inf"`},
		{`{"$ext":[128,""]}`, 9, "the type of an ext"},
		{`{"$ext":[1.0,""]}`, 9, "the type of an ext"},
		{`{"$ext":[1]}`, 10, "want ',', have ']'"},
		{`{"$ext":[1,"",2]}`, 13, "want ']', have ','"},
		{`{"$time":"2026-01-02"}`, 9, "the text is not a time of RFC 3339"},
		{`{"$time":"2026-01-02T03:04:05,5Z"}`, 9, "the text is not a time of RFC 3339"},
		{`{"$time":"2026-02-30T03:04:05Z"}`, 9, "the text is not a time of RFC 3339"},
		{`{"$time":"2026-01-02T03:04:05.0000000001Z"}`, 9, "the text is not a time of RFC 3339 with at most nine digits"},
		{`{"$time":"2026-01-02T3:04:05Z"}`, 9, "the text is not a time of RFC 3339"},
		{`{"$time":"2026-01-02T03:04:05+24:00"}`, 9, "the text is not a time of RFC 3339"},
		{`{"$time":"2026-01-02T03:04:60Z"}`, 9, "the text is not a time of RFC 3339"},
		{`{"$map":[[1]]}`, 11, "want ',', have ']'"},
		{`{"$map":[[1,2,3]]}`, 13, "want ']', have ','"},
		{`{"$map":{}}`, 8, "want '[', have '{'"},
	} {
		got, err := jsonpack.ToMsgpack([]byte("dst"), []byte(tc.in))
		var syntax *jsonpack.SyntaxError
		require.ErrorAs(t, err, &syntax, tc.in)
		require.Contains(t, syntax.What, tc.what, tc.in)
		require.Equal(t, tc.offset, syntax.Offset, tc.in)
		require.Equal(t, "dst", string(got))
	}
}

func TestToJSON_refusals(t *testing.T) {
	for _, tc := range []struct{ in, what string }{
		{"", "want a value, have the end of the input"},
		{"c1", "the byte 0xc1 begins no value"},
		{"0000", "there are bytes after the value"},
		{"a261", "the input ends inside a value"},
		{"92", "the input ends inside a value"},
		{"81a161", "want a value, have the end of the input"},
		{"ddffffffff", "the input ends inside a value"},
		{"dfffffffff", "the input ends inside a value"},
		{"c6ffffffff", "the input ends inside a value"},
		{strings.Repeat("91", 65) + "00", "arrays and maps nest too deep"},
		{strings.Repeat("8100", 65) + "00", "arrays and maps nest too deep"},
		{strings.Repeat("91", 64) + "80", "arrays and maps nest too deep"},
	} {
		in, err := hex.DecodeString(tc.in)
		require.NoError(t, err)
		got, err := jsonpack.ToJSON([]byte("dst"), in)
		var syntax *pack.SyntaxError
		require.ErrorAs(t, err, &syntax, tc.in)
		require.Contains(t, syntax.What, tc.what, tc.in)
		require.Equal(t, "dst", string(got))
	}
}

// Many keys are kept in another way than few.
func TestBoth_sameKeyTwice(t *testing.T) {
	for n := 2; n < 30; n++ {
		for twice := range n - 1 {
			object, packed := "{", pack.AppendMapLen(nil, n)
			for i := range n - 1 {
				key := fmt.Sprint("k", i)
				object += fmt.Sprintf("%q:0,", key)
				packed = pack.AppendInt(pack.AppendString(packed, key), 0)
			}
			key := fmt.Sprint("k", twice)
			object += fmt.Sprintf("%q:0}", key)
			packed = pack.AppendInt(pack.AppendString(packed, key), 0)

			_, err := jsonpack.ToMsgpack(nil, []byte(object))
			require.ErrorContains(t, err, "is there twice")
			text, err := jsonpack.ToJSON(nil, packed)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(string(text), `{"$map":[["k0",0],`), "%s", text)
		}
	}
}

// What nests as deep as msgpack may comes back, with forms at the bottom, which are no level of their own.
func TestDepth_limit(t *testing.T) {
	for _, bottom := range []string{`1`, `{"$bin":"AA=="}`, `{"$ext":[1,""]}`, `{"$f32":1.5}`} {
		for _, level := range []struct{ open, close string }{{`[`, `]`}, {`{"a":`, `}`}, {`{"$map":[[null,`, `]]}`}} {
			text := strings.Repeat(level.open, pack.MaxDepth) + bottom + strings.Repeat(level.close, pack.MaxDepth)
			packed, err := jsonpack.ToMsgpack(nil, []byte(text))
			require.NoError(t, err)
			require.NoError(t, pack.Valid(packed))
			back, err := jsonpack.ToJSON(nil, packed)
			require.NoError(t, err)
			require.Equal(t, text, string(back))
		}
	}
}

func TestAppend_keepsWhatIsThere(t *testing.T) {
	packed, err := jsonpack.ToMsgpack([]byte("before"), []byte(`[1,{"a":[`+strings.Repeat("0,", 20)+`0]}]`))
	require.NoError(t, err)
	require.Equal(t, "before", string(packed[:6]))
	text, err := jsonpack.ToJSON([]byte("before"), packed[6:])
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), `before[1,{"a":[0,`))
}

func TestSyntaxError(t *testing.T) {
	_, err := jsonpack.ToMsgpack(nil, []byte(`{"a":1,"a":2}`))
	require.EqualError(t, err, `json at byte 7: the key "a" is there twice`)
	require.True(t, errors.As(err, new(*jsonpack.SyntaxError)))
}

func ExampleToMsgpack() {
	packed, err := jsonpack.ToMsgpack(nil, []byte(`{"type":"increment","by":3}`))
	fmt.Printf("%x %v\n", packed, err)
	_, err = jsonpack.ToMsgpack(nil, []byte(`{"by":99999999999999999999}`))
	fmt.Println(err)
	// Output:
	// 82a474797065a9696e6372656d656e74a2627903 <nil>
	// json at byte 6: the integer is beyond 64 bits; with a '.' or an 'e' it is a float
}

func ExampleToJSON() {
	packed := pack.AppendMapLen(nil, 2)
	packed = pack.AppendFloat(pack.AppendString(packed, "total"), 12)
	packed = pack.AppendBin(pack.AppendString(packed, "$raw"), []byte{1, 2, 3})
	text, err := jsonpack.ToJSON(nil, packed)
	fmt.Println(string(text), err)
	// Output: {"total":12.0,"$$raw":{"$bin":"AQID"}} <nil>
}
