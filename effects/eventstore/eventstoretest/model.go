package eventstoretest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/crhost/crhost/effects/eventstore"
)

// operation is what a client asks of a store.
type operation struct {
	append bool // else it reads all
	stream string
	expect int64
	ids    []string
}

// answer is what it got.
type answer struct {
	err      error
	appended eventstore.Appended
	log      string // what was read: stream/id, in order
}

// history is the state of the model: all events in order. Never changed in place.
type history []entry

type entry struct{ stream, id string }

func (h history) String() string {
	var b strings.Builder
	for _, e := range h {
		b.WriteString(e.stream + "/" + e.id + " ")
	}
	return b.String()
}

// storeModel says what a store may answer to many callers.
var storeModel = porcupine.Model{
	Init:  func() any { return history(nil) },
	Equal: func(a, b any) bool { return slices.Equal(a.(history), b.(history)) },
	Step: func(state, in, out any) (bool, any) {
		return step(state.(history), in.(operation), out.(answer))
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v: %+v", in, out) },
	DescribeState:     func(state any) string { return state.(history).String() },
}

func step(h history, op operation, got answer) (legal bool, next history) {
	if !op.append {
		return got.err == nil && got.log == h.String(), h
	}
	version := func(until int) (n uint64) {
		for _, e := range h[:until] {
			if e.stream == op.stream {
				n++
			}
		}
		return n
	}
	at := make([]int, len(op.ids))
	known := 0
	for i, id := range op.ids {
		if at[i] = slices.IndexFunc(h, func(e entry) bool { return e.id == id }); at[i] >= 0 {
			known++
		}
	}
	have := version(len(h))
	switch {
	case known > 0:
		together := known == len(at)
		for i, p := range at {
			together = together && h[p].stream == op.stream && version(p) == version(at[0])+uint64(i)
		}
		if !together {
			return errors.Is(got.err, eventstore.ErrReused), h
		}
		first := version(at[0]) + 1
		return got.err == nil && got.appended.FirstVersion == first && got.appended.LastVersion == first+uint64(len(at))-1, h
	case op.expect != eventstore.Any && have != uint64(op.expect):
		var conflict *eventstore.ConflictError
		return errors.As(got.err, &conflict) && conflict.Have == have, h
	}
	next = slices.Clone(h)
	for _, id := range op.ids {
		next = append(next, entry{op.stream, id})
	}
	return got.err == nil && got.appended.FirstVersion == have+1 && got.appended.LastVersion == have+uint64(len(at)), next
}
