package journal

import "errors"

// LogOp is what a LogWrite does to a log.
type LogOp uint8

const (
	OpAppend  LogOp = iota + 1 // add Record as Seq
	OpTrim                     // remove every record with a seq below Seq
	OpRelease                  // records up to Seq are history from now on: a backend that bounds history may remove them
	OpDrop                     // remove the whole log
)

// LogWrite is one change of a log in a batch.
type LogWrite struct {
	Life   Incarnation
	Seq    uint64
	Record []byte
	Op     LogOp
	Place  *Place // of an append; nil when the caller keeps none
}

// Place is where a backend keeps a log: who appends to it again and again lets the backend note it there, and spare a search. A place belongs to one
// log of one backend, is used by nobody but the backend, in Apply, and begins as its zero value.
type Place struct{ Note any }

// RowWrite is one change of a row in a batch.
type RowWrite struct {
	Key, Value []byte
	Delete     bool
}

// ErrEmptyKey says that a row was given without a key.
var ErrEmptyKey = errors.New("empty key")

// Batch is a set of writes that become durable together. Its zero value is empty and ready for use; Reset makes it so again and keeps
// its memory. Of several writes to one row or log, the later wins. A Batch serves one goroutine at a time.
//
// Bytes given to a batch belong to the journal from then on and must never change: they are kept and handed to readers without a copy.
type Batch struct {
	logs []LogWrite
	rows []RowWrite
	size int
}

// Append adds a record to a log.
func (b *Batch) Append(life Incarnation, seq uint64, record []byte) {
	b.AppendAt(nil, life, seq, record)
}

// AppendAt is Append for the holder of the log's place.
func (b *Batch) AppendAt(place *Place, life Incarnation, seq uint64, record []byte) {
	b.logs = append(b.logs, LogWrite{Life: life, Seq: seq, Record: record, Op: OpAppend, Place: place})
	b.size += len(record)
}

// Trim removes the records of a log with a seq below the given one.
func (b *Batch) Trim(life Incarnation, below uint64) {
	b.logs = append(b.logs, LogWrite{Life: life, Seq: below, Op: OpTrim})
}

// Release says that the state at seq is in the journal, so that no rebuild needs the records up to it. They are history: a backend with
// bounded history may remove them when it likes.
func (b *Batch) Release(life Incarnation, seq uint64) {
	b.logs = append(b.logs, LogWrite{Life: life, Seq: seq, Op: OpRelease})
}

// Drop removes a log.
func (b *Batch) Drop(life Incarnation) {
	b.logs = append(b.logs, LogWrite{Life: life, Op: OpDrop})
}

// Set writes a row. Its error is ErrEmptyKey or nil.
func (b *Batch) Set(key, value []byte) error {
	if len(key) == 0 {
		return ErrEmptyKey
	}
	b.put(key, value)
	return nil
}

// put is Set for keys made by this package, which are never empty.
func (b *Batch) put(key, value []byte) {
	b.rows = append(b.rows, RowWrite{Key: key, Value: value})
	b.size += len(key) + len(value)
}

// Delete removes a row. That there is none is no error.
func (b *Batch) Delete(key []byte) {
	b.rows = append(b.rows, RowWrite{Key: key, Delete: true})
	b.size += len(key)
}

// Join adds the writes of another batch behind its own.
func (b *Batch) Join(other *Batch) {
	b.logs = append(b.logs, other.logs...)
	b.rows = append(b.rows, other.rows...)
	b.size += other.size
}

// Logs returns the writes to logs in their order, for backends. The slice is the batch's own.
func (b *Batch) Logs() []LogWrite { return b.logs }

// Rows returns the writes to rows in their order, for backends. The slice is the batch's own.
func (b *Batch) Rows() []RowWrite { return b.rows }

// Size returns the bytes of all records, keys and values in the batch.
func (b *Batch) Size() int { return b.size }

// Empty says that the batch holds no writes.
func (b *Batch) Empty() bool { return len(b.logs) == 0 && len(b.rows) == 0 }

// Reset empties the batch, lets go of the bytes in it and keeps the rest of its memory.
func (b *Batch) Reset() {
	clear(b.logs)
	clear(b.rows)
	b.logs, b.rows, b.size = b.logs[:0], b.rows[:0], 0
}
