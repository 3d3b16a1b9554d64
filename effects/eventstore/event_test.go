package eventstore_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
)

func TestCheck_says(t *testing.T) {
	good := eventstore.Event{ID: "a", Type: "t", Data: []byte{0xc0}}
	require.NoError(t, eventstore.Check("s", 0, []eventstore.Event{good}))
	require.NoError(t, eventstore.Check("s", eventstore.Any, []eventstore.Event{good}))
	for want, err := range map[string]error{
		"invalid stream: a key of 0 bytes, want 1 to 256":           eventstore.Check("", 0, []eventstore.Event{good}),
		"invalid expected version: -2 is neither Any nor a version": eventstore.Check("s", -2, []eventstore.Event{good}),
		"invalid append: no events":                                 eventstore.Check("s", 0, nil),
		`invalid id of event 1: "a" is there twice`:                 eventstore.Check("s", 0, []eventstore.Event{good, good}),
		"invalid type of event 0: a key of 0 bytes, want 1 to 256":  eventstore.Check("s", 0, []eventstore.Event{{ID: "a", Data: []byte{0xc0}}}),
		"invalid snapshot: of version 0":                            eventstore.CheckSnapshot("s", eventstore.Snapshot{}),
		`invalid stream: the key "a\nb" has a control character`:    eventstore.CheckStream("a\nb"),
		"stream s: version conflict: expected 3, has 4":             &eventstore.ConflictError{Stream: "s", Want: 3, Have: 4},
		"stream s: event id in use: 7f3a/12/0":                      &eventstore.ReusedError{Stream: "s", ID: "7f3a/12/0"},
	} {
		require.EqualError(t, err, want)
	}
}

func ExampleCheck() {
	err := eventstore.Check("order-7", eventstore.Any, []eventstore.Event{{ID: "7f3a/12/0", Type: "order_placed", Data: []byte("text")}})
	fmt.Println(err)
	// Output: invalid data of event 0: msgpack at byte 1: there are bytes after the value
}
