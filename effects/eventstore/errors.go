package eventstore

import (
	"errors"
	"fmt"
)

var (
	// ErrConflict: the stream does not have the version that the append expected. See [ConflictError]. It does not mean that these events were
	// appended before: that is no error.
	ErrConflict = errors.New("version conflict")

	// ErrReused: an event's id was used before, and not for this append. See [ReusedError]. It does not tell of an append that is repeated.
	ErrReused = errors.New("event id in use")

	// ErrInvalid: the request is wrong whatever the store holds. See [InvalidError].
	ErrInvalid = errors.New("invalid")

	// ErrNotFound: the stream has no snapshot. A stream without events is no error.
	ErrNotFound = errors.New("not found")

	// ErrClosed: the store was closed before.
	ErrClosed = errors.New("event store closed")
)

// ConflictError says which version a stream has instead of the expected one. It is [ErrConflict].
type ConflictError struct {
	Stream string
	Want   int64  // what the append expected
	Have   uint64 // what the stream had then
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("stream %s: %v: expected %d, has %d", e.Stream, ErrConflict, e.Want, e.Have)
}

// Is reports that the error is ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// ReusedError names an event that is in the store already while the append that it came with is not: some of its events are missing, or lie
// in another order or stream. It is [ErrReused].
type ReusedError struct {
	Stream string // of the append
	ID     string // one of its events
}

func (e *ReusedError) Error() string {
	return fmt.Sprintf("stream %s: %v: %s", e.Stream, ErrReused, e.ID)
}

// Is reports that the error is ErrReused.
func (e *ReusedError) Is(target error) bool { return target == ErrReused }

// InvalidError says what is wrong with a request. It is [ErrInvalid].
type InvalidError struct {
	What   string // what part of it
	Reason string
}

func (e *InvalidError) Error() string { return fmt.Sprintf("%v %s: %s", ErrInvalid, e.What, e.Reason) }

// Is reports that the error is ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }
