package sdk_test

import (
	"bytes"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/sdk"
)

type Color string

type Base struct {
	ID   uint64 `msgpack:"id"`
	Kind Color  `msgpack:"kind,omitempty"`
}

type Point struct {
	X float64 `msgpack:"x"`
	Y float32 `msgpack:"y,omitempty"`
}

// All has every kind of field that vmihailenco/msgpack encodes the same way.
type All struct {
	Base
	Bool     bool              `msgpack:"bool"`
	I8       int8              `msgpack:"i8"`
	I16      int16             `msgpack:"i16"`
	I32      int32             `msgpack:"i32"`
	I64      int64             `msgpack:"i64"`
	Int      int               `msgpack:"int,omitempty"`
	U8       uint8             `msgpack:"u8"`
	U16      uint16            `msgpack:"u16"`
	U32      uint32            `msgpack:"u32"`
	U64      uint64            `msgpack:"u64"`
	F32      float32           `msgpack:"f32"`
	F64      float64           `msgpack:"f64"`
	Text     string            `msgpack:"text"`
	Bytes    []byte            `msgpack:"bytes"`
	Hash     [5]byte           `msgpack:"hash"`
	Pair     [2]int64          `msgpack:"pair"`
	Point    Point             `msgpack:"point"`
	Next     *Point            `msgpack:"next"`
	Maybe    *int64            `msgpack:"maybe,omitempty"`
	Points   []Point           `msgpack:"points"`
	Texts    []string          `msgpack:"texts,omitempty"`
	Labels   map[string]string `msgpack:"labels"`
	Wait     time.Duration     `msgpack:"wait"`
	At       time.Time         `msgpack:"at"`
	Untagged int64
	Lost     chan int `msgpack:"-"`
}

func genAll(t *rapid.T) All {
	i64 := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-200, 200), rapid.SampledFrom([]int64{0, math.MaxInt64, math.MinInt64, 1 << 31, -1 << 31, 1 << 32}))
	point := rapid.Custom(func(t *rapid.T) Point {
		return Point{rapid.Float64().Draw(t, "x"), rapid.Float32().Draw(t, "y") + 0} // theirs leaves -0 out
	})
	a := All{
		Base: Base{rapid.Uint64().Draw(t, "id"), Color(rapid.StringN(0, 3, -1).Draw(t, "kind"))},
		Bool: rapid.Bool().Draw(t, "bool"),
		I8:   rapid.Int8().Draw(t, "i8"), I16: rapid.Int16().Draw(t, "i16"), I32: rapid.Int32().Draw(t, "i32"), I64: i64.Draw(t, "i64"), Int: int(i64.Draw(t, "int")),
		U8: rapid.Uint8().Draw(t, "u8"), U16: rapid.Uint16().Draw(t, "u16"), U32: rapid.Uint32().Draw(t, "u32"), U64: uint64(i64.Draw(t, "u64")),
		F32: rapid.Float32().Draw(t, "f32"), F64: rapid.Float64().Draw(t, "f64"),
		Text:   rapid.StringN(0, 300, -1).Draw(t, "text"),
		Bytes:  rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 300)).Draw(t, "bytes"),
		Pair:   [2]int64{i64.Draw(t, "a"), i64.Draw(t, "b")},
		Point:  point.Draw(t, "point"),
		Next:   rapid.Ptr(point, true).Draw(t, "next"),
		Maybe:  rapid.Ptr(i64, true).Draw(t, "maybe"),
		Points: rapid.SliceOfN(point, 0, 100).Draw(t, "points"),
		Labels: rapid.MapOfN(rapid.StringN(0, 9, -1), rapid.String(), 0, 20).Draw(t, "labels"),
		Wait:   time.Duration(i64.Draw(t, "wait")),
		At:     time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),

		Untagged: i64.Draw(t, "untagged"),
	}
	if texts := rapid.SliceOfN(rapid.String(), 0, 20).Draw(t, "texts"); len(texts) > 0 {
		a.Texts = texts // an empty list that is left out comes back as nil
	}
	copy(a.Hash[:], a.Text)
	return a
}

// The bytes are those of vmihailenco/msgpack with compact integers and sorted keys, and each reads what the other writes.
func TestPack_vmihailenco(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genAll(t)
		ours := sdk.Pack(want)

		var theirs bytes.Buffer
		enc := msgpack.NewEncoder(&theirs)
		enc.UseCompactInts(true)
		enc.SetSortMapKeys(true)
		require.NoError(t, enc.Encode(want))
		require.Equal(t, theirs.Bytes(), []byte(ours))

		var got All
		require.NoError(t, sdk.Unpack(theirs.Bytes(), &got))
		require.Equal(t, want, got)
		require.Equal(t, ours, sdk.Pack(got))
	})
}

func TestPack_maps(t *testing.T) {
	type Maps struct {
		S map[string]int            `msgpack:"s"`
		C map[Color]Point           `msgpack:"c"`
		I map[int8]string           `msgpack:"i"`
		U map[uint64]*Point         `msgpack:"u"`
		N map[string]Maps           `msgpack:"n"`
		B map[string]map[int64]bool `msgpack:"b"`
	}
	m := Maps{
		S: map[string]int{"b": 2, "a": 1, "": 0, "ab": 3}, C: map[Color]Point{"red": {1, 2}, "blue": {}},
		I: map[int8]string{-1: "x", 5: "y", -128: "z"}, U: map[uint64]*Point{math.MaxUint64: {3, 4}, 0: nil},
		N: map[string]Maps{"inner": {}}, B: map[string]map[int64]bool{"k": {2: true, -2: false}},
	}
	first := sdk.Pack(m)
	for range 50 {
		var back Maps
		require.NoError(t, sdk.Unpack(first, &back))
		require.Equal(t, m, back)
		require.Equal(t, first, sdk.Pack(back), "the order of keys does not depend on the map")
	}
	require.Equal(t, "\x84\xa0\x00\xa1a\x01\xa2ab\x03\xa1b\x02", string(sdk.Pack(m.S)))
	require.Equal(t, "\x83\xd0\x80\xa1z\xff\xa1x\x05\xa1y", string(sdk.Pack(m.I)), "in the order of numbers")
}

func TestPack_omitempty(t *testing.T) {
	type Inner struct{ A int64 }
	type Omit struct {
		B bool           `msgpack:"b,omitempty"`
		I int32          `msgpack:"i,omitempty"`
		U uint8          `msgpack:"u,omitempty"`
		F float64        `msgpack:"f,omitempty"`
		G float32        `msgpack:"g,omitempty"`
		S string         `msgpack:"s,omitempty"`
		Y []byte         `msgpack:"y,omitempty"`
		L []int64        `msgpack:"l,omitempty"`
		M map[string]int `msgpack:"m,omitempty"`
		P *Inner         `msgpack:"p,omitempty"`
		T time.Time      `msgpack:"t,omitempty"`
		N Inner          `msgpack:"n,omitempty"`
		A [2]int8        `msgpack:"a,omitempty"`
		R sdk.Raw        `msgpack:"r,omitempty"`
	}
	require.Equal(t, "\x80", string(sdk.Pack(Omit{})))
	require.Equal(t, "\x80", string(sdk.Pack(Omit{L: []int64{}, M: map[string]int{}, Y: []byte{}})))
	full := Omit{true, 1, 1, 1, 1, "x", []byte{0}, []int64{0}, map[string]int{"": 0}, &Inner{}, time.Unix(1, 0).UTC(), Inner{1}, [2]int8{0, 1}, sdk.Raw{0x01}}
	var back Omit
	require.NoError(t, sdk.Unpack(sdk.Pack(full), &back))
	require.Equal(t, full, back)
	r := pack.NewReader(sdk.Pack(full))
	require.Equal(t, 14, r.MapLen())
	require.NotEqual(t, "\x80", string(sdk.Pack(Omit{F: math.Copysign(0, -1)})), "-0 is not 0")
	type Array struct {
		A [2]float64 `msgpack:"a,omitempty"`
	}
	require.Equal(t, "\x80", string(sdk.Pack(Array{})))
	require.NotEqual(t, "\x80", string(sdk.Pack(Array{[2]float64{0, math.Copysign(0, -1)}})))
}

func TestPack_nan(t *testing.T) {
	odd := math.Float64frombits(0xfff8_0000_0000_1234)
	require.Equal(t, "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", string(sdk.Pack(odd)))
	require.Equal(t, "\xca\x7f\xc0\x00\x00", string(sdk.Pack(float32(odd))))
}

type handmade struct{ n int64 }

func (h *handmade) AppendPack(b []byte) []byte { return pack.AppendInt(b, h.n+100) }
func (h *handmade) ReadPack(r *pack.Reader) {
	if h.n = r.Int() - 100; h.n < 0 {
		r.Fail("less than 100")
	}
}

func TestPack_codec(t *testing.T) {
	type Holder struct {
		One  handmade            `msgpack:"one"`
		More []handmade          `msgpack:"more"`
		Ptr  *handmade           `msgpack:"ptr"`
		Map  map[string]handmade `msgpack:"map"`
	}
	h := Holder{handmade{1}, []handmade{{2}}, &handmade{3}, map[string]handmade{"k": {4}}}
	b := sdk.Pack(h)
	require.Equal(t, "\x84\xa3one\x65\xa4more\x91\x66\xa3ptr\x67\xa3map\x81\xa1k\x68", string(b))
	var back Holder
	require.NoError(t, sdk.Unpack(b, &back))
	require.Equal(t, h, back)
	require.EqualError(t, sdk.Unpack(pack.AppendMapLen(nil, 1), &back), "the input ends inside a value")
	require.EqualError(t, sdk.Unpack([]byte("\x81\xa3one\x01"), &back), "one: less than 100")
}

// An action is the same bytes whether its type is told by the call or found in an interface, and the fields are those of Pack.
func TestPackAction(t *testing.T) {
	type options struct {
		A int    `msgpack:"a,omitempty"`
		B string `msgpack:"b,omitempty"`
		C bool   `msgpack:"c"`
	}
	for _, v := range []options{{}, {A: 1}, {B: "x"}, {1, "x", true}} {
		packed := sdk.Pack(v)
		want := string([]byte{packed[0] + 1}) + "\xa4type\xa3add" + string(packed[1:])
		require.Equal(t, want, string(sdk.PackAction("add", v)))
		require.Equal(t, want, string(sdk.PackAction[any]("add", v)))
		require.Equal(t, want, string(sdk.PackAction("add", packed)))
		require.Equal(t, want, string(sdk.PackAction("add", &v)))
	}
	require.Equal(t, "\x81\xa4type\xa3add", string(sdk.PackAction("add", map[string]int{})))
	require.Panics(t, func() { sdk.PackAction[any]("add", nil) })
	require.Panics(t, func() { sdk.PackAction("add", (*options)(nil)) })
}

// More types than are found without the lock, at once: each is encoded by its own plan.
func TestPack_manyTypes(t *testing.T) {
	var types []any
	for n := range 300 {
		types = append(types, reflect.New(reflect.ArrayOf(n, reflect.TypeFor[bool]())).Elem().Interface())
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 3 {
				for n, v := range types {
					r := pack.NewReader(sdk.Pack(v))
					assert.Equal(t, n, r.ArrayLen())
				}
			}
		})
	}
	all.Wait()
}

func TestPack_recursive(t *testing.T) {
	type Tree struct {
		Name     string  `msgpack:"name"`
		Children []*Tree `msgpack:"children,omitempty"`
	}
	tree := &Tree{"root", []*Tree{{"a", nil}, {"b", []*Tree{{"c", nil}}}}}
	var back *Tree
	require.NoError(t, sdk.Unpack(sdk.Pack(tree), &back))
	require.Equal(t, tree, back)

	tree.Children[0].Children = []*Tree{tree}
	require.PanicsWithValue(t, "sdk: a value nests too deep to be encoded", func() { sdk.Pack(tree) })
	level := []byte("\x82\xa4name\xa0\xa8children\x91")
	require.NoError(t, sdk.Unpack(append(bytes.Repeat(level, 32), 0xc0), &back), "64 arrays and maps")
	require.NotPanics(t, func() { sdk.Pack(back) })
	require.ErrorContains(t, sdk.Unpack(append(bytes.Repeat(level, 33), 0xc0), &back), "nest too deep")
}

func TestPlan_unsupported(t *testing.T) {
	type Embedded struct{ X int64 }
	for want, pack := range map[string]func(){
		"struct { F interface {} }.F: the type interface {} can hold anything, so it would not come back as it was; use a struct, or sdk.Raw to pass a value on": func() { sdk.Pack(struct{ F any }{}) },
		"struct { F func() }.F: a func() cannot be encoded":                                                                                       func() { sdk.Pack(struct{ F func() }{}) },
		"struct { F []chan int }.F[]: a chan int cannot be encoded":                                                                               func() { sdk.Pack(struct{ F []chan int }{}) },
		"struct { F complex128 }.F: a complex128 cannot be encoded":                                                                               func() { sdk.Pack(struct{ F complex128 }{}) },
		"struct { F map[float64]int }.F: a map's keys are strings or integers, not float64":                                                       func() { sdk.Pack(struct{ F map[float64]int }{}) },
		"struct { F **int }.F: a **int cannot tell a nil inside from a nil outside":                                                               func() { sdk.Pack(struct{ F **int }{}) },
		"struct { F *[]int }.F: a *[]int cannot tell a nil inside from a nil outside":                                                             func() { sdk.Pack(struct{ F *[]int }{}) },
		"struct { f int }.f: is not exported, so its value would be lost between calls; export it, or tag it `msgpack:\"-\"` when it may be lost": func() { sdk.Pack(struct{ f int }{}) },
		`a second field named "a"`: func() {
			sdk.Pack(struct {
				A, B int `msgpack:"a"`
			}{})
		},
		`unknown option "as_array" in its msgpack tag`: func() {
			sdk.Pack(struct {
				A int `msgpack:"a,as_array"`
			}{})
		},
		"only structs can be embedded": func() { sdk.Pack(struct{ *Embedded }{}) },
		`the default "x" is not a int`: func() {
			sdk.Pack(struct {
				A int `default:"x"`
			}{})
		},
		`the default "1" is not a []int`: func() {
			sdk.Pack(struct {
				A []int `default:"1"`
			}{})
		},
		"omitempty would turn an empty value into the defaults of its fields": func() {
			type Inner struct {
				A int `default:"1"`
			}
			sdk.Pack(struct {
				In [1]Inner `msgpack:"in,omitempty"`
			}{})
		},
		"is not encoded, so it is never absent and has no default": func() {
			sdk.Pack(struct {
				A int `msgpack:"-" default:"1"`
			}{})
		},
		"omitempty and default together": func() {
			sdk.Pack(struct {
				A int `msgpack:"a,omitempty" default:"1"`
			}{})
		},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				text, _ := recover().(string)
				require.Contains(t, text, want)
				require.True(t, strings.HasPrefix(text, "sdk: "), text)
			}()
			pack()
		})
	}
}

func TestUnpack_defaults(t *testing.T) {
	type Inner struct {
		N uint16 `msgpack:"n" default:"7"`
	}
	type Defaults struct {
		A  [2]Inner         `msgpack:"a"`
		I  int64            `msgpack:"i" default:"-3"`
		U  uint8            `msgpack:"u" default:"200"`
		F  float32          `msgpack:"f" default:"1.5"`
		B  bool             `msgpack:"b" default:"true"`
		S  string           `msgpack:"s" default:"text"`
		D  time.Duration    `msgpack:"d" default:"2s"`
		In Inner            `msgpack:"in"`
		P  *Inner           `msgpack:"p"`
		L  []Inner          `msgpack:"l"`
		M  map[string]Inner `msgpack:"m"`
	}
	want := Defaults{A: [2]Inner{{7}, {7}}, I: -3, U: 200, F: 1.5, B: true, S: "text", D: 2 * time.Second, In: Inner{7}}
	var got Defaults
	require.NoError(t, sdk.Unpack([]byte{0x80}, &got))
	require.Equal(t, want, got)
	require.NoError(t, sdk.Unpack([]byte("\x84\xa1a\x92\x80\x81\xa1n\x01\xa1p\x80\xa1l\x92\x80\x81\xa1n\x01\xa1m\x81\xa0\x80"), &got))
	want.A = [2]Inner{{7}, {1}}
	want.P, want.L, want.M = &Inner{7}, []Inner{{7}, {1}}, map[string]Inner{"": {7}}
	require.Equal(t, want, got)
	require.NoError(t, sdk.Unpack([]byte("\x81\xa1i\x00"), &got))
	require.Zero(t, got.I, "what is there is taken, 0 too")
}

func TestUnpack_errors(t *testing.T) {
	type Deep struct {
		Point Point `msgpack:"point"`
	}
	type Target struct {
		I8  int8             `msgpack:"i8"`
		U16 uint16           `msgpack:"u16"`
		F   float64          `msgpack:"f"`
		G   float32          `msgpack:"g"`
		H   [2]byte          `msgpack:"h"`
		A   [2]int           `msgpack:"a"`
		S   string           `msgpack:"s"`
		D   *Deep            `msgpack:"d"`
		T   time.Time        `msgpack:"t"`
		M   map[string]uint8 `msgpack:"m"`
	}
	for in, want := range map[string]string{
		"":                                "want a map, have the end of the input",
		"\xc0":                            "want a map, have nil",
		"\x80\x80":                        "there are bytes after the value",
		"\x81\x01\x01":                    "want a str, have uint",
		"\x81\xa2i8\xcc\x80":              "i8: the number does not fit int8",
		"\x81\xa2i8\xc0":                  "i8: want an integer, have nil",
		"\x81\xa3u16\xff":                 "u16: want an integer that is not negative",
		"\x81\xa3u16\xce\x00\x01\x00\x00": "u16: the number does not fit uint16",
		"\x81\xa1f\xcf\x00\x20\x00\x00\x00\x00\x00\x01": "f: the integer has more digits than a float",
		"\x81\xa1g\xcb\x7f\x00\x00\x00\x00\x00\x00\x00": "g: the number does not fit float32",
		"\x81\xa1h\xc4\x01a":                            "h: the bin has another length than the array",
		"\x81\xa1a\x91\x01":                             "a: the array has another length",
		"\x81\xa1s\xc4\x01a":                            "s: want a str, have bin",
		"\x81\xa1d\x81\xa5point\x81\xa1x\xa1y":          "d.point.x: want a float, have str",
		"\x81\xa1t\x01":                                 "t: want an ext, have uint",
		"\x81\xa1m\x81\xa1k\xff":                        "m: want an integer that is not negative",
		"\x81\xa1m\xdf\x00\x01\x00\x00":                 "m: the input ends inside a value",
	} {
		var v Target
		require.EqualError(t, sdk.Unpack([]byte(in), &v), want, "%q", in)
	}
	var v Target
	require.NoError(t, sdk.Unpack([]byte("\x82\xa1f\x03\xa1g\xfe"), &v), "integers are floats, when nothing is lost")
	require.Equal(t, Target{F: 3, G: -2}, v)
	require.NoError(t, sdk.Unpack([]byte("\x82\xa3new\x93\x01\x02\x03\xa1s\xa1x"), &v), "a state of a newer revision")
	require.Equal(t, "x", v.S)
}

// A length alone makes nobody allocate: what is allocated is at most an element for each byte of input.
func TestUnpack_bomb(t *testing.T) {
	type Big struct{ A [1024]int64 }
	b := append([]byte{0xdd, 0, 1, 0, 0}, make([]byte, 1<<16)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var list []Big
	require.Error(t, sdk.Unpack(b, &list))
	var m map[string]Big
	require.Error(t, sdk.Unpack(append([]byte{0xdf, 0, 0, 0x80, 0}, make([]byte, 1<<16)...), &m))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20))
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte(sdk.Pack(All{Labels: map[string]string{"a": "b"}, Points: []Point{{}}, Next: &Point{}, Texts: []string{"x"}})))
	f.Add([]byte("\x81\xa6points\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v All
		if sdk.Unpack(b, &v) != nil {
			return
		}
		once := sdk.Pack(v)
		var again All
		require.NoError(t, sdk.Unpack(once, &again))
		require.Equal(t, once, sdk.Pack(again))
		require.Equal(t, reflect.DeepEqual(v, v), reflect.DeepEqual(v, again) || hasNaN(v))
	})
}

func hasNaN(a All) bool { return !reflect.DeepEqual(a, a) || a.Texts != nil && len(a.Texts) == 0 }
