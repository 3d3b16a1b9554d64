package pebble

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/crhost/crhost/host/journal"
)

// The letter of this package, and the next one.
const (
	letter = 'l'
	after  = letter + 1
)

// layoutVersion is raised whenever an older program would misread what this one writes.
const layoutVersion = 1

// recordKey is the key of a record. Keys of a log sort by seq.
type recordKey [1 + len(journal.Incarnation{}) + 8]byte

func keyOf(life journal.Incarnation, seq uint64) (k recordKey) {
	k[0] = letter
	copy(k[1:], life[:])
	binary.BigEndian.PutUint64(k[1+len(life):], seq)
	return k
}

// logEnd is the smallest key above all records of a life.
func logEnd(life journal.Incarnation) []byte {
	k := keyOf(life, 0)
	return journal.PrefixEnd(k[:1+len(life)])
}

// seqOf takes the seq out of a record's key.
func seqOf(key []byte) (uint64, error) {
	if len(key) != len(recordKey{}) {
		return 0, &journal.CorruptError{What: "log", Key: fmt.Sprintf("%q", key), Reason: "key of a record with another length"}
	}
	return binary.BigEndian.Uint64(key[len(key)-8:]), nil
}

// layoutKey holds the version of the layout: one byte and its XXH64.
var layoutKey = []byte{letter}

func encodeLayout(version uint8) []byte {
	return binary.LittleEndian.AppendUint64([]byte{version}, xxhash.Sum64([]byte{version}))
}

func checkLayout(value []byte) error {
	const what = "journal layout"
	switch {
	case len(value) > 0 && value[0] > layoutVersion:
		return &journal.FormatError{What: what, Version: value[0]}
	case string(value) != string(encodeLayout(layoutVersion)):
		return &journal.CorruptError{What: what, Key: fmt.Sprintf("%q", layoutKey), Reason: fmt.Sprintf("value % x", value)}
	}
	return nil
}
