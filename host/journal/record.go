package journal

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Kind says what a record is.
type Kind uint8

const (
	KindAction Kind = iota + 1 // an accepted action
	KindAdopt                  // an accepted action, before which the record's revision adopted the store from State
)

// Cause says where an action came from.
type Cause uint8

const (
	CauseCommand  Cause = iota + 1 // a caller outside
	CauseFeedback                  // the outcome of an effect
	CauseTimer                     // a delay that ended
	CauseDispatch                  // another store
)

// recordVersion is the format that AppendTo writes:
//
//	 0  u8   format version, 1
//	 1  u8   kind
//	 2  u8   cause
//	 3  u8   zero
//	 4  u32  state schema
//	 8  16   incarnation
//	24  u64  seq
//	32  i64  time, Unix nanoseconds
//	40  16   seed
//	56  u64  revision
//	64  u64  fuel
//	72  u64  XXH64 of the effects
//	80  u16  action index
//	82  u16  zero
//	84  u32  length of the action
//	88  u32  length of meta
//	92  u32  length of the effects
//	96  u32  length of the state, 0 unless the kind is adopt
//	100      action, meta, effects, state
//	end u64  XXH64 of all before it
const (
	recordVersion = 1
	recordHeader  = 100
	checksumSize  = 8
)

// Record is one accepted action: all that is needed to reduce it again and to see that the outcome is the same (SEMANTICS S8).
type Record struct {
	Kind        Kind
	Cause       Cause
	Schema      uint32 // of the state after the action
	Life        Incarnation
	Seq         uint64   // 1, 2, 3, ...
	Time        int64    // the env's now: Unix nanoseconds, never less than the record's before
	Seed        [16]byte // the env's seed
	Revision    uint64   // number of the module's revision that reduced it
	Fuel        uint64   // used by the action
	EffectsHash uint64   // HashEffects(Effects); set by decoding, computed by encoding
	ActionIndex uint16   // in the manifest of Revision
	Action      []byte
	Meta        []byte
	Effects     []byte
	State       []byte // KindAdopt: the whole state, encoded by Revision, that Action was reduced on
}

// HashEffects is the hash that a record keeps of its effects, to be compared in each rebuild: XXH64.
func HashEffects(effects []byte) uint64 { return xxhash.Sum64(effects) }

// Size returns the length of the encoded record in bytes.
func (r *Record) Size() int {
	return recordHeader + len(r.Action) + len(r.Meta) + len(r.Effects) + len(r.State) + checksumSize
}

// Encode returns the record's bytes in a slice of their own.
func (r *Record) Encode() []byte {
	return r.AppendTo(make([]byte, 0, r.Size()))
}

// AppendTo appends the record's bytes to dst. Parts are shorter than 4 GiB.
func (r *Record) AppendTo(dst []byte) []byte {
	start := len(dst)
	dst = slices.Grow(dst, r.Size())[:start+recordHeader]
	h := dst[start:]
	h[0], h[1], h[2], h[3] = recordVersion, byte(r.Kind), byte(r.Cause), 0
	le := binary.LittleEndian
	le.PutUint32(h[4:], r.Schema)
	copy(h[8:], r.Life[:])
	le.PutUint64(h[24:], r.Seq)
	le.PutUint64(h[32:], uint64(r.Time))
	copy(h[40:], r.Seed[:])
	le.PutUint64(h[56:], r.Revision)
	le.PutUint64(h[64:], r.Fuel)
	le.PutUint64(h[72:], HashEffects(r.Effects))
	le.PutUint16(h[80:], r.ActionIndex)
	le.PutUint16(h[82:], 0)
	le.PutUint32(h[84:], uint32(len(r.Action)))
	le.PutUint32(h[88:], uint32(len(r.Meta)))
	le.PutUint32(h[92:], uint32(len(r.Effects)))
	le.PutUint32(h[96:], uint32(len(r.State)))
	dst = append(dst, r.Action...)
	dst = append(dst, r.Meta...)
	dst = append(dst, r.Effects...)
	dst = append(dst, r.State...)
	return le.AppendUint64(dst, xxhash.Sum64(dst[start:]))
}

// Decode reads the record that was kept of a life under a seq. Its byte slices alias b. The error is a [*CorruptError] or a [*FormatError];
// the record's content is then undefined.
func (r *Record) Decode(life Incarnation, seq uint64, b []byte) error {
	damaged := func(offset int, format string, args ...any) error {
		return &CorruptError{What: "record", Life: life, Seq: seq, Offset: offset, Reason: fmt.Sprintf(format, args...)}
	}
	if len(b) < recordHeader+checksumSize {
		return damaged(len(b), "%d bytes, fewer than the shortest record", len(b))
	}
	if b[0] != recordVersion {
		return &FormatError{What: "record", Version: b[0]}
	}
	le := binary.LittleEndian
	end := len(b) - checksumSize
	if le.Uint64(b[end:]) != xxhash.Sum64(b[:end]) {
		return damaged(end, "checksum differs")
	}
	*r = Record{
		Kind:        Kind(b[1]),
		Cause:       Cause(b[2]),
		Schema:      le.Uint32(b[4:]),
		Life:        Incarnation(b[8:24]),
		Seq:         le.Uint64(b[24:]),
		Time:        int64(le.Uint64(b[32:])),
		Seed:        [16]byte(b[40:56]),
		Revision:    le.Uint64(b[56:]),
		Fuel:        le.Uint64(b[64:]),
		EffectsHash: le.Uint64(b[72:]),
		ActionIndex: le.Uint16(b[80:]),
	}
	switch {
	case r.Kind != KindAction && r.Kind != KindAdopt:
		return damaged(1, "kind %d", r.Kind)
	case r.Cause < CauseCommand || r.Cause > CauseDispatch:
		return damaged(2, "cause %d", r.Cause)
	case b[3] != 0:
		return damaged(3, "reserved byte %d", b[3])
	case r.Life != life:
		return damaged(8, "it is of life %s", r.Life)
	case r.Seq != seq:
		return damaged(24, "it has seq %d", r.Seq)
	case le.Uint16(b[82:]) != 0:
		return damaged(82, "reserved bytes %d", le.Uint16(b[82:]))
	}
	rest := b[recordHeader:end]
	for i, part := range [...]*[]byte{&r.Action, &r.Meta, &r.Effects, &r.State} {
		n := uint64(le.Uint32(b[84+4*i:]))
		if n > uint64(len(rest)) {
			return damaged(84+4*i, "length %d with %d bytes left", n, len(rest))
		}
		*part, rest = rest[:n:n], rest[n:]
	}
	switch {
	case len(rest) != 0:
		return damaged(end-len(rest), "%d bytes too many", len(rest))
	case r.Kind == KindAction && len(r.State) != 0:
		return damaged(96, "a state in a record that adopts nothing")
	case r.EffectsHash != HashEffects(r.Effects):
		return damaged(72, "hash of the effects differs")
	}
	return nil
}

// Records yields the records of a life with from <= seq <= to, decoded and checked, ascending. The record is reused: it is valid until the
// next one, the slices in it for ever. A log that was trimmed yields from its first record on; a gap after that is an error, as is damage,
// which ends it.
func Records(r Reader, life Incarnation, from, to uint64) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		var record Record
		next := uint64(0)
		for e, err := range r.Records(life, from, to) {
			if err == nil && next != 0 && e.Seq != next {
				err = &CorruptError{What: "log", Life: life, Seq: next, Reason: fmt.Sprintf("followed by seq %d", e.Seq)}
			}
			if err == nil {
				err = record.Decode(life, e.Seq, e.Bytes)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(&record, nil) {
				return
			}
			next = e.Seq + 1
		}
	}
}
