package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/sdk"
)

// reduce performs action number seq of order 7 on a state. code is that of a rejection, else "". For unchanged the module said so.
func reduce(t require.TestingT, state State, seq uint64, action []byte) (after State, effects []abi.Effect, code string, unchanged bool) {
	typ, err := abi.TypeOf(action)
	require.NoError(t, err)
	index := -1
	for i, a := range orders.Manifest().Actions {
		if a.Type == string(typ) {
			index = i
		}
	}
	require.GreaterOrEqual(t, index, 0, "no action %s", typ)
	meta := abi.Meta{Store: "acme/orders/7", Correlation: "c"}
	in := abi.ReduceInput{
		Action: uint16(index), Mode: abi.WithState, Ticket: seq, Seq: seq, Now: time.Unix(int64(seq), 0).UnixNano(),
		State: sdk.Pack(state), Body: action, Meta: meta.Append(nil),
	}
	frame := orders.Buffer(in.Size())
	var out abi.Output
	require.NoError(t, out.Decode(bytes.Clone(orders.Reduce(frame[:in.Encode(frame)]))))
	if out.Status == abi.Rejected {
		require.NotZero(t, out.Flags&abi.Clean, "%s: a rejection that makes the host rebuild the state", typ)
		return state, nil, string(out.Code), false
	}
	require.Equal(t, abi.OK, out.Status, "%s: %s", typ, out.Text)
	effects, err = abi.DecodeEffects(out.Body)
	require.NoError(t, err)
	var whole abi.Output
	require.NoError(t, whole.Decode(bytes.Clone(orders.State(0, seq))))
	require.NoError(t, sdk.Unpack(whole.Body, &after))
	for _, e := range effects {
		require.True(t, orders.Manifest().Allows(e.Kind, e.Target), "%s %s", e.Kind, e.Target)
	}
	return after, effects, "", out.Flags&abi.StateChanged == 0
}

// configure sets the config of all actions that follow.
func configure(t require.TestingT, config Config) {
	in := abi.BytesInput{Body: sdk.Pack(config)}
	frame := make([]byte, in.Size())
	in.Encode(frame)
	var out abi.Output
	require.NoError(t, out.Decode(bytes.Clone(orders.Configure(frame))))
	require.Equal(t, abi.OK, out.Status, out.Text)
}

// tell says what effects are, in short.
func tell(t require.TestingT, effects []abi.Effect) string {
	var text []string
	for _, e := range effects {
		switch e.Kind {
		case abi.KindAppend:
			text = append(text, fmt.Sprintf("append %s at %d", typeOf(t, e.Events[0]), *e.Expect))
		case abi.KindLoad:
			text = append(text, fmt.Sprintf("load from %d", e.From))
		case abi.KindPublish:
			text = append(text, "publish "+typeOf(t, e.Body))
		case abi.KindProject:
			text = append(text, "project")
		case abi.KindCall:
			var r request
			require.NoError(t, sdk.Unpack(e.Body, &r))
			do, _, _ := strings.Cut(strings.TrimPrefix(r.Body, `{"do":"`), `"`)
			text = append(text, do)
		case abi.KindDelay:
			text = append(text, fmt.Sprintf("%s in %s", typeOf(t, e.Body), e.After))
		case abi.KindCancel:
			text = append(text, "cancel "+e.ID)
		}
	}
	return strings.Join(text, ", ")
}

func typeOf(t require.TestingT, b []byte) string {
	typ, err := abi.TypeOf(b)
	require.NoError(t, err)
	return string(typ)
}
