package memory

import (
	"cmp"
	"iter"
	"slices"

	"github.com/crhost/crhost/effects/projection"
)

// blockSize bounds a block: inserting moves at most this many rows, and a table of a million rows has some thousands of blocks.
const blockSize = 512

// table is sorted rows in sorted blocks, none of them empty.
type table struct {
	blocks [][]projection.Row
}

// find returns where a key is, or would be.
func (t *table) find(key string) (block, at int, found bool) {
	block, first := slices.BinarySearchFunc(t.blocks, key, func(b []projection.Row, key string) int { return cmp.Compare(b[0].Key, key) })
	if first || block == 0 {
		return block, 0, first
	}
	block--
	at, found = slices.BinarySearchFunc(t.blocks[block], key, func(r projection.Row, key string) int { return cmp.Compare(r.Key, key) })
	return block, at, found
}

func (t *table) get(key string) ([]byte, bool) {
	if block, at, found := t.find(key); found {
		return t.blocks[block][at].Value, true
	}
	return nil, false
}

func (t *table) set(key string, value []byte) {
	block, at, found := t.find(key)
	switch {
	case found:
		t.blocks[block][at].Value = value
	case len(t.blocks) == 0:
		t.blocks = [][]projection.Row{{{Key: key, Value: value}}}
	default:
		b := slices.Insert(t.blocks[block], at, projection.Row{Key: key, Value: value})
		t.blocks[block] = b
		if len(b) > blockSize {
			half := len(b) / 2
			t.blocks = slices.Insert(t.blocks, block+1, slices.Clone(b[half:]))
			clear(b[half:])
			t.blocks[block] = b[:half]
		}
	}
}

func (t *table) delete(key string) {
	block, at, found := t.find(key)
	if !found {
		return
	}
	t.blocks[block] = slices.Delete(t.blocks[block], at, at+1)
	if len(t.blocks[block]) == 0 {
		t.blocks = slices.Delete(t.blocks, block, block+1)
	}
}

// from yields the rows from a key on, ascending.
func (t *table) from(key string) iter.Seq[projection.Row] {
	return func(yield func(projection.Row) bool) {
		block, at, _ := t.find(key)
		for ; block < len(t.blocks); block, at = block+1, 0 {
			for _, row := range t.blocks[block][at:] {
				if !yield(row) {
					return
				}
			}
		}
	}
}
