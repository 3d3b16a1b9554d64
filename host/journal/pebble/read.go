package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/crhost/crhost/host/journal"
)

// source is a Pebble, or a snapshot of one.
type source interface {
	Get(key []byte) ([]byte, io.Closer, error)
	NewIter(*pebble.IterOptions) (*pebble.Iterator, error)
}

// reader reads from a source. It copies what it hands out, which Pebble would reuse.
type reader struct {
	source source
	use    *use
}

// use counts the calls under way, so that the source is not closed below them: Pebble panics then.
type use struct {
	mu     sync.RWMutex // guards closed against begin
	closed bool
	calls  sync.WaitGroup
}

// begin lets a call in. The caller must call done.
func (u *use) begin() error {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if u.closed {
		return journal.ErrClosed
	}
	u.calls.Add(1)
	return nil
}

func (u *use) done() { u.calls.Done() }

// end waits for the calls under way and lets no others in. It returns false when somebody did before.
func (u *use) end() bool {
	u.mu.Lock()
	closed := u.closed
	u.closed = true
	u.mu.Unlock()
	u.calls.Wait()
	return !closed
}

// corrupt puts Pebble's word for damage into the journal's.
func corrupt(err error, what string, where journal.CorruptError) error {
	if !pebble.IsCorruptionError(err) {
		return fmt.Errorf("read %s: %w", what, err)
	}
	where.What, where.Reason = what, err.Error()
	return &where
}

// Get returns a row's value; see journal.Reader.
func (r *reader) Get(key []byte) ([]byte, error) {
	if err := r.use.begin(); err != nil {
		return nil, err
	}
	defer r.use.done()
	if len(key) == 0 || key[0] == letter {
		return nil, journal.ErrNotFound
	}
	value, closer, err := r.source.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, journal.ErrNotFound
	}
	if err != nil {
		return nil, corrupt(err, "row", journal.CorruptError{Key: fmt.Sprintf("%q", key)})
	}
	value = bytes.Clone(value)
	return value, closer.Close()
}

// Rows yields a range of rows; see journal.Reader. The logs among them are left out.
func (r *reader) Rows(lower, upper []byte) iter.Seq2[journal.Row, error] {
	return func(yield func(journal.Row, error) bool) {
		if err := r.use.begin(); err != nil {
			yield(journal.Row{}, err)
			return
		}
		defer r.use.done()
		below, above := upper, lower
		if upper == nil || bytes.Compare(upper, []byte{letter}) > 0 {
			below = []byte{letter}
		}
		if bytes.Compare(lower, []byte{after}) < 0 {
			above = []byte{after}
		}
		_ = r.rows(lower, below, yield) && r.rows(above, upper, yield)
	}
}

// rows yields a range, and returns whether to go on.
func (r *reader) rows(lower, upper []byte, yield func(journal.Row, error) bool) bool {
	if upper != nil && bytes.Compare(lower, upper) >= 0 {
		return true
	}
	if len(lower) == 0 {
		lower = nil // Pebble minds an empty bound, and knows none
	}
	last := lower
	err := r.scan(lower, upper, func(it *pebble.Iterator) (bool, error) {
		key := it.Key()
		value, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		both := append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
		last = both[:len(key):len(key)]
		return yield(journal.Row{Key: last, Value: both[len(key):]}, nil), nil
	})
	switch {
	case errors.Is(err, errStopped):
		return false
	case err != nil:
		yield(journal.Row{}, corrupt(err, "rows", journal.CorruptError{Key: fmt.Sprintf("after %q", last)}))
		return false
	}
	return true
}

// errStopped says that whoever is yielded to wants no more.
var errStopped = errors.New("stopped")

// scan calls each with an iterator at each key of a range. A false ends it with errStopped.
func (r *reader) scan(lower, upper []byte, each func(*pebble.Iterator) (bool, error)) (err error) {
	it, err := r.source.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	// Of the two the first error counts: closing repeats it.
	defer func() {
		if closed := it.Close(); err == nil {
			err = closed
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		if more, err := each(it); err != nil {
			return err
		} else if !more {
			return errStopped
		}
	}
	return it.Error()
}

// Records yields a stretch of a log; see journal.Reader.
func (r *reader) Records(life journal.Incarnation, from, to uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		if err := r.use.begin(); err != nil {
			yield(journal.Entry{}, err)
			return
		}
		defer r.use.done()
		if from > to {
			return
		}
		lower, upper := keyOf(life, from), logEnd(life)
		if to < math.MaxUint64 {
			k := keyOf(life, to+1)
			upper = k[:]
		}
		next := from
		err := r.scan(lower[:], upper, func(it *pebble.Iterator) (bool, error) {
			seq, err := seqOf(it.Key())
			if err != nil {
				return false, err
			}
			value, err := it.ValueAndErr()
			if err != nil {
				return false, err
			}
			next = seq + 1
			return yield(journal.Entry{Seq: seq, Bytes: bytes.Clone(value)}, nil), nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(journal.Entry{}, corrupt(err, "record", journal.CorruptError{Life: life, Seq: next}))
		}
	}
}

// Bounds returns the first and last seq kept; see journal.Reader.
func (r *reader) Bounds(life journal.Incarnation) (first, last uint64, err error) {
	if err := r.use.begin(); err != nil {
		return 0, 0, err
	}
	defer r.use.done()
	lower := keyOf(life, 0)
	it, err := r.source.NewIter(&pebble.IterOptions{LowerBound: lower[:], UpperBound: logEnd(life)})
	if err == nil {
		if it.First() {
			first, err = seqOf(it.Key())
		}
		if err == nil && it.Last() {
			last, err = seqOf(it.Key())
		}
		if closed := it.Close(); err == nil {
			err = closed
		}
	}
	if err != nil {
		return 0, 0, corrupt(err, "log", journal.CorruptError{Life: life})
	}
	return first, last, nil
}

// lastSeq is Bounds for Apply, which has begun.
func (b *Backend) lastSeq(life journal.Incarnation) (last uint64, err error) {
	_, last, err = b.Bounds(life)
	return last, err
}

// Snapshot returns a consistent reader; see journal.Backend. Close it before the backend.
func (b *Backend) Snapshot() (journal.Snapshot, error) {
	if err := b.use.begin(); err != nil {
		return nil, err
	}
	defer b.use.done()
	s := b.db.NewSnapshot()
	return &snapshot{reader: reader{source: s, use: b.use}, pebble: s, faults: b.faults}, nil
}

type snapshot struct {
	reader
	pebble *pebble.Snapshot // nil when closed
	faults *faults
}

// Close ends the snapshot.
func (s *snapshot) Close() error {
	if s.pebble == nil {
		return nil
	}
	if err := s.use.begin(); err != nil {
		return err
	}
	defer s.use.done()
	taken := s.pebble
	s.pebble, s.source = nil, ended{}
	if s.faults.reason() != nil {
		return nil // nothing is compacted any more, so Pebble need not know
	}
	// Pebble looks for compactions here, and so waits for whoever writes the manifest.
	closed := make(chan error, 1)
	go func() { closed <- taken.Close() }()
	select {
	case err := <-closed:
		return err
	case <-s.faults.dead:
		return nil
	}
}

// ended is the source of a closed snapshot.
type ended struct{}

func (ended) Get([]byte) ([]byte, io.Closer, error)                 { return nil, nil, journal.ErrClosed }
func (ended) NewIter(*pebble.IterOptions) (*pebble.Iterator, error) { return nil, journal.ErrClosed }
