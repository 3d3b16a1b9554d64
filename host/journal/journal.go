package journal

import (
	"encoding/hex"
	"iter"
)

// Incarnation names one life of a store: 128 random bits, new each time a store is created. Its zero value names none.
type Incarnation [16]byte

// String gives the incarnation in hexadecimal, as effects' idempotency keys carry it.
func (i Incarnation) String() string { return hex.EncodeToString(i[:]) }

// ParseIncarnation reads what String wrote.
func ParseIncarnation(s string) (i Incarnation, ok bool) {
	n, err := hex.Decode(i[:], []byte(s[:min(len(s), 2*len(i))]))
	return i, err == nil && n == len(i) && i.String() == s
}

// IsZero says that the incarnation names no life.
func (i Incarnation) IsZero() bool { return i == Incarnation{} }

// Entry is one record of a log as it is kept. Bytes must not be changed.
type Entry struct {
	Seq   uint64
	Bytes []byte
}

// Row is one key and its value. Neither may be changed.
type Row struct {
	Key, Value []byte
}

// Reader reads what batches wrote. All methods may be called from many goroutines; bytes they return are immutable and stay valid.
//
// On a [Backend] a scan may or may not see what is applied while it runs; a [Snapshot] sees whole batches only. Readers on behalf of
// callers outside the shard must cut what they read at the watermark: a backend may show a batch before it is durable.
type Reader interface {
	// Get returns the value of a row, or an error that is [ErrNotFound].
	Get(key []byte) ([]byte, error)

	// Rows yields the rows with lower <= key < upper in ascending order; a nil upper means to the end. It stops after an error.
	Rows(lower, upper []byte) iter.Seq2[Row, error]

	// Records yields what the log holds of from <= seq <= to, ascending. Whether it was trimmed in between shows in the seqs. It stops
	// after an error.
	Records(life Incarnation, from, to uint64) iter.Seq2[Entry, error]

	// Bounds returns the first and last seq kept of a log, zero and zero when none is.
	Bounds(life Incarnation) (first, last uint64, err error)
}

// Snapshot is a Reader that sees the batches applied before it was taken and no others.
type Snapshot interface {
	Reader
	// Close frees what the snapshot holds on to. It must not be read afterwards.
	Close() error
}

// Durability is what a batch survives.
type Durability string

// The durabilities.
const (
	InMemory Durability = "memory" // nothing: it ends with the process
	Synced   Durability = "fsync"  // the process, the operating system and the power failing; not the disk
)

// Backend is what a technology implements to keep a journal. package journaltest checks an implementation against these sentences.
type Backend interface {
	Reader

	// Apply makes a batch durable, whole or not at all, before it returns. Calls may be concurrent; the writes of concurrent batches may
	// not overlap. The batch is not used after Apply has returned, but the bytes in it are kept.
	//
	// An error that is [ErrRefused] means that nothing was written and that the backend still works. After any other error it is unknown what was
	// written, and the backend refuses all further batches with an error that is not ErrRefused.
	//
	// REQUIRES: an appended seq is the one after the log's last, unless the log is empty. A backend that notices ends.
	Apply(b *Batch) error

	// Snapshot returns a consistent reader, to be closed.
	Snapshot() (Snapshot, error)

	// Durability says what Apply promises when it returns.
	Durability() Durability

	// Close ends the backend. Later calls return an error that is [ErrClosed].
	Close() error
}
