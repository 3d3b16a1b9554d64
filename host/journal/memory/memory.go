// Package memory keeps a journal in memory: it survives nothing, and is otherwise held to the same rules as a disk.
//
// It keeps what rebuilds need, that is the rows and the records after the newest checkpoint, and of the records before that at most the last
// Config.History (SEMANTICS S11). So a store's log is bounded, as long as the store takes checkpoints; nobody has to trim it.
//
// Tests make it misbehave: Config.Before refuses, delays or loses batches, Config.After loses the answer to one, and Crash leaves
// what a machine would find after losing power.
//
// # Concurrency
//
// Logs are spread over 64 partitions, each with a lock of its own, so that two shards hardly ever meet. A batch holds the locks of all it
// writes while it writes, taken in ascending order: no reader sees half of it. Readers copy references under the lock and hand them out
// without it. Snapshot and Crash copy the references of everything, with everything locked: they are meant for small journals.
//
// # When it fails
//
// Apply fails when a hook does, when a record does not follow its log's last, and after Close, Crash or an error of unknown outcome.
package memory

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/crhost/crhost/host/journal"
)

// DefaultHistory is how many records of each log are kept as history.
const DefaultHistory = 1000

// Config is optional in all its fields.
type Config struct {
	// History is how many of the last records of a log are kept though no rebuild needs them. Defaults to DefaultHistory; below zero keeps none.
	History int

	// Before is called before each batch is written, without locks, so it may block. An error that is journal.ErrRefused refuses the batch; any
	// other loses it, and the backend with it.
	Before func(*journal.Batch) error

	// After is called after each batch was written, without locks. An error loses the answer: the batch is there, Apply fails, and the
	// backend is dead.
	After func(*journal.Batch) error
}

// Backend is a journal in memory.
type Backend struct {
	tables
	config  Config
	history uint64
	dead    atomic.Pointer[error] // why it takes no more batches
}

var _ journal.Backend = (*Backend)(nil)

// New returns an empty journal.
func New(config Config) *Backend {
	b := &Backend{config: config}
	b.history = uint64(max(cmp.Or(config.History, DefaultHistory), 0))
	return b
}

// Apply writes a batch; see journal.Backend.
func (b *Backend) Apply(batch *journal.Batch) error {
	if b.config.Before != nil {
		if err := b.config.Before(batch); errors.Is(err, journal.ErrRefused) {
			return err
		} else if err != nil {
			return b.die(err)
		}
	}
	logs, rows := batch.Logs(), batch.Rows()
	var held uint64 // one bit for each partition
	for i := range logs {
		held |= 1 << partitionOf(logs[i].Life)
	}
	b.lock(held, len(rows) > 0)
	if dead := b.dead.Load(); dead != nil {
		b.unlock(held, len(rows) > 0)
		return *dead
	}
	var broken error
	for i := range logs {
		if err := b.parts[partitionOf(logs[i].Life)].write(&logs[i], b.history); err != nil {
			broken = b.die(err)
		}
	}
	for i := range rows {
		b.rows.write(&rows[i])
	}
	b.unlock(held, len(rows) > 0)

	if broken != nil {
		return broken
	}
	if b.config.After != nil {
		if err := b.config.After(batch); err != nil {
			return b.die(err)
		}
	}
	return nil
}

// Durability is that nothing survives.
func (b *Backend) Durability() journal.Durability { return journal.InMemory }

// Snapshot copies all references; see journal.Backend.
func (b *Backend) Snapshot() (journal.Snapshot, error) {
	b.lockAll()
	defer b.unlockAll()
	if b.closed != nil {
		return nil, b.closed
	}
	s := new(snapshot)
	b.copyTo(&s.tables)
	return s, nil
}

// Close ends the backend. Batches fail from then on with an error that is journal.ErrClosed; so do reads.
func (b *Backend) Close() error {
	b.lockAll()
	defer b.unlockAll()
	b.close(journal.ErrClosed)
	return nil
}

// Crash returns the journal as it is found after the power went out now: with every batch that was applied, and no hooks. The old backend
// fails from then on as if closed.
func (b *Backend) Crash() *Backend {
	b.lockAll()
	defer b.unlockAll()
	found := New(Config{History: b.config.History})
	b.copyTo(&found.tables)
	b.close(fmt.Errorf("crashed: %w", journal.ErrClosed))
	return found
}

// close ends reads and writes. REQUIRES: everything is locked.
func (b *Backend) close(err error) {
	b.dead.Store(&err)
	b.closed = err
}

// die ends writes.
func (b *Backend) die(err error) error {
	err = fmt.Errorf("memory journal: %w", err)
	b.dead.CompareAndSwap(nil, &err)
	return err
}

// snapshot is a frozen copy. Nobody writes to it, so its locks are never contended.
type snapshot struct {
	tables
}

// Close ends the snapshot.
func (s *snapshot) Close() error {
	s.lockAll()
	defer s.unlockAll()
	for i := range s.parts {
		s.parts[i].logs = nil
	}
	s.rows, s.closed = rowTable{}, journal.ErrClosed
	return nil
}

// partitions is the number of bits in a set of partitions.
const partitions = 64

func partitionOf(life journal.Incarnation) int { return int(life[0]^life[15]) % partitions }

// partition is the logs of some lives. Padded, so that neighbours do not share a cache line.
type partition struct {
	mu   sync.Mutex // guards logs
	logs map[journal.Incarnation]*log
	_    [128 - 16]byte
}

// tables is all that is kept.
type tables struct {
	parts  [partitions]partition
	rowsMu sync.Mutex // guards rows; taken after those of partitions
	rows   rowTable
	closed error // guarded by all locks: written with all, read with any
}

func (t *tables) lock(held uint64, rows bool) {
	for ; held != 0; held &= held - 1 {
		t.parts[bits.TrailingZeros64(held)].mu.Lock()
	}
	if rows {
		t.rowsMu.Lock()
	}
}

func (t *tables) unlock(held uint64, rows bool) {
	for ; held != 0; held &= held - 1 {
		t.parts[bits.TrailingZeros64(held)].mu.Unlock()
	}
	if rows {
		t.rowsMu.Unlock()
	}
}

func (t *tables) lockAll()   { t.lock(^uint64(0), true) }
func (t *tables) unlockAll() { t.unlock(^uint64(0), true) }

// copyTo copies references to empty tables. REQUIRES: everything is locked.
func (t *tables) copyTo(to *tables) {
	for i := range t.parts {
		for life, l := range t.parts[i].logs {
			to.parts[i].keep(life, l.clone())
		}
	}
	to.rows = t.rows.clone()
}
