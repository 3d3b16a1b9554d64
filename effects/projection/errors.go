package projection

import (
	"errors"
	"fmt"
)

var (
	// ErrFailed: an event could not be applied. See [FailedError].
	ErrFailed = errors.New("projection failed")

	// ErrMoved: a build is not, or no longer, at the checkpoint that was named, or is not there at all. Somebody else, or an update of unknown
	// outcome, has moved it. Nothing was committed.
	ErrMoved = errors.New("checkpoint moved")

	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not found")

	// ErrInvalid: the request is wrong whatever the store holds. See [InvalidError].
	ErrInvalid = errors.New("invalid")

	// ErrAhead: a build's checkpoint is behind the newest event, so that it was made of the events of another event store. It stays as it is, and
	// [Status] says so; a rebuild would have to reach that checkpoint, too. With more events than that nothing tells.
	ErrAhead = errors.New("read model is ahead of its events")

	// ErrRunning: the runner runs already.
	ErrRunning = errors.New("projection runs already")

	// ErrClosed: the store of read models was closed before.
	ErrClosed = errors.New("read models closed")
)

// FailedError says which event could not be applied, and why. It is [ErrFailed], and whatever its cause is.
type FailedError struct {
	Projection string
	Build      uint64
	Position   uint64
	Event      string // its id
	Attempts   int
	Err        error // of the last attempt
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("projection %s: event %s at position %d, attempt %d: %v", e.Projection, e.Event, e.Position, e.Attempts, e.Err)
}

// Is reports that the error is ErrFailed.
func (e *FailedError) Is(target error) bool { return target == ErrFailed }

// Unwrap returns what Apply said.
func (e *FailedError) Unwrap() error { return e.Err }

// InvalidError says what is wrong with a request. It is [ErrInvalid].
type InvalidError struct {
	What   string // what part of it
	Reason string
}

func (e *InvalidError) Error() string { return fmt.Sprintf("%v %s: %s", ErrInvalid, e.What, e.Reason) }

// Is reports that the error is ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }
