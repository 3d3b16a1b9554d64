package eventbus

import (
	"fmt"
	"strings"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

// MaxMessageBytes bounds body and metadata of a message together.
const MaxMessageBytes = 1 << 20

// Message is what is published.
type Message struct {
	ID       string // names the message in its topic; text without control characters, 1 to 256 bytes, as are Topic and a Key
	Topic    string
	Key      string // what keeps order among themselves; empty for none
	Body     []byte // one msgpack value
	Time     int64  // unix ns, as the publisher says; the bus does not look at it
	Metadata []byte // one msgpack value, or nothing
}

// Delivery is a message on its way to a handler.
type Delivery struct {
	Message
	Attempt int // 1, 2, ...; how often a handler of the group was given it, as far as the bus knows
}

// Check reports why a message cannot be right; errors are [InvalidError]. Every implementation refuses what it does.
func (m *Message) Check() error {
	if err := checkText("id", m.ID); err != nil {
		return err
	}
	if err := checkText("topic", m.Topic); err != nil {
		return err
	}
	if m.Key != "" {
		if err := checkText("order key", m.Key); err != nil {
			return err
		}
	}
	if n := len(m.Body) + len(m.Metadata); n > MaxMessageBytes {
		return &InvalidError{What: "message", Reason: fmt.Sprintf("%d bytes of body and metadata, the limit is %d", n, MaxMessageBytes)}
	}
	if err := pack.Valid(m.Body); err != nil {
		return &InvalidError{What: "body", Reason: err.Error()}
	}
	if len(m.Metadata) == 0 {
		return nil
	}
	if err := pack.Valid(m.Metadata); err != nil {
		return &InvalidError{What: "metadata", Reason: err.Error()}
	}
	return nil
}

// CheckGroup reports why a topic and a group cannot be subscribed to; errors are [InvalidError].
func CheckGroup(topic, group string) error {
	if err := checkText("topic", topic); err != nil || group == "" {
		return err
	}
	return checkText("group", group)
}

// checkText holds names to the rule for store keys: text without control characters, 1 to 256 bytes.
func checkText(what, s string) error {
	if err := abi.ValidateKey(s); err != nil {
		return &InvalidError{What: what, Reason: strings.TrimPrefix(err.Error(), abi.ErrBadAddress.Error()+": ")}
	}
	return nil
}
