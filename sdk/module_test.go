package sdk_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/sdk"
)

type Sum struct {
	Total int64 `msgpack:"total"`
}

type Add struct {
	By   int64  `msgpack:"by" default:"1"`
	Then string `msgpack:"then"`
}

type Settings struct {
	Limit int64  `msgpack:"limit"`
	Unit  string `msgpack:"unit"`
}

func (s *Settings) Validate() error {
	if s.Limit < 0 {
		return errors.New("the limit is negative")
	}
	return nil
}

// add does as it is told by then, after it has changed the state.
func add[S any](total func(*S) *int64) func(*S, Add, *sdk.Env) (sdk.Effects, error) {
	return func(s *S, a Add, env *sdk.Env) (sdk.Effects, error) {
		*total(s) += a.By
		switch a.Then {
		case "reject":
			return nil, sdk.Reject("too_much", "no")
		case "fail":
			return nil, errors.New(strings.Repeat("é", 600))
		case "unchanged":
			*total(s) -= a.By
			return sdk.Effects{sdk.None()}, sdk.Unchanged
		case "effects":
			return sdk.Effects{sdk.Publish("sums", *total(s))}, nil
		}
		return nil, nil
	}
}

func newSum() *sdk.Module[Sum] {
	return sdk.New(sdk.Reducer[Sum]{
		Name: "sum", Version: "1.2.3", Initial: Sum{100},
		Actions: []sdk.Action[Sum]{
			sdk.On("add", add(func(s *Sum) *int64 { return &s.Total })).Doc("Add."),
			sdk.On("added", add(func(s *Sum) *int64 { return &s.Total })).Internal(),
		},
		Effects: []sdk.Grant{{Kind: sdk.KindPublish, Targets: []string{"sums"}}},
		Limits:  abi.Limits{Fuel: 7},
		Config:  sdk.UseConfig(Settings{Limit: 10, Unit: "m"}),
	})
}

// guest drives a module through frames, as a host would.
type guest struct {
	t *testing.T
	*sdk.Guest
}

func (g guest) output(frame []byte) abi.Output {
	g.t.Helper()
	var out abi.Output
	require.NoError(g.t, out.Decode(bytes.Clone(frame)))
	return out
}

func (g guest) reduce(in abi.ReduceInput) abi.Output {
	g.t.Helper()
	b := g.Buffer(in.Size())
	return g.output(g.Reduce(b[:in.Encode(b)]))
}

func (g guest) state(slot uint32, ticket uint64) string {
	g.t.Helper()
	out := g.output(g.State(slot, ticket))
	if out.Status != abi.OK {
		return out.Status.String()
	}
	return string(out.Body)
}

func fields(typ string, pairs ...any) []byte {
	b := pack.AppendMapLen(nil, 1+len(pairs)/2)
	b = pack.AppendString(pack.AppendString(b, "type"), typ)
	for i := 0; i < len(pairs); i += 2 {
		b = pack.AppendString(b, pairs[i].(string))
		switch v := pairs[i+1].(type) {
		case int:
			b = pack.AppendInt(b, int64(v))
		case string:
			b = pack.AppendString(b, v)
		}
	}
	return b
}

func TestDescribe(t *testing.T) {
	g := guest{t, &newSum().Guest}
	var m abi.Manifest
	require.NoError(t, m.Decode(g.output(g.Describe()).Body))
	require.Equal(t, abi.Manifest{
		Name: "sum", Version: "1.2.3", Schema: 1, Residency: abi.ResidencySlots, Limits: abi.Limits{Fuel: 7},
		Actions: []abi.Action{{Type: "add", Kind: abi.Command, Doc: "Add."}, {Type: "added", Kind: abi.Internal}},
		Effects: []abi.EffectGrant{{Kind: abi.KindPublish, Targets: []string{"sums"}}},
	}, m)
}

func TestReduce_modes(t *testing.T) {
	g := guest{t, &newSum().Guest}
	in := abi.ReduceInput{Slot: 3, Ticket: 9, Body: fields("add", "by", 5)}

	in.Mode = abi.Resident
	require.Equal(t, abi.NoSuchSlot, g.reduce(in).Status, "nothing there")
	require.Equal(t, "NO_SUCH_SLOT", g.state(3, 9))

	in.Mode = abi.Fresh
	out := g.reduce(in)
	require.Equal(t, abi.OK, out.Status)
	require.Equal(t, abi.StateChanged, out.Flags)
	require.Empty(t, out.Body)
	require.Equal(t, string(sdk.Pack(Sum{105})), g.state(3, 9))

	in.Mode = abi.Resident
	require.Equal(t, abi.OK, g.reduce(in).Status)
	require.Equal(t, string(sdk.Pack(Sum{110})), g.state(3, 9))

	in.Ticket = 10
	require.Equal(t, abi.NoSuchSlot, g.reduce(in).Status, "another ticket")
	in.Slot, in.Ticket = 2, 0
	require.Equal(t, abi.NoSuchSlot, g.reduce(in).Status, "a slot that was never used, whose ticket is 0")
	require.Equal(t, string(sdk.Pack(Sum{110})), g.state(3, 9), "and nothing was changed")

	in.Mode, in.Slot, in.Ticket, in.State = abi.WithState, 0, 1, sdk.Pack(Sum{-5})
	require.Equal(t, abi.OK, g.reduce(in).Status)
	require.Equal(t, string(sdk.Pack(Sum{0})), g.state(0, 1))
	require.Equal(t, string(sdk.Pack(Sum{110})), g.state(3, 9), "slots do not touch")

	in.Slot, in.Ticket, in.State = 3, 11, []byte{0xc0}
	out = g.reduce(in)
	require.Equal(t, abi.BadState, out.Status)
	require.Zero(t, out.Flags)
	require.Equal(t, "want a map, have nil", string(out.Text))
	require.Equal(t, "NO_SUCH_SLOT", g.state(3, 9))
	require.Equal(t, "NO_SUCH_SLOT", g.state(3, 11))

	g.Evict(0, 2)
	require.Equal(t, string(sdk.Pack(Sum{0})), g.state(0, 1), "another ticket evicts nothing")
	g.Evict(0, 1)
	g.Evict(0, 1)
	g.Evict(99, 1)
	require.Equal(t, "NO_SUCH_SLOT", g.state(0, 1))
	g.Idle()
}

// S5: CLEAN is answered for states that assignment copies, and for those with Clone; the state is then as before.
func TestReduce_clean(t *testing.T) {
	for name, module := range map[string]struct {
		guest *sdk.Guest
		clean bool
	}{
		"flat":          {&newSum().Guest, true},
		"clone":         {newOf[cloned](func(s *cloned) *int64 { return &s.List[0] }, cloned{[]int64{100}}), true},
		"clone pointer": {newOf[clonedPointer](func(s *clonedPointer) *int64 { return s.Total }, clonedPointer{new(int64)}), true},
		"neither":       {newOf[listed](func(s *listed) *int64 { return &s.List[0] }, listed{[]int64{100}}), false},
	} {
		t.Run(name, func(t *testing.T) {
			g := guest{t, module.guest}
			require.Equal(t, abi.OK, g.reduce(abi.ReduceInput{Body: fields("add"), Ticket: 1}).Status)
			before := g.state(0, 1)

			in := abi.ReduceInput{Mode: abi.Resident, Ticket: 1, Body: fields("add", "then", "reject")}
			out := g.reduce(in)
			require.Equal(t, abi.Rejected, out.Status)
			require.Equal(t, "too_much", string(out.Code))
			require.Equal(t, "no", string(out.Text))
			require.Equal(t, module.clean, out.Flags == abi.Clean)
			require.Equal(t, module.clean, g.state(0, 1) == before)

			in.Mode, in.State = abi.WithState, []byte(before)
			out = g.reduce(in)
			require.Equal(t, module.clean, out.Flags == abi.Clean)
			require.Equal(t, module.clean, g.state(0, 1) == before, "what the call brought")

			in.Body = fields("add", "by", "x")
			out = g.reduce(in)
			require.Equal(t, abi.BadAction, out.Status)
			require.Equal(t, abi.Clean, out.Flags, "an action that cannot be read changes nothing")
			require.Equal(t, before, g.state(0, 1))
		})
	}
}

type listed struct{ List []int64 }
type cloned struct{ List []int64 }
type clonedPointer struct{ Total *int64 }

func (c cloned) Clone() cloned { return cloned{append([]int64(nil), c.List...)} }
func (c *clonedPointer) Clone() *clonedPointer {
	total := *c.Total
	return &clonedPointer{&total}
}

func newOf[S any](total func(*S) *int64, initial S) *sdk.Guest {
	return &sdk.New(sdk.Reducer[S]{Name: "sum", Initial: initial, Actions: []sdk.Action[S]{sdk.On("add", add(total))}}).Guest
}

// The initial state is copied, so that stores do not share what it points to.
func TestReduce_initial(t *testing.T) {
	g := guest{t, newOf(func(s *listed) *int64 { return &s.List[0] }, listed{[]int64{7}})}
	for slot := range uint32(3) {
		require.Equal(t, abi.OK, g.reduce(abi.ReduceInput{Slot: slot, Ticket: 1, Body: fields("add")}).Status)
		require.Equal(t, string(sdk.Pack(listed{[]int64{8}})), g.state(slot, 1))
	}
}

func TestReduce_answers(t *testing.T) {
	g := guest{t, &newSum().Guest}
	in := abi.ReduceInput{Ticket: 1, Body: fields("add", "then", "unchanged")}
	out := g.reduce(in)
	require.Equal(t, abi.OK, out.Status)
	require.Zero(t, out.Flags)
	require.Equal(t, "\x91\x81\xa4kind\xa4none", string(out.Body))

	in.Body = fields("add", "then", "effects")
	out = g.reduce(in)
	effects, err := abi.DecodeEffects(out.Body)
	require.NoError(t, err)
	require.Equal(t, []abi.Effect{{Kind: abi.KindPublish, Target: "sums", Body: []byte{101}}}, effects)

	in.Body = fields("add", "then", "fail")
	out = g.reduce(in)
	require.Equal(t, "rejected", string(out.Code))
	require.Equal(t, strings.Repeat("é", 512), string(out.Text), "cut to 1 KiB, between runes")

	for body, want := range map[string]string{
		string(fields("add", "bi", 3)):                   "bi: unknown field",
		string(fields("add", "by", "x")):                 "by: want an integer, have str",
		string(fields("add", "by", 1)) + "\x00":          "there are bytes after the value",
		string(fields("add", "by", 1, "then", "x")[:19]): "then: want a str, have the end of the input",
		"\x01": "want a map, have uint",
	} {
		in.Body = []byte(body)
		out = g.reduce(in)
		require.Equal(t, abi.BadAction, out.Status)
		require.Equal(t, want, string(out.Text))
	}
	in.Body, in.Action = fields("added", "bi", 3), 1
	require.Equal(t, abi.OK, g.reduce(in).Status, "internal actions may have more fields")

	in.Action = 2
	require.Panics(t, func() { g.reduce(in) }, "no such action type")
	require.Panics(t, func() { g.Reduce(make([]byte, 16)) }, "not a frame")
	require.Panics(t, func() { g.Configure(nil) })
}

// An action means the same however its fields lie: in the usual form, which is read at once, or any other, which is read field by field.
func TestReduce_form(t *testing.T) {
	g := guest{t, &newSum().Guest}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		by := rnd.Int64() >> rnd.IntN(64)
		pairs := [][]byte{
			pack.AppendString(pack.AppendString(nil, "type"), "add"),
			pack.AppendInt(pack.AppendString(nil, "by"), by),
			pack.AppendString(pack.AppendString(nil, "then"), strings.Repeat("x", rnd.IntN(40))),
		}
		pairs = pairs[:2+rnd.IntN(2)]
		if rnd.IntN(2) == 0 {
			rnd.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
		}
		body := append(pack.AppendMapLen(nil, len(pairs)), bytes.Join(pairs, nil)...)
		out := g.reduce(abi.ReduceInput{Ticket: 1, Body: body})
		require.Equal(t, abi.OK, out.Status, "%q: %s", body, out.Text)
		require.Equal(t, string(sdk.Pack(Sum{100 + by})), g.state(0, 1))

		cut := body[:rnd.IntN(len(body))]
		require.Equal(t, abi.BadAction, g.reduce(abi.ReduceInput{Ticket: 1, Body: cut}).Status, "%q", cut)
		body[rnd.IntN(len(body))] ^= 1 << rnd.IntN(8)
		out = g.reduce(abi.ReduceInput{Ticket: 1, Body: body})
		require.Contains(t, []abi.Status{abi.OK, abi.BadAction}, out.Status)
	}
}

// What differs from the form in a bit, or has more, is not taken for it.
func TestReduce_almostForm(t *testing.T) {
	g := guest{t, &newSum().Guest}
	form := fields("add", "by", 5, "then", "")
	require.Equal(t, abi.OK, g.reduce(abi.ReduceInput{Ticket: 1, Body: form}).Status)
	for at := range len("\x83\xa4type") {
		for bit := range 8 {
			body := bytes.Clone(form)
			body[at] ^= 1 << bit
			require.Equal(t, abi.BadAction, g.reduce(abi.ReduceInput{Ticket: 1, Body: body}).Status, "%q", body)
		}
	}
	out := g.reduce(abi.ReduceInput{Ticket: 1, Body: append(form, 0)})
	require.Equal(t, "there are bytes after the value", string(out.Text))
}

func TestEnv(t *testing.T) {
	var seen []any
	m := sdk.New(sdk.Reducer[Sum]{
		Name: "env", Config: sdk.UseConfig(Settings{Limit: 10, Unit: "m"}),
		Actions: []sdk.Action[Sum]{sdk.On("look", func(_ *Sum, _ struct{}, env *sdk.Env) (sdk.Effects, error) {
			seen = []any{env.Now(), env.Seq(), env.Store(), env.Correlation(), env.Causation(), env.Drive(), env.Principal(),
				sdk.Config[Settings](env), env.Rand().Uint64(), env.Rand().Uint64()}
			return nil, nil
		})},
	})
	g := guest{t, &m.Guest}
	meta := abi.Meta{Store: "acme/env/a/b", Correlation: "c1", Causation: "c2", Drive: 3, Principal: "ann"}
	in := abi.ReduceInput{Seq: 5, Now: 1_700_000_000_123456789, Seed: [16]byte{1, 15: 2}, Body: fields("look"), Meta: meta.Append(nil)}
	require.Equal(t, abi.OK, g.reduce(in).Status)
	pcg := rand.NewPCG(1, 2<<56)
	want := []any{time.Unix(0, in.Now).UTC(), uint64(5), abi.Address{Tenant: "acme", Module: "env", Key: "a/b"}, "c1", "c2", uint64(3), "ann",
		Settings{10, "m"}, pcg.Uint64(), pcg.Uint64()}
	require.Equal(t, want, seen)
	require.Equal(t, abi.OK, g.reduce(in).Status)
	require.Equal(t, want, seen, "the same again, in the same instance")
	in.Seed[0], in.Meta = 9, (&abi.Meta{Store: "other"}).Append(nil)
	require.Equal(t, abi.OK, g.reduce(in).Status)
	require.NotEqual(t, want[8], seen[8])
	require.Equal(t, "default/other/main", seen[2].(abi.Address).String())
	require.Empty(t, seen[3])
	in.Meta = []byte{0xc1}
	require.Panics(t, func() { g.reduce(in) })
}

func TestConfigure(t *testing.T) {
	configure := func(g guest, body []byte) abi.Output {
		in := abi.BytesInput{Body: body}
		b := g.Buffer(in.Size())
		return g.output(g.Configure(b[:in.Encode(b)]))
	}
	g := guest{t, &newSum().Guest}
	for body, want := range map[string]string{
		string(sdk.Pack(map[string]int{"limit": -1})): "the limit is negative",
		string(sdk.Pack(map[string]int{"limt": 1})):   "limt: unknown field",
		string(sdk.Pack(7)):                           "want a map, have uint",
	} {
		out := configure(g, []byte(body))
		require.Equal(t, abi.Rejected, out.Status)
		require.Equal(t, "bad_config", string(out.Code))
		require.Equal(t, want, string(out.Text))
	}
	var got Settings
	m := sdk.New(sdk.Reducer[Sum]{Name: "c", Config: sdk.UseConfig(Settings{Limit: 10, Unit: "m"}), Actions: []sdk.Action[Sum]{
		sdk.On("look", func(_ *Sum, _ struct{}, env *sdk.Env) (sdk.Effects, error) {
			got = sdk.Config[Settings](env)
			return nil, nil
		}),
		sdk.On("other", func(_ *Sum, _ struct{}, env *sdk.Env) (sdk.Effects, error) {
			_ = sdk.Config[Sum](env)
			return nil, nil
		}),
	}})
	g = guest{t, &m.Guest}
	require.Equal(t, abi.OK, configure(g, sdk.Pack(map[string]int{"limit": 3})).Status)
	require.Equal(t, abi.OK, g.reduce(abi.ReduceInput{Body: fields("look")}).Status)
	require.Equal(t, Settings{Limit: 3, Unit: "m"}, got)
	require.PanicsWithValue(t, "sdk: Config[sdk_test.Sum]: the reducer declares no config of that type (see UseConfig)", func() {
		g.reduce(abi.ReduceInput{Action: 1, Body: fields("other")})
	})
	none := guest{t, newOf(func(s *Sum) *int64 { return &s.Total }, Sum{})}
	require.Equal(t, "the module takes no config", string(configure(none, sdk.Pack(Settings{})).Text))
}

func TestNew_refuses(t *testing.T) {
	act := func(*Sum, Add, *sdk.Env) (sdk.Effects, error) { return nil, nil }
	for want, r := range map[string]sdk.Reducer[Sum]{
		`sdk: manifest: name "" is not`:            {},
		"sdk: manifest: no actions":                {Name: "x"},
		`sdk: manifest: action type "a" twice`:     {Name: "x", Actions: []sdk.Action[Sum]{sdk.On("a", act), sdk.On("a", act)}},
		`sdk: manifest: unknown effect kind "fly"`: {Name: "x", Actions: []sdk.Action[Sum]{sdk.On("a", act)}, Effects: []sdk.Grant{{Kind: "fly"}}},
		"sdk: action a: a int has no fields": {Name: "x", Actions: []sdk.Action[Sum]{
			sdk.On("a", func(*Sum, int, *sdk.Env) (sdk.Effects, error) { return nil, nil })}},
	} {
		func() {
			defer func() { require.Contains(t, recover(), want) }()
			sdk.New(r)
		}()
	}
	require.Panics(t, func() { _ = sdk.Reject("Not A Code", "") })
}

func TestBuffer(t *testing.T) {
	g := guest{t, &newSum().Guest}
	small := g.Buffer(10)
	require.GreaterOrEqual(t, len(small), 4096)
	require.Same(t, &small[0], &g.Buffer(4096)[0], "kept while it is large enough")
	require.GreaterOrEqual(t, len(g.Buffer(100_000)), 100_000)
}

func TestReduce_allocates(t *testing.T) {
	g := newSum()
	in := abi.ReduceInput{Ticket: 1, Body: fields("add", "by", 5, "then", "")}
	b := make([]byte, in.Size())
	in.Encode(b)
	g.Reduce(b)
	in.Mode = abi.Resident
	in.Encode(b)
	require.Zero(t, testing.AllocsPerRun(100, func() { g.Reduce(b) }))
}
