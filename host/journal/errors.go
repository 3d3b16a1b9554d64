package journal

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound: there is no such row. It does not mean that there never was one.
	ErrNotFound = errors.New("not found")

	// ErrRefused: a backend did not write a batch, and knows it. The same batch may succeed later.
	ErrRefused = errors.New("batch refused")

	// ErrBatchFailed: the position's batch was refused, or an earlier one that it was computed on. Nothing of it is or will be durable.
	ErrBatchFailed = errors.New("batch failed")

	// ErrOutcomeUnknown: the backend failed while the position was pending. It may be durable or not; only reading the journal again can tell.
	ErrOutcomeUnknown = errors.New("unknown outcome")

	// ErrClosed: the committer or backend was closed before.
	ErrClosed = errors.New("journal closed")

	// ErrCorrupt: kept bytes are not what was written. See [CorruptError].
	ErrCorrupt = errors.New("corrupt")

	// ErrFormat: kept bytes have a format version that this program does not know; a newer one wrote them. See [FormatError].
	ErrFormat = errors.New("unknown format")
)

// FailedError is what waiters of failed positions get. It is [ErrBatchFailed], and whatever its cause is.
type FailedError struct {
	From  Position // first position that failed; those after it failed too, until the shard recovered
	Cause error    // what the backend said
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("commit from position %d: %v: %v", e.From, ErrBatchFailed, e.Cause)
}

// Is reports that the error is ErrBatchFailed.
func (e *FailedError) Is(target error) bool { return target == ErrBatchFailed }

// Unwrap returns the cause.
func (e *FailedError) Unwrap() error { return e.Cause }

// CorruptError says where kept bytes are damaged. It is [ErrCorrupt].
type CorruptError struct {
	What   string      // "record", "checkpoint", ...
	Life   Incarnation // of records and checkpoints, else zero
	Seq    uint64      // of records, else 0
	Key    string      // of rows, quoted where needed; empty for records
	Offset int         // of the first byte that is wrong, as far as that is known
	Reason string
}

func (e *CorruptError) Error() string {
	where := e.What
	if !e.Life.IsZero() {
		where += " " + e.Life.String()
	}
	if e.Seq != 0 {
		where += fmt.Sprintf(" seq %d", e.Seq)
	}
	if e.Key != "" {
		where += " " + e.Key
	}
	return fmt.Sprintf("%s: %v at byte %d: %s", where, ErrCorrupt, e.Offset, e.Reason)
}

// Is reports that the error is ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// FormatError names a format version that is not known. It is [ErrFormat].
type FormatError struct {
	What    string
	Version uint8
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: %v version %d: written by a newer version of this program", e.What, ErrFormat, e.Version)
}

// Is reports that the error is ErrFormat.
func (e *FormatError) Is(target error) bool { return target == ErrFormat }
