package rows

import (
	"encoding/binary"
	"fmt"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/keyspace"
)

// What keys begin with; the table is in the package doc.
const (
	letter   = 'e'
	idLetter = 'i'

	kindEvent    = 'a'
	kindHead     = 'h'
	kindKept     = 'k'
	kindSnapshot = 'n'
	kindVersion  = 's'
)

// Format versions of values.
const (
	eventFormat    = 1
	placeFormat    = 1
	numberFormat   = 1
	snapshotFormat = 1
)

func eventKey(position uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 10), letter, kindEvent), position)
}

// streamKey is the key of the one row of a kind that a stream has.
func streamKey(kind byte, stream string) []byte {
	return append(append(make([]byte, 0, 2+len(stream)), letter, kind), stream...)
}

func versionKey(stream string, version uint64) []byte {
	k := append(make([]byte, 0, 2+len(stream)+1+8), letter, kindVersion)
	k = append(append(k, stream...), 0)
	return binary.BigEndian.AppendUint64(k, version)
}

// versionsEnd is above all versions of a stream.
func versionsEnd(stream string) []byte {
	k := append(make([]byte, 0, 2+len(stream)+1), letter, kindVersion)
	return append(append(k, stream...), 1) // no name goes on with a control character
}

func idKey(id string) []byte { return append(append(make([]byte, 0, 1+len(id)), idLetter), id...) }

// number is the last field of a key.
func number(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// encodeEvent makes an event's value, in which the place is still missing.
func encodeEvent(stream string, e *eventstore.Event) []byte {
	v := keyspace.NewValue(eventFormat, 8+8+8+4+5*4+len(stream)+len(e.ID)+len(e.Type)+len(e.Data)+len(e.Metadata))
	v.Uint64(0)
	v.Uint64(0)
	v.Uint64(uint64(e.Time))
	v.Uint32(e.Schema)
	v.Text(stream)
	v.Text(e.ID)
	v.Text(e.Type)
	v.Bytes(e.Data)
	v.Bytes(e.Metadata)
	return v.Unsealed()
}

// sealEvent puts the place into what encodeEvent made.
func sealEvent(b []byte, position, version uint64) []byte {
	binary.LittleEndian.PutUint64(b[1:], position)
	binary.LittleEndian.PutUint64(b[9:], version)
	return keyspace.Seal(b)
}

func decodeEvent(row keyspace.Row) (eventstore.Event, error) {
	f := keyspace.Open("event", eventFormat, row)
	e := eventstore.Event{Position: f.Uint64(), Version: f.Uint64(), Time: int64(f.Uint64()), Schema: f.Uint32()}
	e.Stream, e.ID, e.Type = f.Text(), f.Text(), f.Text()
	e.Data, e.Metadata = f.Bytes(), f.Bytes()
	if len(e.Metadata) == 0 {
		e.Metadata = nil
	}
	if at := number(row.Key); e.Position != at {
		f.Damaged(fmt.Sprintf("it says that it is at position %d", e.Position))
	}
	return e, f.Close()
}

// place is where an event is.
type place struct {
	stream            string
	version, position uint64 // 0: nowhere
}

func (p *place) encode() []byte {
	v := keyspace.NewValue(placeFormat, 8+8+4+len(p.stream))
	v.Uint64(p.position)
	v.Uint64(p.version)
	v.Text(p.stream)
	return v.Seal()
}

func decodePlace(row keyspace.Row) (p place, err error) {
	f := keyspace.Open("id", placeFormat, row)
	p.position, p.version, p.stream = f.Uint64(), f.Uint64(), f.Text()
	return p, f.Close()
}

func encodeNumber(n uint64) []byte {
	v := keyspace.NewValue(numberFormat, 8)
	v.Uint64(n)
	return v.Seal()
}

func decodeNumber(what string, row keyspace.Row) (uint64, error) {
	f := keyspace.Open(what, numberFormat, row)
	n := f.Uint64()
	return n, f.Close()
}

func encodeSnapshot(s eventstore.Snapshot) []byte {
	v := keyspace.NewValue(snapshotFormat, 8+4+len(s.Data))
	v.Uint64(s.Version)
	v.Bytes(s.Data)
	return v.Seal()
}

func decodeSnapshot(row keyspace.Row) (s eventstore.Snapshot, err error) {
	f := keyspace.Open("snapshot", snapshotFormat, row)
	s.Version, s.Data = f.Uint64(), f.Bytes()
	return s, f.Close()
}
