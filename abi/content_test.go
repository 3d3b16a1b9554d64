package abi_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

func TestManifest_roundTrip(t *testing.T) {
	var got abi.Manifest
	require.NoError(t, got.Decode(sampleManifest().Append(nil)))
	require.Equal(t, *sampleManifest(), got)
}

func TestManifest_unknownFields(t *testing.T) {
	b := sampleManifest().Append(nil)
	b[0]++ // a map of 10 becomes one of 11
	b = pack.AppendMapLen(pack.AppendString(b, "new"), 1)
	b = pack.AppendNil(pack.AppendInt(b, 1))
	var got abi.Manifest
	require.NoError(t, got.Decode(b))
	require.Equal(t, *sampleManifest(), got)
}

func TestManifest_errors(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for want, change := range map[string]func(m *abi.Manifest){
		"the guest needs ABI 1.1, this host speaks 1.0":       func(m *abi.Manifest) { m.Minor = 1 },
		`name "" is not 1 to 64 of a-z, 0-9, _ and .`:         func(m *abi.Manifest) { m.Name = "" },
		`name "Orders" is not 1 to 64`:                        func(m *abi.Manifest) { m.Name = "Orders" },
		"a version of 2000 bytes, the limit is 64":            func(m *abi.Manifest) { m.Version = long },
		"no schema number: the first is 1":                    func(m *abi.Manifest) { m.Schema = 0 },
		"no actions":                                          func(m *abi.Manifest) { m.Actions = nil },
		"a list of 1001, the limit is 1000":                   func(m *abi.Manifest) { m.Actions = make([]abi.Action, 1001) },
		`action type "a b" is not`:                            func(m *abi.Manifest) { m.Actions[0].Type = "a b" },
		`action type "paid" twice`:                            func(m *abi.Manifest) { m.Actions[0].Type = "paid" },
		`action place has kind "", want command or internal`:  func(m *abi.Manifest) { m.Actions[0].Kind = "" },
		"the doc of action place has 2000 bytes":              func(m *abi.Manifest) { m.Actions[0].Doc = long },
		`unknown effect kind "fly"`:                           func(m *abi.Manifest) { m.Effects[0].Kind = "fly" },
		`the version "1\n2" has a control character`:          func(m *abi.Manifest) { m.Version = "1\n2" },
		"the doc of action place has a control character":     func(m *abi.Manifest) { m.Actions[0].Doc = "\x1b[2J" },
		"the doc of action place is not UTF-8":                func(m *abi.Manifest) { m.Actions[0].Doc = "\xff" },
		"has 2000 bytes, the limit is 1024":                   func(m *abi.Manifest) { m.Effects[0].Targets = []string{long} },
		`the target "a\x00" of effect kind`:                   func(m *abi.Manifest) { m.Effects[0].Targets = []string{"a\x00"} },
		"effect kind delay twice":                             func(m *abi.Manifest) { m.Effects[0].Kind = abi.KindDelay },
		`residency "some", want none or slots`:                func(m *abi.Manifest) { m.Residency = "some" },
		"a migration from schema 2 to itself":                 func(m *abi.Manifest) { m.Migrations[0].From = 2 },
		"limit fuel 5000000001, the hard limit is 5000000000": func(m *abi.Manifest) { m.Limits.Fuel = abi.HardFuel + 1 },
	} {
		m := sampleManifest()
		change(m)
		err := new(abi.Manifest).Decode(m.Append(nil))
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, new(*abi.ManifestError))
	}
	targets := pack.AppendArrayLen(pack.AppendString(nil, "targets"), 200)
	targets = append(targets, bytes.Repeat([]byte{0xa0}, 200)...)
	twice := pack.AppendArrayLen(pack.AppendString(pack.AppendMapLen(nil, 1), "effects"), 1)
	twice = append(append(pack.AppendMapLen(twice, 2), targets...), targets...)
	require.ErrorContains(t, new(abi.Manifest).Decode(twice), "a list of 400, the limit is 256", "a key given twice is one list")
	require.ErrorContains(t, sampleTooMany().Validate(), "1001 actions, the limit is 1000")
	for in, want := range map[string]string{
		"":         "msgpack at byte 0: want a map, have the end of the input",
		"\x80\x00": "msgpack at byte 1: there are bytes after the value",
		"\x81\xa6schema\xcf\xff\xff\xff\xff\xff\xff\xff\xff": "the number does not fit 32 bits",
		"\x81\xa7actions\x91\x81\xa4type\x01":                "want a str, have uint",
		"\x81\xa6limits\x81\xa4fuel\xff":                     "want an integer that is not negative",
	} {
		require.ErrorContains(t, new(abi.Manifest).Decode([]byte(in)), want, "%q", in)
	}
}

func sampleTooMany() *abi.Manifest {
	m := sampleManifest()
	m.Actions = make([]abi.Action, 1001)
	return m
}

func TestManifest_allows(t *testing.T) {
	m := sampleManifest()
	require.True(t, m.Allows(abi.KindCall, "mail"))
	require.True(t, m.Allows(abi.KindCall, "payments.charge"))
	require.False(t, m.Allows(abi.KindCall, "mails"))
	require.True(t, m.Allows(abi.KindDelay, ""))
	require.False(t, m.Allows(abi.KindDelay, "x"))
	require.False(t, m.Allows(abi.KindPublish, ""))
}

func TestLimits_orDefault(t *testing.T) {
	l := abi.Limits{Fuel: 7}.OrDefault()
	require.Equal(t, abi.Limits{ActionBytes: 64 << 10, EffectsBytes: 256 << 10, StateBytes: 16 << 20, MemoryPages: 1024, Fuel: 7}, l)
}

func TestMeta(t *testing.T) {
	var m abi.Meta
	require.NoError(t, m.Decode(sampleMeta().Append(nil)))
	require.Equal(t, *sampleMeta(), m)
	require.NoError(t, m.Decode(nil))
	require.Zero(t, m)
	require.NoError(t, m.Decode([]byte("\x91\xa1s")), "missing elements are empty")
	require.Equal(t, abi.Meta{Store: "s"}, m)
	require.NoError(t, m.Decode([]byte("\x97\xa1s\xa0\xa0\x01\xa0\x81\x01\x02\xc3")), "further ones are skipped")
	for in, want := range map[string]string{"\x91\x01": "want a str", "\x80": "want an array", "\x90\x90": "bytes after"} {
		err := m.Decode([]byte(in))
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, new(*pack.SyntaxError))
	}
}

func TestEffects_roundTrip(t *testing.T) {
	got, err := abi.DecodeEffects(abi.AppendEffects(nil, sampleEffects()))
	require.NoError(t, err)
	require.Equal(t, sampleEffects(), got)
	for _, want := range sampleEffects() {
		one, err := abi.DecodeEffect(want.Append(nil))
		require.NoError(t, err)
		require.Equal(t, want, one)
	}
	for _, bad := range [][]byte{nil, {0x80}, append((&abi.Effect{Kind: abi.KindNone}).Append(nil), 0x80)} {
		_, err := abi.DecodeEffect(bad)
		require.Error(t, err)
	}

	got, err = abi.DecodeEffects(nil)
	require.NoError(t, err)
	require.Nil(t, got)
}

// Texts of every length survive, wherever they lie in what is copied for them, and whatever becomes of the bytes they were read from.
func TestEffects_texts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		b := make([]byte, rnd.IntN(2)*rnd.IntN(10+rnd.IntN(300)))
		for i := range b {
			b[i] = byte('a' + rnd.IntN(26))
		}
		return string(b)
	}
	for range 1000 {
		list := make([]abi.Effect, 1+rnd.IntN(5))
		for i := range list {
			list[i] = abi.Effect{
				Kind: abi.KindCall, ID: text(), Target: "t" + text(), OK: text(), Err: text(), Retry: text(), Key: text(),
				Body: pack.AppendString(nil, text()),
			}
		}
		b := abi.AppendEffects(make([]byte, 0, rnd.IntN(2000)), list)
		got, err := abi.DecodeEffects(b)
		require.NoError(t, err)
		require.Equal(t, list, got)
		clear(b)
		for i := range got {
			got[i].Body = list[i].Body
		}
		require.Equal(t, list, got)
	}
}

func TestEffects_everyField(t *testing.T) {
	want := abi.Effect{
		Kind: abi.KindAppend, ID: "i", Target: "t", OK: "o", Err: "e", Retry: "r", Timeout: 1, After: 2, Key: "k", Expect: new(int64), From: 3,
		Body: []byte{4}, Events: [][]byte{{0x80}},
	}
	b := want.Append(nil)
	r := pack.NewReader(b)
	require.Equal(t, 13, r.MapLen())
	got, err := abi.DecodeEffect(b)
	require.NoError(t, err)
	require.Equal(t, want, got)

	want = abi.Effect{Kind: abi.KindParallel, Children: []abi.Effect{}}
	require.Equal(t, "\x82\xa4kind\xa8parallel\xa8children\x90", string(want.Append(nil)))
	require.Equal(t, "\x81\xa4kind\xa0", string(new(abi.Effect).Append(nil)), "refused by whoever reads it")
}

// A small tree takes the list and one copy of its texts.
func TestDecodeEffects_allocates(t *testing.T) {
	b := abi.AppendEffects(nil, []abi.Effect{{Kind: abi.KindCall, ID: "pay", Target: "payments.charge", OK: "paid", Err: "failed", Body: []byte{0x80}}})
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = abi.DecodeEffects(b) }), 2.0)
}

func TestEffects_errors(t *testing.T) {
	nested := abi.Effect{Kind: abi.KindNone}
	for range abi.MaxEffectDepth {
		nested = abi.Effect{Kind: abi.KindParallel, Children: []abi.Effect{nested}}
	}
	leaves := func(n int) []abi.Effect {
		list := make([]abi.Effect, n)
		for i := range list {
			list[i] = abi.Effect{Kind: abi.KindCancel, ID: "x"}
		}
		return list
	}
	_, err := abi.DecodeEffects(abi.AppendEffects(nil, leaves(256)))
	require.NoError(t, err)
	_, err = abi.DecodeEffects(abi.AppendEffects(nil, nested.Children))
	require.NoError(t, err, "16 deep")

	one := func(e abi.Effect) []byte { return abi.AppendEffects(nil, []abi.Effect{e}) }
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"too deep":         {one(nested), "the tree is more than 16 deep"},
		"leaves in a list": {abi.AppendEffects(nil, leaves(257)), "more than 256 effects in one list"},
		"leaves in all": {abi.AppendEffects(nil, []abi.Effect{{Kind: abi.KindParallel, Children: leaves(200)}, {Kind: abi.KindSequential, Children: leaves(57)}}),
			"more than 256 leaves"},
		"others in all": {abi.AppendEffects(nil, []abi.Effect{{Kind: abi.KindParallel, Children: slices.Repeat([]abi.Effect{{Kind: abi.KindNone}}, 200)}, {Kind: abi.KindSequential, Children: slices.Repeat([]abi.Effect{{Kind: abi.KindNone}}, 200)}}),
			"more than 256 effects that are not leaves"},
		"not a list":     {[]byte{0x80}, "effects at byte 0: want an array, have map"},
		"rest":           {[]byte{0x90, 0x90}, "effects at byte 1: there are bytes after the value"},
		"no kind":        {[]byte{0x91, 0x80}, "an effect without kind"},
		"unknown kind":   {one(abi.Effect{Kind: "fly"}), `unknown kind "fly"`},
		"unknown field":  {[]byte("\x91\x81\xa1x\x01"), `unknown field "x"`},
		"call":           {one(abi.Effect{Kind: abi.KindCall}), "a call without target"},
		"delay":          {one(abi.Effect{Kind: abi.KindDelay}), "a delay without body"},
		"parallel":       {one(abi.Effect{Kind: abi.KindParallel}), "a parallel without children"},
		"children":       {one(abi.Effect{Kind: abi.KindNone, Children: leaves(1)}), "a none with children"},
		"append":         {one(abi.Effect{Kind: abi.KindAppend, Target: "s", Events: [][]byte{}}), "a append without events"},
		"cancel":         {one(abi.Effect{Kind: abi.KindCancel}), "a cancel without id"},
		"event":          {one(abi.Effect{Kind: abi.KindAppend, Target: "s", Events: [][]byte{{1}}}), "an event is not a map"},
		"negative time":  {one(abi.Effect{Kind: abi.KindDelay, After: -1, Body: []byte{1}}), "a negative duration"},
		"long text":      {one(abi.Effect{Kind: abi.KindCall, Target: strings.Repeat("x", 5000)}), "a text of 5000 bytes, the limit is 4096"},
		"body in pieces": {one(abi.Effect{Kind: abi.KindCall, Target: "x", Body: []byte{0xc4, 9}}), "the input ends inside a value"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := abi.DecodeEffects(c.in)
			require.ErrorContains(t, err, c.want)
			require.ErrorAs(t, err, new(*abi.EffectError))
		})
	}
	require.Len(t, abi.Kinds(), 11)
}

func TestTypeOf(t *testing.T) {
	typ, err := abi.TypeOf(sampleAction())
	require.NoError(t, err)
	require.Equal(t, "increment", string(typ))
	for in, want := range map[string]string{
		"\x80":                           "the action has no type",
		"\x81\xa4type\xa0":               "the action's type is empty",
		"\x82\xa4type\xa1a\xa4type\xa1b": "the action has two types",
		"\x81\xa4type\x01":               "want a str, have uint",
		"\x82\xa4type\xa1a\x01\x02":      "want a str, have uint",
		"\x91\xa1a":                      "want a map, have array",
		"\x81\xa4type\xa1a\x00":          "there are bytes after the value",
		"\x82\xa4type\xa1a\xa1b":         "want a value, have the end of the input",
	} {
		_, err := abi.TypeOf([]byte(in))
		require.ErrorContains(t, err, want, "%q", in)
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]abi.Address{
		"counter":            {Tenant: "default", Module: "counter", Key: "main"},
		"counter/a":          {Tenant: "default", Module: "counter", Key: "a"},
		"acme/counter/a/b/c": {Tenant: "acme", Module: "counter", Key: "a/b/c"},
		"0/1-/é ":            {Tenant: "0", Module: "1-", Key: "é "},
	} {
		got, err := abi.ParseAddress(in)
		require.NoError(t, err)
		require.Equal(t, want, got)
		back, err := abi.ParseAddress(got.String())
		require.NoError(t, err)
		require.Equal(t, want, back)
	}
	for in, want := range map[string]string{
		"":                              `module "" is not 1 to 63 of a-z, 0-9 and -`,
		"Counter":                       `module "Counter" is not`,
		"-a":                            `module "-a" is not`,
		strings.Repeat("a", 64):         "is not 1 to 63",
		"a/":                            "a key of 0 bytes, want 1 to 256",
		"a/" + strings.Repeat("k", 257): "a key of 257 bytes",
		"a b/c/d":                       `tenant "a b" is not`,
		"a/b\x00":                       `the key "b\x00" has a control character`,
		"a/\u0085":                      "has a control character",
		"a/\xff":                        `the key "\xff" is not UTF-8`,
	} {
		_, err := abi.ParseAddress(in)
		require.ErrorIs(t, err, abi.ErrBadAddress)
		require.ErrorContains(t, err, want)
	}
}

func TestError(t *testing.T) {
	cause := abi.ErrBadAddress
	err := error(&abi.Error{Code: abi.CodeTrapped, Reason: "fuel", Text: "too long", Err: cause})
	require.EqualError(t, err, "trapped (fuel): too long")
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeTrapped})
	require.ErrorIs(t, err, &abi.Error{Code: abi.CodeTrapped, Reason: "fuel"})
	require.NotErrorIs(t, err, &abi.Error{Code: abi.CodeTrapped, Reason: "depth"})
	require.NotErrorIs(t, err, &abi.Error{Code: abi.CodeRejected})
	seen := map[abi.Code]bool{}
	for _, code := range abi.Codes() {
		require.True(t, abi.ValidCode([]byte(code)), code)
		require.False(t, seen[code], "one code, one meaning: %s", code)
		seen[code] = true
	}
}

func BenchmarkDecodeEffects(b *testing.B) {
	call := abi.Effect{Kind: abi.KindCall, Target: "echo", OK: "done", Body: []byte{0x80}}
	pay := abi.Effect{
		Kind: abi.KindCall, ID: "pay-1234", Target: "payments.charge", OK: "paid", Err: "failed", Retry: "slow", Timeout: time.Minute,
		Body: pack.AppendString(nil, strings.Repeat("x", 100)),
	}
	for _, c := range []struct {
		tree string
		list []abi.Effect
	}{{"call", []abi.Effect{call}}, {"pay", []abi.Effect{pay}}, {"256pay", slices.Repeat([]abi.Effect{pay}, 256)}} {
		b.Run("tree="+c.tree, func(b *testing.B) {
			in := abi.AppendEffects(nil, c.list)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := abi.DecodeEffects(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(vectors()["manifest"])
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, back abi.Manifest
		if m.Decode(b) != nil {
			return
		}
		require.NoError(t, back.Decode(m.Append(nil)))
		require.Equal(t, m, back)
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(vectors()["meta"])
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, back abi.Meta
		if m.Decode(b) != nil {
			return
		}
		require.NoError(t, back.Decode(m.Append(nil)))
		require.Equal(t, m, back)
	})
}

func FuzzEffects(f *testing.F) {
	f.Add(vectors()["effects"])
	f.Fuzz(func(t *testing.T, b []byte) {
		effects, err := abi.DecodeEffects(b)
		if err != nil {
			require.ErrorAs(t, err, new(*abi.EffectError))
			return
		}
		once := abi.AppendEffects(nil, effects)
		back, err := abi.DecodeEffects(once)
		require.NoError(t, err)
		require.Equal(t, once, abi.AppendEffects(nil, back))
	})
}

func FuzzTypeOf(f *testing.F) {
	f.Add(sampleAction())
	f.Fuzz(func(t *testing.T, b []byte) {
		typ, err := abi.TypeOf(b)
		if err == nil {
			require.NotEmpty(t, typ)
			require.NoError(t, pack.Valid(b))
		}
	})
}

func FuzzAddress(f *testing.F) {
	f.Add("acme/counter/a/b")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := abi.ParseAddress(s)
		if err != nil {
			require.ErrorIs(t, err, abi.ErrBadAddress)
			return
		}
		back, err := abi.ParseAddress(a.String())
		require.NoError(t, err)
		require.Equal(t, a, back)
	})
}
