package host

import (
	"errors"
	"fmt"
	"iter"

	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/host/journal"
)

// rowsOf is a journal's rows as the stores of effects see them, which share it with the host: package journal says who has which keys.
type rowsOf struct{ journal.Backend }

var _ keyspace.DB = rowsOf{}

// Get returns the value of a row; see keyspace.DB.
func (r rowsOf) Get(key []byte) ([]byte, error) {
	value, err := r.Backend.Get(key)
	if errors.Is(err, journal.ErrNotFound) {
		return nil, keyspace.ErrNotFound
	}
	return value, err
}

// Rows yields a range of rows; see keyspace.DB.
func (r rowsOf) Rows(lower, upper []byte) iter.Seq2[keyspace.Row, error] {
	return func(yield func(keyspace.Row, error) bool) {
		for row, err := range r.Backend.Rows(lower, upper) {
			if !yield(keyspace.Row(row), err) {
				return
			}
		}
	}
}

// Apply makes a batch durable; see keyspace.DB.
func (r rowsOf) Apply(batch []keyspace.Write) error {
	var b journal.Batch
	for _, w := range batch {
		if w.Delete {
			b.Delete(w.Key)
		} else if err := b.Set(w.Key, w.Value); err != nil {
			return fmt.Errorf("%w: %w", keyspace.ErrRefused, err)
		}
	}
	err := r.Backend.Apply(&b)
	if errors.Is(err, journal.ErrRefused) {
		return fmt.Errorf("%w: %w", keyspace.ErrRefused, err)
	}
	return err
}
