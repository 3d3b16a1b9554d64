// Package counter is the reducer of plugins/counter without a host: what the peers run, in a guest and in a process. It reads the same
// actions with the same hand-made codec and answers the same, so that a comparison is one of hosts.
//
// It allocates nothing and belongs to one goroutine at a time. An action that is refused changes nothing.
package counter

import (
	"errors"

	"github.com/crhost/crhost/abi/pack"
)

var (
	// ErrOverflow refuses a step that would leave the range of 64 bits.
	ErrOverflow = errors.New("the count would leave the range of 64 bits")
	// ErrBadAction refuses what is not an action of the counter.
	ErrBadAction = errors.New("not an action of the counter")
)

// Counter is the state. The zero value is the initial one.
type Counter struct {
	Count int64
	r     pack.Reader // kept, because a reader that escapes is an allocation
}

// Reduce applies an action: a msgpack map with its type and by, which defaults to 1. Errors are ErrOverflow and ErrBadAction.
func (c *Counter) Reduce(action []byte) error {
	r := &c.r
	r.Reset(action)
	var kind []byte
	by := int64(1)
	for n := r.MapLen(); n > 0 && r.OK(); n-- {
		switch string(r.Str()) {
		case "type":
			kind = r.Str()
		case "by":
			by = r.Int()
		default:
			r.Skip()
		}
	}
	if r.End(); !r.OK() {
		return ErrBadAction
	}
	switch string(kind) {
	case "increment":
		sum := c.Count + by
		if (sum > c.Count) != (by > 0) {
			return ErrOverflow
		}
		c.Count = sum
	case "decrement":
		difference := c.Count - by
		if (difference < c.Count) != (by > 0) {
			return ErrOverflow
		}
		c.Count = difference
	case "reset":
		c.Count = 0
	default:
		return ErrBadAction
	}
	return nil
}

// Append appends the encoded state: a msgpack map with its count.
func (c *Counter) Append(b []byte) []byte {
	return pack.AppendInt(pack.AppendString(pack.AppendMapLen(b, 1), "count"), c.Count)
}

// Increment encodes the action that adds by.
func Increment(by int64) []byte {
	b := pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 2), "type"), "increment")
	return pack.AppendInt(pack.AppendString(b, "by"), by)
}

// Count reads the count out of an encoded state.
func Count(state []byte) (int64, error) {
	r := pack.NewReader(state)
	var count int64
	for n := r.MapLen(); n > 0 && r.OK(); n-- {
		if string(r.Str()) == "count" {
			count = r.Int()
		} else {
			r.Skip()
		}
	}
	r.End()
	return count, r.Err()
}
