package sdk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/sdk"
)

// grower adds up what it reads, so that it shows when it is read twice.
type grower struct{ n int64 }

func (g *grower) AppendPack(b []byte) []byte { return pack.AppendInt(b, g.n) }
func (g *grower) ReadPack(r *pack.Reader)    { g.n += r.Int() }

type inner struct {
	N int64 `msgpack:"n" default:"5"`
}

type nested struct {
	In inner `msgpack:"in"`
}

type begun struct {
	G grower `msgpack:"g"`
	B int64  `msgpack:"b" default:"20"`
}

// Defaults inside of fields hold in the usual form too, and an action that only begins like the form is read as if it did not.
func TestReduce_inForm(t *testing.T) {
	m := sdk.New(sdk.Reducer[Sum]{Name: "sum", Actions: []sdk.Action[Sum]{
		sdk.On("nested", func(s *Sum, a nested, _ *sdk.Env) (sdk.Effects, error) { s.Total = a.In.N; return nil, nil }),
		sdk.On("begun", func(s *Sum, a begun, _ *sdk.Env) (sdk.Effects, error) { s.Total = a.G.n + a.B; return nil, nil }).Internal(),
	}})
	g := guest{t, &m.Guest}
	for _, action := range []struct {
		body  string
		index uint16
		total int64
	}{
		{"\x82\xa4type\xa6nested\xa2in\x80", 0, 5},
		{"\x82\xa2in\x80\xa4type\xa6nested", 0, 5},
		{"\x81\xa4type\xa6nested", 0, 5},
		{"\x82\xa4type\xa6nested\xa2in\x81\xa1n\x00", 0, 0},
		{"\x83\xa4type\xa5begun\xa1g\x01\xa1b\x02", 1, 3},
		{"\x83\xa4type\xa5begun\xa1g\x01\xa1c\x02", 1, 21},
		{"\x83\xa4type\xa5begun\xa1g\x01\xd9\x01b\x02", 1, 3},
	} {
		out := g.reduce(abi.ReduceInput{Ticket: 1, Action: action.index, Body: []byte(action.body)})
		require.Equal(t, abi.OK, out.Status, "%q: %s", action.body, out.Text)
		require.Equal(t, string(sdk.Pack(Sum{action.total})), g.state(0, 1), "%q", action.body)
	}
}

// seen is an action with methods as msgp generates them; it keeps what it was given.
type seen struct{ given string }

func (s *seen) MarshalMsg(b []byte) ([]byte, error) { return append(b, s.given...), nil }

func (s *seen) UnmarshalMsg(b []byte) ([]byte, error) {
	s.given = string(b)
	r := pack.NewReader(b)
	r.Skip()
	return b[r.Pos():], r.Err()
}

// typed is like seen, and may care for the type.
type typed struct {
	Type string
	seen
}

// Generated code is spared the type where that comes first, unless it may want it.
func TestReduce_msgp(t *testing.T) {
	var got string
	m := sdk.New(sdk.Reducer[Sum]{Name: "sum", Actions: []sdk.Action[Sum]{
		sdk.On("seen", func(_ *Sum, a seen, _ *sdk.Env) (sdk.Effects, error) { got = a.given; return nil, nil }),
		sdk.On("typed", func(_ *Sum, a typed, _ *sdk.Env) (sdk.Effects, error) { got = a.given; return nil, nil }),
	}})
	g := guest{t, &m.Guest}
	large := "\xde\x00\x10\xa4type\xa4seen"
	for i := range 15 {
		large += "\xa1" + string(rune('a'+i)) + "\x01"
	}
	for _, c := range []struct {
		body, given string
		index       uint16
	}{
		{"\x81\xa4type\xa4seen", "\x80", 0},
		{"\x82\xa4type\xa4seen\xa1n\x05", "\x81\xa1n\x05", 0},
		{"\x8f\xa4type\xa4seen" + large[13:len(large)-3], "\x8e" + large[13:len(large)-3], 0},
		{"\x82\xa1n\x05\xa4type\xa4seen", "\x82\xa1n\x05\xa4type\xa4seen", 0},
		{"\x82\xa4type\xd9\x04seen\xa1n\x05", "\x82\xa4type\xd9\x04seen\xa1n\x05", 0},
		{large, large, 0},
		{"\x82\xa4type\xa5typed\xa1n\x05", "\x82\xa4type\xa5typed\xa1n\x05", 1},
	} {
		out := g.reduce(abi.ReduceInput{Ticket: 1, Action: c.index, Body: []byte(c.body)})
		require.Equal(t, abi.OK, out.Status, "%q: %s", c.body, out.Text)
		require.Equal(t, c.given, got, "%q", c.body)
	}
}
