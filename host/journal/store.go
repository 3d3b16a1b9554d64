package journal

import (
	"fmt"
	"iter"
)

const (
	storeVersion   = 1
	stoppedVersion = 1
)

// Store is what the directory knows of a key: its present life, and whether that goes on. A key without a row has no life.
type Store struct {
	Life    Incarnation
	Created int64 // Unix nanoseconds

	// A halted store accepts nothing until it is resumed, or until another revision than HaltedBy is active (SEMANTICS S6, S7). HaltCode is empty when it is not.
	HaltCode   string
	HaltReason string
	HaltedAt   int64 // Unix nanoseconds
	HaltedBy   uint64

	// A parked store could not be adopted by the revision ParkedBy and waits for another (SEMANTICS D3). ParkedBy is 0 when it is not.
	ParkedBy   uint64
	ParkReason string
}

// Stopped reports whether the store is halted or parked; a revision may have ended that, which the row says at the next action only.
func (s *Store) Stopped() bool { return s.HaltCode != "" || s.ParkedBy != 0 }

// PutStore writes the row of a store that has none.
func PutStore(b *Batch, id StoreID, s *Store) {
	b.put(storeKey(id), s.encode())
	if s.Stopped() {
		b.put(stoppedKey(id), newWriter(stoppedVersion, 0).seal())
	}
}

// ChangeStore writes a store's row in the place of another one.
func ChangeStore(b *Batch, id StoreID, from, to *Store) {
	PutStore(b, id, to)
	if from.Stopped() && !to.Stopped() {
		b.Delete(stoppedKey(id))
	}
}

// DeleteStore removes a store's row and all that is kept of its life. A new life of the key starts at seq 1 with another incarnation
// (SEMANTICS S15).
func DeleteStore(b *Batch, id StoreID, life Incarnation) {
	b.Delete(storeKey(id))
	b.Delete(stoppedKey(id))
	DropLife(b, life)
}

// ReadStore returns a store's row, or an error that is [ErrNotFound].
func ReadStore(r Reader, id StoreID) (Store, error) {
	key := storeKey(id)
	value, err := r.Get(key)
	if err != nil {
		return Store{}, fmt.Errorf("read store %s: %w", id, err)
	}
	return decodeStore(key, value)
}

// Stores yields the rows of a module's stores with keys after the given one, in the order of their keys. It stops after an error.
func Stores(r Reader, module ModuleID, after string) iter.Seq2[StoreRow, error] {
	prefix := moduleKey(prefixStore, module)
	return func(yield func(StoreRow, error) bool) {
		// The key of the row just after another one is that with a zero byte behind it.
		lower := append(append(prefix[:len(prefix):len(prefix)], after...), 0)
		for row, err := range r.Rows(lower, PrefixEnd(prefix)) {
			var s StoreRow
			if err == nil {
				s.ID = StoreID{module.Tenant, module.Module, string(row.Key[len(prefix):])}
				s.Store, err = decodeStore(row.Key, row.Value)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// StoppedStores yields the rows of a module's stores that are halted or parked, in the order of their keys, without looking at the others. It stops after an error.
func StoppedStores(r Reader, module ModuleID) iter.Seq2[StoreRow, error] {
	prefix := moduleKey(prefixStopped, module)
	return func(yield func(StoreRow, error) bool) {
		for row, err := range r.Rows(prefix, PrefixEnd(prefix)) {
			var s StoreRow
			if err == nil {
				err = newReader("stopped store", stoppedVersion, row.Key, row.Value).close()
			}
			if err == nil {
				s.ID = StoreID{module.Tenant, module.Module, string(row.Key[len(prefix):])}
				s.Store, err = ReadStore(r, s.ID)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// StoreRow is a store with its name.
type StoreRow struct {
	ID StoreID
	Store
}

func (s *Store) encode() []byte {
	w := newWriter(storeVersion, 60+len(s.HaltCode)+len(s.HaltReason)+len(s.ParkReason))
	w.fixed(s.Life[:])
	w.u64(uint64(s.Created))
	w.text(s.HaltCode)
	w.text(s.HaltReason)
	w.u64(uint64(s.HaltedAt))
	w.u64(s.HaltedBy)
	w.u64(s.ParkedBy)
	w.text(s.ParkReason)
	return w.seal()
}

func decodeStore(key, value []byte) (Store, error) {
	r := newReader("store", storeVersion, key, value)
	var s Store
	r.fixed(s.Life[:])
	s.Created = int64(r.u64())
	s.HaltCode = r.text()
	s.HaltReason = r.text()
	s.HaltedAt = int64(r.u64())
	s.HaltedBy = r.u64()
	s.ParkedBy = r.u64()
	s.ParkReason = r.text()
	return s, r.close()
}
