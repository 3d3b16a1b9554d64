package events

import (
	"errors"
	"math"
	"strconv"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/eventstore"
)

// eventID is the id of event n of the leaf with this key, from 0.
func eventID(key string, n int) string {
	if n == 0 {
		return key
	}
	return key + ":" + strconv.Itoa(n)
}

// readEvent reads an event of an append: its type, schema and data.
func readEvent(b []byte) (e eventstore.Event, err error) {
	r := pack.NewReader(b)
	n := r.MapLen()
	rest, typed, numbered := make([]byte, 0, len(b)), false, false
	left := 0
	for i := 0; i < n && r.OK(); i++ {
		start := r.Pos()
		switch key := string(r.Str()); {
		case key == "type" && !typed:
			e.Type, typed = string(r.Str()), true
		case key == "schema" && !numbered:
			schema := r.Uint()
			if schema > math.MaxUint32 {
				r.Fail("the schema does not fit 32 bits")
			}
			e.Schema, numbered = uint32(schema), true
		case key == "type" || key == "schema":
			r.Fail("the event has two " + key + "s")
		default:
			if r.Skip(); r.OK() {
				rest = append(rest, b[start:r.Pos()]...)
				left++
			}
		}
	}
	r.End()
	if r.OK() && !typed {
		return e, errors.New("the event has no type")
	}
	e.Data = append(pack.AppendMapLen(make([]byte, 0, len(rest)+5), left), rest...)
	return e, r.Err()
}
