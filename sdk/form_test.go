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
