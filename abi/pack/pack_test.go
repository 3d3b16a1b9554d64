package pack_test

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/abi/pack"
)

var update = flag.Bool("update", false, "write the golden vectors")

// forms has a value of each form of msgpack, at the edges of their ranges.
func forms() []struct {
	name string
	b    []byte
} {
	type form = struct {
		name string
		b    []byte
	}
	list := []form{{"nil", pack.AppendNil(nil)}, {"false", pack.AppendBool(nil, false)}, {"true", pack.AppendBool(nil, true)}}
	for _, v := range []int64{0, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, math.MaxInt64, -1, -32, -33, -128, -129, -32768, -32769, -1 << 31, -1<<31 - 1, math.MinInt64} {
		list = append(list, form{fmt.Sprint("int ", v), pack.AppendInt(nil, v)})
	}
	list = append(list, form{"uint 18446744073709551615", pack.AppendUint(nil, math.MaxUint64)})
	for _, v := range []float64{0, 1.5, math.Copysign(0, -1), math.Inf(1), math.NaN(), math.Float64frombits(0xfff0000000000001)} {
		list = append(list, form{fmt.Sprint("float64 ", v), pack.AppendFloat(nil, v)}, form{fmt.Sprint("float32 ", v), pack.AppendFloat32(nil, float32(v))})
	}
	for _, n := range []int{0, 31, 32, 255, 256, 65535, 65536} {
		s := strings.Repeat("x", n)
		list = append(list, form{fmt.Sprint("str ", n), pack.AppendString(nil, s)}, form{fmt.Sprint("bin ", n), pack.AppendBin(nil, []byte(s))},
			form{fmt.Sprint("array ", n), pack.AppendArrayLen(nil, n)}, form{fmt.Sprint("map ", n), pack.AppendMapLen(nil, n)})
	}
	for _, n := range []int{0, 1, 2, 3, 4, 8, 16, 17, 255, 256, 65536} {
		list = append(list, form{fmt.Sprint("ext ", n), pack.AppendExt(nil, -7, make([]byte, n))})
	}
	for _, t := range []time.Time{time.Unix(0, 0), time.Unix(1<<32-1, 0), time.Unix(1<<32, 0), time.Unix(1, 1), time.Unix(1<<34, 0), time.Unix(-1, 999_999_999)} {
		list = append(list, form{"time " + t.UTC().Format(time.RFC3339Nano), pack.AppendTime(nil, t)})
	}
	return list
}

func TestGolden(t *testing.T) {
	var text strings.Builder
	for _, f := range forms() {
		head := f.b[:min(len(f.b), 24)]
		fmt.Fprintf(&text, "%-40s %5d bytes  %x\n", f.name, len(f.b), head)
	}
	if *update {
		require.NoError(t, os.WriteFile("testdata/forms.txt", []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile("testdata/forms.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())
}

// Scalars are written as vmihailenco/msgpack writes them in its compact form, and each reads the other.
func TestVmihailenco(t *testing.T) {
	encode := func(t *rapid.T, v any) []byte {
		var b bytes.Buffer
		enc := msgpack.NewEncoder(&b)
		enc.UseCompactInts(true)
		require.NoError(t, enc.Encode(v))
		return b.Bytes()
	}
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.Int64().Draw(t, "i") >> rapid.IntRange(0, 63).Draw(t, "shift")
		u := rapid.Uint64().Draw(t, "u") >> rapid.IntRange(0, 63).Draw(t, "shift")
		f := rapid.Float64().Draw(t, "f")
		s := strings.Repeat(rapid.StringN(0, 4, -1).Draw(t, "s"), rapid.SampledFrom([]int{1, 10, 100, 30000}).Draw(t, "n"))
		at := time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		require.Equal(t, encode(t, i), pack.AppendInt(nil, i))
		require.Equal(t, encode(t, u), pack.AppendUint(nil, u))
		require.Equal(t, encode(t, f), pack.AppendFloat(nil, f))
		require.Equal(t, encode(t, s), pack.AppendString(nil, s))
		require.Equal(t, encode(t, s), pack.AppendStringBytes(nil, []byte(s)))
		require.Equal(t, encode(t, []byte(s)), pack.AppendBin(nil, []byte(s)))
		require.Equal(t, encode(t, at), pack.AppendTime(nil, at))

		b := pack.AppendInt(nil, i)
		b = pack.AppendUint(b, u)
		b = pack.AppendFloat(b, f)
		b = pack.AppendFloat32(b, float32(f))
		b = pack.AppendString(b, s)
		b = pack.AppendBin(b, []byte(s))
		b = pack.AppendTime(b, at)
		b = pack.AppendBool(b, i > 0)
		r := pack.NewReader(b)
		require.Equal(t, i, r.Int())
		require.Equal(t, u, r.Uint())
		require.Equal(t, f, r.Float())
		require.Equal(t, float64(float32(f)), r.Float())
		require.Equal(t, s, string(r.Str()))
		require.Equal(t, s, string(r.Bin()))
		require.Equal(t, at, r.Time())
		require.Equal(t, i > 0, r.Bool())
		r.End()
		require.NoError(t, r.Err())
	})
}

// Every form of an integer is read, not only the shortest.
func TestReader_integers(t *testing.T) {
	for in, want := range map[string]int64{
		"\xcc\x05": 5, "\xcd\x00\x05": 5, "\xce\x00\x00\x00\x05": 5, "\xcf\x00\x00\x00\x00\x00\x00\x00\x05": 5,
		"\xd0\x05": 5, "\xd1\x00\x05": 5, "\xd2\x00\x00\x00\x05": 5, "\xd3\x00\x00\x00\x00\x00\x00\x00\x05": 5,
		"\xd0\xfb": -5, "\xd1\xff\xfb": -5, "\xd2\xff\xff\xff\xfb": -5, "\xd3\xff\xff\xff\xff\xff\xff\xff\xfb": -5, "\xfb": -5,
	} {
		r := pack.NewReader([]byte(in))
		require.Equal(t, want, r.Int(), "%x", in)
		r.End()
		require.NoError(t, r.Err())
	}
}

func TestReader_errors(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		read func(r *pack.Reader)
		want string
	}{
		"end":            {"", func(r *pack.Reader) { r.Int() }, "msgpack at byte 0: want an integer, have the end of the input"},
		"0xc1":           {"\xc1", func(r *pack.Reader) { r.Str() }, "msgpack at byte 0: the byte 0xc1 begins no value"},
		"kind":           {"\x01\xc0", func(r *pack.Reader) { r.Int(); r.Bool() }, "msgpack at byte 1: want a bool, have nil"},
		"too large":      {"\xcf\x80\x00\x00\x00\x00\x00\x00\x00", func(r *pack.Reader) { r.Int() }, "msgpack at byte 0: the integer does not fit 64 bits with a sign"},
		"negative":       {"\xff", func(r *pack.Reader) { r.Uint() }, "msgpack at byte 0: want an integer that is not negative"},
		"int cut":        {"\xcd\x01", func(r *pack.Reader) { r.Int() }, "msgpack at byte 0: the input ends inside a value"},
		"float cut":      {"\xcb\x01", func(r *pack.Reader) { r.Float() }, "msgpack at byte 0: the input ends inside a value"},
		"float32 cut":    {"\xca\x01", func(r *pack.Reader) { r.Float() }, "msgpack at byte 0: the input ends inside a value"},
		"float kind":     {"\x01", func(r *pack.Reader) { r.Float() }, "msgpack at byte 0: want a float, have uint"},
		"str cut":        {"\xa2x", func(r *pack.Reader) { r.Str() }, "msgpack at byte 0: the input ends inside a value"},
		"str header cut": {"\xda\x00", func(r *pack.Reader) { r.Str() }, "msgpack at byte 0: the input ends inside a value"},
		"str huge":       {"\xdb\xff\xff\xff\xff", func(r *pack.Reader) { r.Str() }, "msgpack at byte 0: the input ends inside a value"},
		"bin cut":        {"\xc5\x00", func(r *pack.Reader) { r.Bin() }, "msgpack at byte 0: the input ends inside a value"},
		"bin kind":       {"\xa0", func(r *pack.Reader) { r.Bin() }, "msgpack at byte 0: want a bin, have str"},
		"array huge":     {"\xdd\xff\xff\xff\xff", func(r *pack.Reader) { r.ArrayLen() }, "msgpack at byte 0: the input ends inside a value"},
		"array short":    {"\x92\x01", func(r *pack.Reader) { r.ArrayLen() }, "msgpack at byte 0: the input ends inside a value"},
		"array cut":      {"\xdc\x00", func(r *pack.Reader) { r.ArrayLen() }, "msgpack at byte 0: the input ends inside a value"},
		"array end":      {"", func(r *pack.Reader) { r.ArrayLen() }, "msgpack at byte 0: want an array, have the end of the input"},
		"map short":      {"\x82\x01\x01\x01", func(r *pack.Reader) { r.MapLen() }, "msgpack at byte 0: the input ends inside a value"},
		"map kind":       {"\x90", func(r *pack.Reader) { r.MapLen() }, "msgpack at byte 0: want a map, have array"},
		"ext cut":        {"\xd8\x01", func(r *pack.Reader) { r.Ext() }, "msgpack at byte 0: the input ends inside a value"},
		"ext no type":    {"\xd4", func(r *pack.Reader) { r.Ext() }, "msgpack at byte 0: the input ends inside a value"},
		"ext header":     {"\xc8\x00", func(r *pack.Reader) { r.Ext() }, "msgpack at byte 0: the input ends inside a value"},
		"ext kind":       {"\x01", func(r *pack.Reader) { r.Ext() }, "msgpack at byte 0: want an ext, have uint"},
		"ext end":        {"", func(r *pack.Reader) { r.Ext() }, "msgpack at byte 0: want an ext, have the end of the input"},
		"time type":      {"\xd6\x05\x00\x00\x00\x00", func(r *pack.Reader) { r.Time() }, "msgpack at byte 0: want a timestamp"},
		"time length":    {"\xd4\xff\x00", func(r *pack.Reader) { r.Time() }, "msgpack at byte 0: want a timestamp"},
		"time ns":        {"\xd7\xff\xff\xff\xff\xff\x00\x00\x00\x00", func(r *pack.Reader) { r.Time() }, "msgpack at byte 0: the timestamp has more than 999,999,999 ns"},
		"rest":           {"\x01\x02", func(r *pack.Reader) { r.Int(); r.End() }, "msgpack at byte 1: there are bytes after the value"},
		"raw":            {"\x91\xc1", func(r *pack.Reader) { r.Raw() }, "msgpack at byte 1: the byte 0xc1 begins no value"},
		"own":            {"\x01", func(r *pack.Reader) { r.Fail("odd"); r.Fail("again") }, "msgpack at byte 0: odd"},
	} {
		t.Run(name, func(t *testing.T) {
			r := pack.NewReader([]byte(c.in))
			c.read(&r)
			require.EqualError(t, r.Err(), c.want)
			require.False(t, r.OK())
			require.False(t, r.More())

			// The first error sticks, and all that is read then is zero.
			require.Zero(t, r.Int())
			require.Zero(t, r.Uint())
			require.Zero(t, r.Float())
			require.Zero(t, r.MapLen())
			require.Zero(t, r.ArrayLen())
			require.Nil(t, r.Str())
			require.Nil(t, r.Bin())
			require.Nil(t, r.Raw())
			require.False(t, r.Bool())
			require.False(t, r.Nil())
			require.Zero(t, r.Time())
			require.Equal(t, pack.Invalid, r.Peek())
			r.End()
			require.EqualError(t, r.Err(), c.want)
		})
	}
}

func TestReader_resets(t *testing.T) {
	var r pack.Reader
	require.False(t, r.More())
	r.Int()
	require.Error(t, r.Err())
	r.Reset([]byte{0xc0, 1})
	require.True(t, r.Nil())
	require.Equal(t, 1, r.Pos())
	require.True(t, r.More())
	require.Equal(t, int64(1), r.Int())
	require.NoError(t, r.Err())
}

func TestValid_depth(t *testing.T) {
	nest := func(n int) []byte { return append(bytes.Repeat([]byte{0x91}, n), 0x01) }
	require.NoError(t, pack.Valid(nest(pack.MaxDepth)))
	require.ErrorContains(t, pack.Valid(nest(pack.MaxDepth+1)), "arrays and maps nest too deep")
	require.NoError(t, pack.Valid(append(nest(3), []byte{}...)))
	require.ErrorContains(t, pack.Valid(append(nest(3), 0)), "bytes after the value")
	for _, f := range forms() {
		if !strings.HasPrefix(f.name, "array") && !strings.HasPrefix(f.name, "map") {
			require.NoError(t, pack.Valid(f.b), f.name)
		}
	}
	require.NoError(t, pack.Valid([]byte("\x82\x01\x92\x01\x80\xa1x\x90")))
	require.Error(t, pack.Valid(nil))
}

func TestReader_allocates(t *testing.T) {
	b := pack.AppendString(pack.AppendInt(pack.AppendMapLen(nil, 1), 7), "text")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		r := pack.NewReader(b)
		for n := r.MapLen(); n > 0; n-- {
			r.Int()
			r.Str()
		}
		r.Reset(b)
		r.Skip()
	}))
}

func FuzzValid(f *testing.F) {
	for _, form := range forms() {
		f.Add(form.b)
	}
	f.Add([]byte("\x82\x01\x92\x01\x80\xa1x\x90"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := pack.NewReader(b)
		raw := r.Raw()
		if pack.Valid(b) == nil {
			require.Equal(t, b, raw)
		}
	})
}

// FuzzReader reads the input with every method in turn: none may panic or move backwards.
func FuzzReader(f *testing.F) {
	for _, form := range forms() {
		f.Add(form.b, uint64(0x123456789))
	}
	f.Fuzz(func(t *testing.T, b []byte, order uint64) {
		r := pack.NewReader(b)
		methods := []func(){
			func() { r.Int() }, func() { r.Uint() }, func() { r.Float() }, func() { r.Str() }, func() { r.Bin() }, func() { r.Bool() },
			func() { r.Nil() }, func() { require.LessOrEqual(t, r.ArrayLen(), len(b)) }, func() { require.LessOrEqual(t, 2*r.MapLen(), len(b)) },
			func() { r.Ext() }, func() { r.Time() }, func() { r.Skip() }, func() { r.Raw() }, func() { r.Peek() },
		}
		for ; order > 0; order >>= 4 {
			before := r.Pos()
			methods[int(order&15)%len(methods)]()
			require.GreaterOrEqual(t, r.Pos(), before)
			require.LessOrEqual(t, r.Pos(), len(b))
		}
	})
}

func BenchmarkSkip(b *testing.B) {
	scalar := []byte{1}
	action := pack.AppendInt(pack.AppendString(pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 2), "type"), "increment"), "by"), 3)
	for name, in := range map[string][]byte{"scalar": scalar, "action": action} {
		b.Run("value="+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = pack.Valid(in)
			}
		})
	}
}
