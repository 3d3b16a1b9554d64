// Package keyspace is what stores of effects need of a database: rows in the order of their keys, and batches that are durable whole or not at all.
//
// Event stores and read models that live in somebody's database are written over [DB], so that they know neither the database nor who owns it. The
// owner gives each of them keys that begin with a letter of its own (the host lists them in package journal), and so do they to what they keep.
//
// What they keep are values made by [Value] and read by [Fields]: a format version first, fields, and an XXH64 of all bytes before it at the end. A
// reader refuses versions that it does not know ([ErrFormat]) and bytes that do not add up ([ErrCorrupt]); it never guesses.
package keyspace

import (
	"errors"
	"fmt"
	"iter"
)

var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("row not found")

	// ErrRefused: a batch was not written, and the database knows it. The same batch may succeed later.
	ErrRefused = errors.New("batch refused")

	// ErrCorrupt: kept bytes are not what was written. See [CorruptError].
	ErrCorrupt = errors.New("corrupt")

	// ErrFormat: kept bytes have a format version that this program does not know; a newer one wrote them. See [FormatError].
	ErrFormat = errors.New("unknown format")
)

// Row is a key and its value. Neither may be changed.
type Row struct {
	Key, Value []byte
}

// Write is one change of a batch. The bytes belong to the database from then on and must not change.
type Write struct {
	Key, Value []byte
	Delete     bool
}

// DB is an ordered key space. All methods may be called from many goroutines; bytes that they return stay valid.
//
// A batch may be visible before it is durable, and while Apply writes it a scan may see it or not. Who must not show what a crash takes back cuts
// what it reads.
type DB interface {
	// Get returns the value of a row, or an error that is [ErrNotFound].
	Get(key []byte) ([]byte, error)

	// Rows yields the rows with lower <= key < upper, ascending. It stops after an error.
	Rows(lower, upper []byte) iter.Seq2[Row, error]

	// Apply makes a batch durable, whole or not at all, before it returns; of two writes to a row the later wins. An error that is
	// [ErrRefused] means that nothing was written. After any other it is unknown what was, and so it stays: whoever wants to know opens the database anew.
	Apply(batch []Write) error
}

// CorruptError says which kept bytes are damaged. It is [ErrCorrupt].
type CorruptError struct {
	What   string // "event", "row", ...
	Key    []byte
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s %q: %v: %s", e.What, e.Key, ErrCorrupt, e.Reason)
}

// Is reports that the error is ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// FormatError names a format version that is not known. It is [ErrFormat].
type FormatError struct {
	What    string
	Version uint8
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: %v version %d: written by a newer version of this program", e.What, ErrFormat, e.Version)
}

// Is reports that the error is ErrFormat.
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// PrefixEnd returns the smallest key above all that begin with prefix, to be the upper bound of a scan.
//
// REQUIRES: prefix has a byte below 0xff, as all that begin with a letter have.
func PrefixEnd(prefix []byte) []byte {
	n := len(prefix)
	for prefix[n-1] == 0xff {
		n--
	}
	end := append([]byte(nil), prefix[:n]...)
	end[n-1]++
	return end
}
