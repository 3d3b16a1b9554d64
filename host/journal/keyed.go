package journal

import (
	"encoding/binary"
	"fmt"
	"iter"
)

const (
	keyedVersion    = 1
	keyedSeqVersion = 1
)

// Keyed is what is remembered of an action that its caller gave an idempotency key: enough to answer a repeat as the first one was (SEMANTICS S12).
type Keyed struct {
	Seq         uint64
	Time        int64    // of the action, Unix nanoseconds
	Hash        [16]byte // of the action's bytes
	Revision    string   // id of the revision that reduced it
	Correlation string
}

// The rows of a key, by the letter behind the life.
const (
	keyedRow    = 'k' // key: Keyed
	keyedSeqRow = 's' // seq: the key, so that the oldest ones are found
)

// MaxKeyBytes bounds a caller's key.
const MaxKeyBytes = 256

func keyedPrefix(id ModuleID, life Incarnation, row byte) []byte {
	return append(append(moduleKey(prefixKeyed, id), life[:]...), row)
}

func keyedKey(id ModuleID, life Incarnation, key string) []byte {
	return append(keyedPrefix(id, life, keyedRow), key...)
}

func keyedSeqKey(id ModuleID, life Incarnation, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(keyedPrefix(id, life, keyedSeqRow), seq)
}

// PutKeyed remembers an action under its caller's key. To be in the batch of the action.
func PutKeyed(b *Batch, id ModuleID, life Incarnation, key string, k *Keyed) {
	w := newWriter(keyedVersion, 40+len(k.Revision)+len(k.Correlation))
	w.u64(k.Seq)
	w.u64(uint64(k.Time))
	w.fixed(k.Hash[:])
	w.text(k.Revision)
	w.text(k.Correlation)
	b.put(keyedKey(id, life, key), w.seal())
	w = newWriter(keyedSeqVersion, 4+len(key))
	w.text(key)
	b.put(keyedSeqKey(id, life, k.Seq), w.seal())
}

// ReadKeyed returns what is remembered under a key, or an error that is [ErrNotFound].
func ReadKeyed(r Reader, id ModuleID, life Incarnation, key string) (Keyed, error) {
	at := keyedKey(id, life, key)
	value, err := r.Get(at)
	if err != nil {
		return Keyed{}, fmt.Errorf("read key %q: %w", key, err)
	}
	return decodeKeyed(at, value)
}

func decodeKeyed(key, value []byte) (Keyed, error) {
	r := newReader("caller's key", keyedVersion, key, value)
	k := Keyed{Seq: r.u64(), Time: int64(r.u64())}
	r.fixed(k.Hash[:])
	k.Revision, k.Correlation = r.text(), r.text()
	return k, r.close()
}

// KeyedSeq is the seq of an action with the key that its caller gave.
type KeyedSeq struct {
	Seq uint64
	Key string
}

// KeyedSeqs yields what was remembered of a life, by seq from the given one on. It stops after an error.
func KeyedSeqs(r Reader, id ModuleID, life Incarnation, from uint64) iter.Seq2[KeyedSeq, error] {
	prefix := keyedPrefix(id, life, keyedSeqRow)
	return func(yield func(KeyedSeq, error) bool) {
		for row, err := range r.Rows(keyedSeqKey(id, life, from), PrefixEnd(prefix)) {
			var k KeyedSeq
			if err == nil {
				k, err = decodeKeyedSeq(row.Key, row.Value, len(prefix))
			}
			if !yield(k, err) || err != nil {
				return
			}
		}
	}
}

func decodeKeyedSeq(key, value []byte, prefix int) (KeyedSeq, error) {
	if len(key) != prefix+8 {
		return KeyedSeq{}, &CorruptError{What: "seq of a caller's key", Key: fmt.Sprintf("%q", key), Reason: "key holds no seq"}
	}
	r := newReader("seq of a caller's key", keyedSeqVersion, key, value)
	k := KeyedSeq{Seq: binary.BigEndian.Uint64(key[prefix:]), Key: r.text()}
	return k, r.close()
}

// DeleteKeyed removes what is remembered of an action.
func DeleteKeyed(b *Batch, id ModuleID, life Incarnation, k KeyedSeq) {
	b.Delete(keyedSeqKey(id, life, k.Seq))
	b.Delete(keyedKey(id, life, k.Key))
}

// DeleteKeyedSeq removes that an action had a key, which a later one has now.
func DeleteKeyedSeq(b *Batch, id ModuleID, life Incarnation, seq uint64) {
	b.Delete(keyedSeqKey(id, life, seq))
}

// DropKeyed removes all that is remembered of a life.
func DropKeyed(r Reader, b *Batch, id ModuleID, life Incarnation) error {
	prefix := keyedPrefix(id, life, keyedRow)
	prefix = prefix[:len(prefix)-1]
	for row, err := range r.Rows(prefix, PrefixEnd(prefix)) {
		if err != nil {
			return err
		}
		b.Delete(row.Key)
	}
	return nil
}
