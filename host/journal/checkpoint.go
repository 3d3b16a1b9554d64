package journal

import (
	"fmt"
)

const checkpointVersion = 1

// Checkpoint is the encoded state of a life after the record Seq. From it and the records that follow the state can be rebuilt (SEMANTICS S9).
type Checkpoint struct {
	Seq      uint64
	Revision uint64 // number of the revision that encoded State
	Schema   uint32
	Time     int64 // of the record Seq, Unix nanoseconds: the env's now never goes back behind it
	State    []byte
}

// PutCheckpoint makes a checkpoint the newest of a life and the records up to it history. To be enqueued behind the record it includes.
func PutCheckpoint(b *Batch, life Incarnation, c *Checkpoint) {
	b.put(checkpointKey(life), c.encode())
	b.Release(life, c.Seq)
}

// ReadCheckpoint returns the newest checkpoint of a life, or an error that is [ErrNotFound]. State belongs to the journal.
func ReadCheckpoint(r Reader, life Incarnation) (Checkpoint, error) {
	key := checkpointKey(life)
	value, err := r.Get(key)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("read checkpoint %s: %w", life, err)
	}
	return decodeCheckpoint(key, value)
}

// DropLife removes all that is kept of a life: its log and its checkpoint.
func DropLife(b *Batch, life Incarnation) {
	b.Drop(life)
	b.Delete(checkpointKey(life))
}

func (c *Checkpoint) encode() []byte {
	w := newWriter(checkpointVersion, 32+len(c.State))
	w.u64(c.Seq)
	w.u64(c.Revision)
	w.u32(c.Schema)
	w.u64(uint64(c.Time))
	w.bytes(c.State)
	return w.seal()
}

func decodeCheckpoint(key, value []byte) (Checkpoint, error) {
	r := newReader("checkpoint", checkpointVersion, key, value)
	c := Checkpoint{Seq: r.u64(), Revision: r.u64(), Schema: r.u32(), Time: int64(r.u64()), State: r.bytes()}
	return c, r.close()
}
