package rows

import (
	"bytes"
	"encoding/binary"

	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/projection"
)

// What keys begin with; the table is in the package doc.
const (
	letter = 'p'

	kindDropped = 'd'
	kindModel   = 'm'
	kindRow     = 'r'
)

// Format versions of values.
const (
	modelFormat   = 1
	rowFormat     = 1
	droppedFormat = 1
)

func modelKey(name string) []byte { return append([]byte{letter, kindModel}, name...) }

// buildKey is the key of a build that is dropped, and begins the keys of a build's rows.
func buildKey(kind byte, name string, build uint64) []byte {
	k := append(make([]byte, 0, 2+len(name)+1+8), letter, kind)
	k = append(append(k, name...), 0)
	return binary.BigEndian.AppendUint64(k, build)
}

func rowKey(name string, build uint64, key string) []byte {
	return append(buildKey(kindRow, name, build), key...)
}

// splitDropped takes name and build out of the key of a dropped build.
func splitDropped(key []byte) (name string, build uint64, err error) {
	text, rest, ok := bytes.Cut(key[2:], []byte{0})
	if !ok || len(rest) != 8 {
		return "", 0, &keyspace.CorruptError{What: "dropped build", Key: key, Reason: "its key has no name and build"}
	}
	return string(text), binary.BigEndian.Uint64(rest), nil
}

// state is what there is of a read model.
type state struct {
	projection.Builds
	last uint64 // the ID given last
}

func (s *state) encode() []byte {
	v := keyspace.NewValue(modelFormat, 5*8)
	for _, n := range []uint64{s.Live.ID, s.Live.Checkpoint, s.Next.ID, s.Next.Checkpoint, s.last} {
		v.Uint64(n)
	}
	return v.Seal()
}

func decodeState(row keyspace.Row) (s state, err error) {
	f := keyspace.Open("read model", modelFormat, row)
	for _, n := range []*uint64{&s.Live.ID, &s.Live.Checkpoint, &s.Next.ID, &s.Next.Checkpoint, &s.last} {
		*n = f.Uint64()
	}
	return s, f.Close()
}

// find returns the build that is at a checkpoint, nil if there is none.
func (s *state) find(at projection.Build) *projection.Build {
	switch {
	case s.Live == at:
		return &s.Live
	case s.Next.ID != 0 && s.Next == at:
		return &s.Next
	}
	return nil
}

func encodeRow(value []byte) []byte {
	v := keyspace.NewValue(rowFormat, len(value))
	v.Raw(value)
	return v.Seal()
}

// decodeRow returns a value that is never nil.
func decodeRow(row keyspace.Row) ([]byte, error) {
	f := keyspace.Open("row", rowFormat, row)
	value := f.Rest()
	return value, f.Close()
}

func encodeDropped() []byte { return keyspace.NewValue(droppedFormat, 0).Seal() }

func decodeDropped(row keyspace.Row) error {
	return keyspace.Open("dropped build", droppedFormat, row).Close()
}
