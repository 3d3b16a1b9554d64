package eventbus_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventbus"
)

func TestErrors_say(t *testing.T) {
	for want, err := range map[string]error{
		"invalid id: a key of 0 bytes, want 1 to 256":                   (&eventbus.Message{Topic: "t"}).Check(),
		"invalid topic: a key of 0 bytes, want 1 to 256":                (&eventbus.Message{ID: "a"}).Check(),
		`invalid order key: the key "a\nb" has a control character`:     (&eventbus.Message{ID: "a", Topic: "t", Key: "a\nb"}).Check(),
		`invalid group: the key "a\nb" has a control character`:         eventbus.CheckGroup("t", "a\nb"),
		`topic orders: group full: "mail" has 10000 messages to handle`: &eventbus.FullError{Topic: "orders", Group: "mail", Pending: 10_000},
	} {
		require.EqualError(t, err, want)
	}
	require.NoError(t, eventbus.CheckGroup("t", ""))
}

func ExampleMessage_Check() {
	m := eventbus.Message{ID: "7f3a/12/0", Topic: "orders", Body: []byte("text")}
	fmt.Println(m.Check())
	// Output: invalid body: msgpack at byte 1: there are bytes after the value
}
