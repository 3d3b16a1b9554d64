package pebble

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/crhost/crhost/host/journal"
)

// MaxBatch is the largest batch that Apply takes, by its Size, in bytes. Pebble's own limit is four times that.
const MaxBatch = 1 << 30

// Durability is that of a synced log.
func (b *Backend) Durability() journal.Durability { return journal.Synced }

// Space returns how much room there is on the disk, in bytes: what is free for us, and all there is.
func (b *Backend) Space() (free, total uint64, err error) {
	u, err := b.fs.GetDiskUsage(b.dir)
	return u.AvailBytes, u.TotalBytes, err
}

// Apply makes a batch durable; see journal.Backend.
func (b *Backend) Apply(batch *journal.Batch) error {
	if err := b.use.begin(); err != nil {
		return err
	}
	defer b.use.done()
	if err := b.faults.reason(); err != nil {
		return err
	}
	if err := acceptable(batch); err != nil {
		return err
	}
	if err := b.tails.write(batch.Logs()); err != nil {
		return b.faults.die(err)
	}
	writes, err := b.encode(batch)
	if err != nil {
		return b.faults.die(err)
	}
	if writes.Empty() {
		return writes.Close()
	}
	// In a goroutine of its own, because it may never return when the backend dies.
	applied := make(chan error, 1)
	b.committing.Go(func() { b.commit(writes, applied) })
	select {
	case err := <-applied:
		return err
	case <-b.faults.dead:
		return b.faults.err
	}
}

// acceptable refuses what must not reach Pebble.
func acceptable(batch *journal.Batch) error {
	if batch.Size() > MaxBatch {
		return fmt.Errorf("%w: %d bytes, the limit is %d", journal.ErrRefused, batch.Size(), MaxBatch)
	}
	for _, w := range batch.Rows() {
		if len(w.Key) > 0 && w.Key[0] == letter {
			return fmt.Errorf("%w: row %q: the letter %c is kept for logs", journal.ErrRefused, w.Key, letter)
		}
	}
	return nil
}

// encode makes Pebble's batch. Its operations apply in their order, so the later of two wins.
func (b *Backend) encode(batch *journal.Batch) (*pebble.Batch, error) {
	const perWrite = 40 // a record's key, lengths
	logs, rows := batch.Logs(), batch.Rows()
	writes := b.db.NewBatchWithSize(batch.Size() + perWrite*(len(logs)+len(rows)) + 32)
	for i := range logs {
		w := &logs[i]
		key := keyOf(w.Life, w.Seq)
		var err error
		switch w.Op {
		case journal.OpAppend:
			err = writes.Set(key[:], w.Record, nil)
		case journal.OpTrim:
			start := keyOf(w.Life, 0)
			err = writes.DeleteRange(start[:], key[:], nil)
		case journal.OpDrop:
			start := keyOf(w.Life, 0)
			err = writes.DeleteRange(start[:], logEnd(w.Life), nil)
		case journal.OpRelease:
			// All history is kept.
		}
		if err != nil {
			return nil, err
		}
	}
	for i := range rows {
		w := &rows[i]
		var err error
		if w.Delete {
			err = writes.Delete(w.Key, nil)
		} else {
			err = writes.Set(w.Key, w.Value, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	return writes, nil
}

// commit hands a batch to Pebble. A commit that fails ends in Fatalf, and Pebble returns nil all the same.
func (b *Backend) commit(writes *pebble.Batch, applied chan<- error) {
	defer func() {
		if r := recover(); r != nil {
			// Pebble's log writer refuses records once it has failed, and Pebble panics over that with its commit mutex held.
			_ = b.faults.die(fmt.Errorf("commit: %v", r))
			b.faults.setStuck()
		}
	}()
	err := b.db.Apply(writes, b.durability)
	if err != nil {
		err = b.faults.die(fmt.Errorf("commit: %w", err))
	} else if err = b.faults.reason(); err == nil {
		_ = writes.Close() // its memory is used again; it has no other errors
	}
	applied <- err
}
