package rows

import "github.com/crhost/crhost/effects/keyspace"

// Bounds of a batch that removes rows.
const (
	dropRows  = 500
	dropBytes = 4 << 20 // of the values that are read for it
)

// drop has the rows of a build removed, which nobody reads or writes any more.
//
// REQUIRES: the store is not closed.
func (s *Store) drop(name string, build uint64) {
	s.dropping.Go(func() {
		for more := true; more; {
			select {
			case <-s.stop:
				return
			default:
			}
			// What cannot be removed now is removed after the next Open.
			var err error
			if more, err = s.dropSome(name, build); err != nil {
				return
			}
		}
	})
}

// dropSome removes some rows, and the note of the build with the last of them.
func (s *Store) dropSome(name string, build uint64) (more bool, err error) {
	prefix := buildKey(kindRow, name, build)
	var batch []keyspace.Write
	bytes := 0
	for row, err := range s.db.Rows(prefix, keyspace.PrefixEnd(prefix)) {
		if err != nil {
			return false, err
		}
		if len(batch) == dropRows || bytes >= dropBytes {
			return true, s.db.Apply(batch)
		}
		batch = append(batch, keyspace.Write{Key: row.Key, Delete: true})
		bytes += len(row.Value)
	}
	return false, s.db.Apply(append(batch, keyspace.Write{Key: buildKey(kindDropped, name, build), Delete: true}))
}
