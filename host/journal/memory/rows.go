package memory

import (
	"bytes"
	"iter"
	"slices"

	"github.com/crhost/crhost/host/journal"
)

// blockSize bounds a block: inserting moves at most this many rows, and a table of a million rows has some thousands of blocks.
const blockSize = 512

// rowTable is sorted rows in sorted blocks, none of them empty. A B-tree of two levels: a third would pay from some ten million rows on.
type rowTable struct {
	blocks [][]journal.Row
}

// find returns where a key is, or would be.
func (t *rowTable) find(key []byte) (block, at int, found bool) {
	block, first := slices.BinarySearchFunc(t.blocks, key, func(b []journal.Row, key []byte) int { return bytes.Compare(b[0].Key, key) })
	if first {
		return block, 0, true
	}
	if block == 0 {
		return 0, 0, false
	}
	block--
	at, found = slices.BinarySearchFunc(t.blocks[block], key, func(r journal.Row, key []byte) int { return bytes.Compare(r.Key, key) })
	return block, at, found
}

func (t *rowTable) write(w *journal.RowWrite) {
	block, at, found := t.find(w.Key)
	switch {
	case w.Delete && !found:
	case w.Delete:
		t.blocks[block] = slices.Delete(t.blocks[block], at, at+1)
		if len(t.blocks[block]) == 0 {
			t.blocks = slices.Delete(t.blocks, block, block+1)
		}
	case found:
		t.blocks[block][at].Value = w.Value
	case len(t.blocks) == 0:
		t.blocks = [][]journal.Row{{{Key: w.Key, Value: w.Value}}}
	default:
		b := slices.Insert(t.blocks[block], at, journal.Row{Key: w.Key, Value: w.Value})
		t.blocks[block] = b
		if len(b) > blockSize {
			half := len(b) / 2
			t.blocks = slices.Insert(t.blocks, block+1, slices.Clone(b[half:]))
			clear(b[half:])
			t.blocks[block] = b[:half]
		}
	}
}

func (t *rowTable) clone() rowTable {
	c := rowTable{blocks: make([][]journal.Row, len(t.blocks))}
	for i, b := range t.blocks {
		c.blocks[i] = slices.Clone(b)
	}
	return c
}

// Get returns a row's value; see journal.Reader.
func (t *tables) Get(key []byte) ([]byte, error) {
	t.rowsMu.Lock()
	defer t.rowsMu.Unlock()
	if t.closed != nil {
		return nil, t.closed
	}
	block, at, found := t.rows.find(key)
	if !found {
		return nil, journal.ErrNotFound
	}
	return t.rows.blocks[block][at].Value, nil
}

// Rows yields a range of rows; see journal.Reader.
func (t *tables) Rows(lower, upper []byte) iter.Seq2[journal.Row, error] {
	return func(yield func(journal.Row, error) bool) {
		var found [scanned]journal.Row
		from := lower
		for {
			t.rowsMu.Lock()
			err, n := t.closed, 0
			if err == nil {
				n = t.rows.scan(from, upper, found[:])
			}
			t.rowsMu.Unlock()
			if err != nil {
				yield(journal.Row{}, err)
				return
			}
			for _, r := range found[:n] {
				if !yield(r, nil) {
					return
				}
			}
			if n < scanned {
				return
			}
			from = append(bytes.Clone(found[n-1].Key), 0) // the smallest key behind it
		}
	}
}

// scan fills dst with rows from lower on and below upper, and returns how many.
func (t *rowTable) scan(lower, upper []byte, dst []journal.Row) (n int) {
	block, at, _ := t.find(lower)
	for ; block < len(t.blocks); block, at = block+1, 0 {
		for _, r := range t.blocks[block][at:] {
			if n == len(dst) || upper != nil && bytes.Compare(r.Key, upper) >= 0 {
				return n
			}
			dst[n] = r
			n++
		}
	}
	return n
}
