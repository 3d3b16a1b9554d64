package memory

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/crhost/crhost/effects/projection"
)

// tx is writes over the rows of a build. When somebody else moves the build meanwhile it may see some of that; it is not committed then.
type tx struct {
	store  *Store
	build  *build
	writes map[string][]byte // nil: deleted
}

var _ projection.Tx = (*tx)(nil)

func (t *tx) Get(key string) ([]byte, error) {
	value, ok := t.writes[key]
	if !ok {
		t.store.mu.RLock()
		value, _ = t.build.rows.get(key)
		t.store.mu.RUnlock()
	}
	if value == nil {
		return nil, projection.ErrNotFound
	}
	return value, nil
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
	t.writes[key] = nil
	return nil
}

func (t *tx) Rows(prefix string) iter.Seq2[projection.Row, error] {
	return func(yield func(projection.Row, error) bool) {
		rows := map[string][]byte{}
		t.store.mu.RLock()
		for row := range t.build.rows.from(prefix) {
			if !strings.HasPrefix(row.Key, prefix) {
				break
			}
			rows[row.Key] = row.Value
		}
		t.store.mu.RUnlock()
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
