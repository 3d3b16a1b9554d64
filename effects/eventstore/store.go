package eventstore

import "context"

// Store keeps events. All methods may be called from many goroutines.
//
// A method whose context ends answers with the context's cause; one that has not begun by then does nothing. Bytes that a method takes are
// the caller's again when it has returned. Bytes that it returns are shared and must not be changed; they stay valid for ever, the slice around them
// is the caller's.
type Store interface {
	// Append adds events to a stream, in their order, when the stream has the version expect, [Any] version, or none (0). Of the events it
	// ignores Stream, Version and Position.
	//
	// Before it looks at the version it looks at the ids. When all are in this stream at consecutive versions in this order, it answers where, and
	// that is all: the rest of the events is not compared. When some are known otherwise, it fails.
	//
	// Errors: [ConflictError], [ReusedError], [InvalidError], [ErrClosed]; after any other the outcome is unknown.
	Append(ctx context.Context, stream string, expect int64, events []Event) (Appended, error)

	// Load returns events of a stream from version from on, 0 and 1 being the first, in order, limit at most. An empty answer says that there
	// are none, also for a stream that nobody has appended to; a short one says nothing, as implementations may bound the bytes of an answer.
	//
	// Errors: [InvalidError] also for a limit below 1.
	Load(ctx context.Context, stream string, from uint64, limit int) ([]Event, error)

	// All returns events of all streams behind position after, in order, limit at most. Empty and short answers mean what they do in Load.
	All(ctx context.Context, after uint64, limit int) ([]Event, error)

	// Wait returns nil when All would return something for the same position: at once, or when it has been appended. It does not poll.
	Wait(ctx context.Context, after uint64) error

	// Head returns the position of the newest event that readers see, 0 when there is none.
	Head(ctx context.Context) (uint64, error)

	// SaveSnapshot keeps a snapshot in place of an older one. When the store has one of that version or a newer one, nothing changes, and that
	// is no error. A version that the stream does not have is an [InvalidError].
	SaveSnapshot(ctx context.Context, stream string, s Snapshot) error

	// LoadSnapshot returns the stream's snapshot, or an error that is [ErrNotFound].
	LoadSnapshot(ctx context.Context, stream string) (Snapshot, error)

	// Close ends the store, and whoever waits. Later calls return an error that is [ErrClosed]; a second Close does nothing.
	Close() error
}

// Writer is a batch that its owner makes durable, whole or not at all. A journal's batch is one.
type Writer interface {
	// Set writes a row. The bytes belong to the batch from then on and must not change.
	Set(key, value []byte) error
}

// Joiner is a Store whose appends can be part of somebody else's batch. It lives in the same database as the batch, under keys of its own.
//
// The stores that have it are embedded ones. Who finds none uses Append before its own batch and relies on ids: repeated after a crash, the append
// changes nothing.
type Joiner interface {
	Store

	// Join is Append with the rows written to w. The append is pending until its Settle is called: no reader sees it, and versions, positions
	// and ids are taken. While a stream has a pending append, further appends to it wait for that one, so that nothing is computed on what may
	// never be; appends to other streams go on, but readers see them only when all pending ones at earlier positions are settled.
	//
	// When the events are there already, or on an error, nothing is written and there is nothing to settle (Settle is nil).
	//
	// REQUIRES: a batch holds at most one append to a stream, and the caller settles every pending append, also when it gives the batch up.
	Join(ctx context.Context, w Writer, stream string, expect int64, events []Event) (Joined, error)
}

// Joined is an append that is part of a batch.
type Joined struct {
	Appended
	// Settle says how the batch ended: true when it is durable, false when it certainly is not and never will be. It is called once, and
	// does not block. Where the outcome is unknown nobody calls it: the process ends, and the store reads again what there is.
	Settle func(durable bool)
}
