package counter_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/bench/counter"
)

// action encodes an action: its type and, if it is given, by.
func action(kind string, by ...int64) []byte {
	b := pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 1+len(by)), "type"), kind)
	for _, n := range by {
		b = pack.AppendInt(pack.AppendString(b, "by"), n)
	}
	return b
}

func TestCounter_Reduce(t *testing.T) {
	for _, c := range []struct {
		name   string
		from   int64
		action []byte
		want   int64
		err    error
	}{
		{"increment", 2, action("increment", 3), 5, nil},
		{"increment by default", 2, action("increment"), 3, nil},
		{"increment by a negative step", 2, action("increment", -3), -1, nil},
		{"increment beyond the range", math.MaxInt64, action("increment"), math.MaxInt64, counter.ErrOverflow},
		{"decrement", 2, action("decrement", 3), -1, nil},
		{"decrement beyond the range", math.MinInt64, action("decrement"), math.MinInt64, counter.ErrOverflow},
		{"reset", 2, action("reset"), 0, nil},
		{"an unknown action", 2, action("multiply"), 2, counter.ErrBadAction},
		{"two values", 2, append(action("reset"), 0xc0), 2, counter.ErrBadAction},
		{"nothing", 2, nil, 2, counter.ErrBadAction},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := counter.Counter{Count: c.from}
			require.Equal(t, c.err, k.Reduce(c.action))
			count, err := counter.Count(k.Append(nil))
			require.NoError(t, err)
			require.Equal(t, c.want, count)
		})
	}
}

func TestIncrement(t *testing.T) { require.Equal(t, action("increment", 3), counter.Increment(3)) }

func TestCount_notAState(t *testing.T) {
	_, err := counter.Count([]byte{0xc0})
	require.Error(t, err)
}
