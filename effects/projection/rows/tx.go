package rows

import (
	"bytes"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/projection"
)

// tx is writes over the rows of a build. When somebody else moves the build meanwhile it may see some of that; it is not committed then.
type tx struct {
	db     keyspace.DB
	name   string
	build  uint64
	read   map[string][]byte // what the database had; nil: nothing
	writes map[string][]byte // nil: deleted
}

var _ projection.Tx = (*tx)(nil)

func (t *tx) Get(key string) ([]byte, error) {
	value, ok := t.writes[key]
	if !ok {
		var err error
		if value, err = t.kept(key); err != nil {
			return nil, err
		}
	}
	if value == nil {
		return nil, projection.ErrNotFound
	}
	return value, nil
}

// kept returns what the database has, nil for nothing.
func (t *tx) kept(key string) ([]byte, error) {
	if value, ok := t.read[key]; ok {
		return value, nil
	}
	value, err := get(t.db, rowKey(t.name, t.build, key))
	if err == nil {
		t.read[key] = value
	}
	return value, err
}

// get reads a row, nil when there is none.
func get(db keyspace.DB, key []byte) ([]byte, error) {
	value, err := db.Get(key)
	switch {
	case errors.Is(err, keyspace.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return decodeRow(keyspace.Row{Key: key, Value: value})
}

func (t *tx) Set(key string, value []byte) error {
	if err := projection.CheckRow(key, value); err != nil {
		return err
	}
	if value = bytes.Clone(value); value == nil {
		value = []byte{}
	}
	t.writes[key] = value
	return nil
}

func (t *tx) Delete(key string) error {
	if err := projection.CheckRow(key, nil); err != nil {
		return nil // there is no such row
	}
	t.writes[key] = nil
	return nil
}

func (t *tx) Rows(prefix string) iter.Seq2[projection.Row, error] {
	return func(yield func(projection.Row, error) bool) {
		rows := map[string][]byte{}
		start, first := len(buildKey(kindRow, t.name, t.build)), rowKey(t.name, t.build, prefix)
		for row, err := range t.db.Rows(first, keyspace.PrefixEnd(first)) {
			var value []byte
			if err == nil {
				value, err = decodeRow(row)
			}
			if err != nil {
				yield(projection.Row{}, err)
				return
			}
			rows[string(row.Key[start:])] = value
		}
		for key, value := range t.writes {
			if strings.HasPrefix(key, prefix) {
				rows[key] = value
			}
		}
		for _, key := range slices.Sorted(maps.Keys(rows)) {
			if rows[key] != nil && !yield(projection.Row{Key: key, Value: rows[key]}, nil) {
				return
			}
		}
	}
}

// before is the rows that were written, as they were. Nobody has written to the build since the transaction began.
func (t *tx) before() (map[string][]byte, error) {
	before := make(map[string][]byte, len(t.writes))
	for key := range t.writes {
		value, err := t.kept(key)
		if err != nil {
			return nil, err
		}
		before[key] = value
	}
	return before, nil
}
