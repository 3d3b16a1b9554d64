package jsonpack_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

// drawMsgpack draws one canonical msgpack value of any kind.
func drawMsgpack(t *rapid.T, out []byte, depth int) []byte {
	kinds := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 10, 10}
	if depth == 0 {
		kinds = kinds[:9]
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case 0:
		return pack.AppendNil(out)
	case 1:
		return pack.AppendBool(out, rapid.Bool().Draw(t, "bool"))
	case 2:
		return pack.AppendInt(out, rapid.Int64().Draw(t, "int"))
	case 3:
		return pack.AppendUint(out, rapid.Uint64().Draw(t, "uint"))
	case 4:
		return pack.AppendFloat(out, drawFloat(t))
	case 5:
		return pack.AppendFloat32(out, math.Float32frombits(rapid.Uint32().Draw(t, "float32")))
	case 6:
		return drawStr(t, out)
	case 7:
		return pack.AppendBin(out, drawBytes(t))
	case 8:
		return drawExt(t, out)
	case 9:
		n := rapid.SampledFrom([]int{0, 1, 2, 3, 3, 3, 17}).Draw(t, "elements")
		out = pack.AppendArrayLen(out, n)
		for range n {
			out = drawMsgpack(t, out, depth-1)
		}
		return out
	}
	n := rapid.SampledFrom([]int{0, 1, 2, 3, 3, 3, 17}).Draw(t, "pairs")
	// Text for keys only, or any values, twice the same among them.
	odd := rapid.SampledFrom([]bool{true, false, false}).Draw(t, "odd keys")
	out = pack.AppendMapLen(out, n)
	for i := range n {
		if odd {
			out = drawMsgpack(t, out, depth-1)
		} else {
			out = pack.AppendString(out, rapid.SampledFrom([]string{"", "$", "a"}).Draw(t, "prefix")+strings.Repeat("k", i))
		}
		out = drawMsgpack(t, out, depth-1)
	}
	return out
}

func drawFloat(t *rapid.T) float64 {
	if rapid.Bool().Draw(t, "round") {
		return float64(rapid.Int64Range(-1e6, 1e6).Draw(t, "whole")) * math.Pow10(rapid.IntRange(-30, 30).Draw(t, "exponent"))
	}
	return math.Float64frombits(rapid.Uint64().Draw(t, "float64"))
}

func drawBytes(t *rapid.T) []byte {
	return rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 20), rapid.SliceOfN(rapid.Byte(), 250, 300)).Draw(t, "bytes")
}

func drawStr(t *rapid.T, out []byte) []byte {
	if rapid.Bool().Draw(t, "any bytes") {
		return pack.AppendStringBytes(out, drawBytes(t))
	}
	return pack.AppendString(out, rapid.String().Draw(t, "text"))
}

// drawExt draws an ext. One of type -1 is a timestamp, and then the shortest of its forms, or none.
func drawExt(t *rapid.T, out []byte) []byte {
	if rapid.Bool().Draw(t, "time") {
		seconds := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1e11, 3e11), rapid.Int64Range(0, math.MaxUint32)).Draw(t, "seconds")
		return pack.AppendTime(out, time.Unix(seconds, rapid.Int64Range(0, 999_999_999).Draw(t, "ns")))
	}
	typ, data := rapid.Int8().Draw(t, "type"), drawBytes(t)
	if len(data) == 4 || len(data) == 8 || len(data) == 12 {
		typ = max(typ, 0)
	}
	return pack.AppendExt(out, typ, data)
}

func TestToJSON_andBackIsIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		packed := pack.AppendArrayLen(nil, 4)
		for range 4 {
			packed = drawMsgpack(t, packed, 3)
		}
		text, err := jsonpack.ToJSON(nil, packed)
		require.NoError(t, err)
		require.True(t, json.Valid(text), "%s", text)
		back, err := jsonpack.ToMsgpack(nil, text)
		require.NoError(t, err, "%s", text)
		require.Equal(t, packed, back, "%s", text)
	})
}

// drawJSON draws a value of plain JSON as ToJSON would spell it.
func drawJSON(t *rapid.T, out *bytes.Buffer, depth int) {
	quote := func(s string) {
		text, err := jsonpack.ToJSON(nil, pack.AppendString(nil, s))
		require.NoError(t, err)
		out.Write(text)
	}
	kinds := []int{0, 1, 2, 3, 4, 5, 6}
	if depth == 0 {
		kinds = kinds[:5]
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case 0:
		out.WriteString(rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "word"))
	case 1, 2:
		out.WriteString(rapid.SampledFrom([]string{"0", "1", "-1", "1.0", "-0.0", "2.5e-10", "9007199254740993", "18446744073709551615", "1e+300"}).Draw(t, "number"))
	case 3, 4:
		quote(rapid.String().Draw(t, "text"))
	case 5:
		out.WriteByte('[')
		for i := range rapid.SampledFrom([]int{0, 1, 2, 2, 3, 20}).Draw(t, "elements") {
			if i > 0 {
				out.WriteByte(',')
			}
			drawJSON(t, out, depth-1)
		}
		out.WriteByte(']')
	case 6:
		out.WriteByte('{')
		for i := range rapid.SampledFrom([]int{0, 1, 2, 2, 3, 20}).Draw(t, "members") {
			if i > 0 {
				out.WriteByte(',')
			}
			quote(rapid.SampledFrom([]string{"", "$$", "é"}).Draw(t, "prefix") + strings.Repeat("k", i))
			out.WriteByte(':')
			drawJSON(t, out, depth-1)
		}
		out.WriteByte('}')
	}
}

// drawDocument draws an array of several values, so that few documents are trivial.
func drawDocument(t *rapid.T, out *bytes.Buffer) {
	for i := range 5 {
		out.WriteByte("[,,,,"[i])
		drawJSON(t, out, 3)
	}
	out.WriteByte(']')
}

func TestToMsgpack_andBackIsIdentityUpToSpace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text, spaced bytes.Buffer
		drawDocument(t, &text)
		require.NoError(t, json.Indent(&spaced, text.Bytes(), "\r\n", "\t "))
		for _, in := range [][]byte{text.Bytes(), spaced.Bytes()} {
			packed, err := jsonpack.ToMsgpack(nil, in)
			require.NoError(t, err, "%s", in)
			require.NoError(t, pack.Valid(packed))
			back, err := jsonpack.ToJSON(nil, packed)
			require.NoError(t, err)
			require.Equal(t, text.String(), string(back))
		}
	})
}

// What a msgpack library of others reads is what a JSON library of others reads.
func TestToMsgpack_asOthersReadIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text bytes.Buffer
		drawDocument(t, &text)
		packed, err := jsonpack.ToMsgpack(nil, text.Bytes())
		require.NoError(t, err)

		var got any
		require.NoError(t, msgpack.Unmarshal(packed, &got))
		var want any
		decoder := json.NewDecoder(&text)
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&want))
		require.Equal(t, plain(want), plain(got))
	})
}

// plain brings what encoding/json and vmihailenco/msgpack decode into one form: integers as decimal text, floats as float64, keys without
// the doubled '$'.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".e") {
			f, err := v.Float64()
			if err != nil {
				panic(err)
			}
			return f
		}
		return v.String()
	case int8, int16, int32, int64, uint8, uint16, uint32, uint64:
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return string(text)
	case []any:
		all := []any{}
		for _, element := range v {
			all = append(all, plain(element))
		}
		return all
	case map[string]any:
		all := map[string]any{}
		for key, member := range v {
			all[strings.Replace(key, "$$", "$", 1)] = plain(member)
		}
		return all
	}
	return v
}

func TestToJSON_asOthersWriteIt(t *testing.T) {
	for _, tc := range []struct {
		in   any
		want string
	}{
		{map[string]any{"a": []any{int64(1), uint16(2), -3}}, `{"a":[1,2,-3]}`},
		{[]any{1.0, float32(0.5), math.Inf(1)}, `[1.0,{"$f32":0.5},{"$float":"inf"}]`},
		{[]any{[]byte{1, 2}, "x", nil, true}, `[{"$bin":"AQI="},"x",null,true]`},
		{time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), `{"$time":"2026-01-02T03:04:05.000000006Z"}`},
		{map[int]string{7: "seven"}, `{"$map":[[7,"seven"]]}`},
		{struct{ Name string }{"n"}, `{"Name":"n"}`},
	} {
		packed, err := msgpack.Marshal(tc.in)
		require.NoError(t, err)
		text, err := jsonpack.ToJSON(nil, packed)
		require.NoError(t, err)
		require.Equal(t, tc.want, string(text))
	}
}

// Bodies made to cost the square of their size, or twice as much per level, cost no more than a few times an ordinary one: with any of
// these traps open the test runs for minutes.
func TestBoth_linear(t *testing.T) {
	var keys strings.Builder
	for i := range 200_000 {
		keys.WriteString(strings.Repeat("k", i%7) + "x" + time.Duration(i).String() + `":0,"`)
	}
	odd := `{"$map":[[1,2]]}`
	for range 40 {
		odd = `{"$map":[["a",` + odd + `],["b",{"$map":[[1,2]]}],[0,0]]}`
	}
	for name, in := range map[string]string{
		"many keys":      `{"` + keys.String() + `":0}`,
		"deep and long":  strings.Repeat(`[`+strings.Repeat("0,", 16), 64) + strings.Repeat("1,", 1_000_000) + "1" + strings.Repeat("]", 64),
		"odd maps":       odd,
		"many odd keys":  `{"$map":[` + strings.Repeat("[1,2],", 300_000) + `[1,2]]}`,
		"long number":    strings.Repeat("1", 2_000_000) + ".0e-1999999",
		"many escapes":   `"` + strings.Repeat(`\u0000`, 300_000) + `"`,
		"many documents": `[` + strings.Repeat(`{},`, 500_000) + `{}]`,
	} {
		start := time.Now()
		packed, err := jsonpack.ToMsgpack(nil, []byte(in))
		require.NoError(t, err, name)
		text, err := jsonpack.ToJSON(nil, packed)
		require.NoError(t, err, name)
		again, err := jsonpack.ToMsgpack(nil, text)
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(packed, again), name)
		require.Less(t, time.Since(start), 20*time.Second, name)
	}
}
