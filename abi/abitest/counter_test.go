package abitest_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

// TestCounter checks what the hand-written counter counts; that it keeps the contract is the kit's to say.
func TestCounter(t *testing.T) {
	const increment, decrement, reset = 0, 1, 2
	type step struct {
		action uint16
		by     any // nil: no field; int64; string
		status abi.Status
		count  int64 // after it
	}
	for name, steps := range map[string][]step{
		"by defaults to 1":   {{increment, nil, abi.OK, 1}, {increment, nil, abi.OK, 2}, {decrement, nil, abi.OK, 1}, {reset, nil, abi.OK, 0}, {decrement, nil, abi.OK, -1}},
		"by":                 {{increment, int64(40), abi.OK, 40}, {decrement, int64(-2), abi.OK, 42}, {increment, int64(0), abi.OK, 42}, {increment, int64(-1000), abi.OK, -958}},
		"the largest count":  {{increment, int64(math.MaxInt64), abi.OK, math.MaxInt64}, {increment, nil, abi.Rejected, math.MaxInt64}, {decrement, int64(-1), abi.Rejected, math.MaxInt64}, {decrement, nil, abi.OK, math.MaxInt64 - 1}},
		"the smallest count": {{increment, int64(math.MinInt64), abi.OK, math.MinInt64}, {decrement, nil, abi.Rejected, math.MinInt64}, {increment, int64(-1), abi.Rejected, math.MinInt64}, {reset, nil, abi.OK, 0}},
		"the negative of the smallest does not fit": {{decrement, int64(math.MinInt64), abi.Rejected, 0}, {decrement, int64(math.MinInt64 + 1), abi.OK, math.MaxInt64}},
		"by must be an integer":                     {{increment, int64(5), abi.OK, 5}, {increment, "6", abi.BadAction, 5}, {decrement, "", abi.BadAction, 5}, {reset, "x", abi.OK, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, counter)
			in := abi.ReduceInput{Mode: abi.Fresh, Slot: 3, Ticket: 9, Seq: 1}
			for n, s := range steps {
				in.Action = s.action
				in.Body = pack.AppendMapLen(nil, 1)
				in.Body = pack.AppendString(pack.AppendString(in.Body, "type"), []string{"increment", "decrement", "reset"}[s.action])
				switch by := s.by.(type) {
				case int64:
					in.Body[0]++
					in.Body = pack.AppendInt(pack.AppendString(in.Body, "by"), by)
				case string:
					in.Body[0]++
					in.Body = pack.AppendString(pack.AppendString(in.Body, "by"), by)
				}
				out := g.reduce(t, &in)
				require.Equal(t, s.status, out.Status, "step %d", n+1)
				if s.status == abi.Rejected {
					require.Equal(t, "overflow", string(out.Code))
				}
				state := g.state(t, in.Slot, in.Ticket)
				r := pack.NewReader(state)
				require.Equal(t, 1, r.MapLen())
				require.Equal(t, "count", string(r.Str()))
				require.Equal(t, s.count, r.Int(), "step %d", n+1)
				in.Mode = abi.Resident
			}
		})
	}
}

// newGuest opens one instance.
func newGuest(t *testing.T, src string) *guest {
	t.Helper()
	g, err := open(t, src)(context.Background())
	require.NoError(t, err)
	return g.(*guest)
}

func (g *guest) reduce(t *testing.T, in *abi.ReduceInput) abi.Output {
	t.Helper()
	ptr, err := g.Buffer(uint32(in.Size()))
	require.NoError(t, err)
	n := in.Encode(g.Memory()[ptr:])
	span, err := g.Reduce(uint32(n))
	require.NoError(t, err)
	return g.output(t, span)
}

func (g *guest) state(t *testing.T, slot uint32, ticket uint64) []byte {
	t.Helper()
	span, err := g.State(slot, ticket)
	require.NoError(t, err)
	out := g.output(t, span)
	require.Equal(t, abi.OK, out.Status)
	return out.Body
}

func (g *guest) output(t *testing.T, span uint64) (out abi.Output) {
	t.Helper()
	ptr, n := abi.SpanOf(span)
	require.NoError(t, out.Decode(g.Memory()[ptr:ptr+n]))
	return out
}
