package eventbus

import (
	"errors"
	"fmt"
)

var (
	// ErrFull: a group of the topic has no room for the message, and nobody got it. See [FullError]. It is temporary.
	ErrFull = errors.New("group full")

	// ErrInvalid: the request is wrong whatever the bus holds. See [InvalidError].
	ErrInvalid = errors.New("invalid")

	// ErrInUse: the group to forget has members.
	ErrInUse = errors.New("group in use")

	// ErrClosed: the bus was closed before.
	ErrClosed = errors.New("event bus closed")
)

// FullError says which group has no room. It is [ErrFull].
type FullError struct {
	Topic, Group string // Group is empty for a subscriber without one
	Pending      int    // messages that the group has not handled
}

func (e *FullError) Error() string {
	return fmt.Sprintf("topic %s: %v: %q has %d messages to handle", e.Topic, ErrFull, e.Group, e.Pending)
}

// Is reports that the error is ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// InvalidError says what is wrong with a request. It is [ErrInvalid].
type InvalidError struct {
	What   string // what part of it
	Reason string
}

func (e *InvalidError) Error() string { return fmt.Sprintf("%v %s: %s", ErrInvalid, e.What, e.Reason) }

// Is reports that the error is ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }
