// Package keyspacetest is a database for tests of what is written over package keyspace: it shows a batch before it is durable, and misbehaves when told to.
package keyspacetest

import (
	"bytes"
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/crhost/crhost/effects/keyspace"
)

// ErrCrashed says that the machine is off.
var ErrCrashed = errors.New("crashed")

// Disk is a database in memory. Its hooks are set before it is used.
type Disk struct {
	// Refuse is asked before a batch is written. Its error should be keyspace.ErrRefused.
	Refuse func(batch []keyspace.Write) error

	// Sync is called when a batch is visible and not yet durable; it may block. After an error the batch is lost, though it goes on being
	// visible, and the disk takes no others.
	Sync func(batch []keyspace.Write) error

	mu      sync.Mutex // guards what follows
	visible table
	durable table
	dead    error
}

var _ keyspace.DB = (*Disk)(nil)

// Get returns the value of a row; see keyspace.DB.
func (d *Disk) Get(key []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at, ok := d.visible.find(key); ok {
		return d.visible[at].Value, nil
	}
	return nil, keyspace.ErrNotFound
}

// Rows yields a range of rows, reading one at a time, so that it may see a part of what is applied meanwhile; see keyspace.DB.
func (d *Disk) Rows(lower, upper []byte) iter.Seq2[keyspace.Row, error] {
	return func(yield func(keyspace.Row, error) bool) {
		for from := lower; ; {
			d.mu.Lock()
			at, _ := d.visible.find(from)
			if at == len(d.visible) || bytes.Compare(d.visible[at].Key, upper) >= 0 {
				d.mu.Unlock()
				return
			}
			row := d.visible[at]
			d.mu.Unlock()
			if !yield(row, nil) {
				return
			}
			from = append(bytes.Clone(row.Key), 0)
		}
	}
}

// Apply writes a batch; see keyspace.DB.
func (d *Disk) Apply(batch []keyspace.Write) error {
	if d.Refuse != nil {
		if err := d.Refuse(batch); err != nil {
			return err
		}
	}
	d.mu.Lock()
	dead := d.dead
	if dead == nil {
		d.visible.write(batch)
	}
	d.mu.Unlock()
	if dead != nil {
		return dead
	}
	var err error
	if d.Sync != nil {
		err = d.Sync(batch)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead == nil && err != nil {
		d.dead = err
	}
	if d.dead == nil {
		d.durable.write(batch)
	}
	return d.dead
}

// Crash returns the disk as it is found after the power went out now, without hooks. The old one takes no more batches.
func (d *Disk) Crash() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = ErrCrashed
	return &Disk{visible: slices.Clone(d.durable), durable: slices.Clone(d.durable)}
}

// Flip changes the value of a row that is there, visible and durable.
func (d *Disk) Flip(key []byte, change func(value []byte) []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range []table{d.visible, d.durable} {
		if at, ok := t.find(key); ok {
			t[at].Value = change(bytes.Clone(t[at].Value))
		}
	}
}

// table is rows in order.
type table []keyspace.Row

func (t table) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(t, key, func(r keyspace.Row, key []byte) int { return bytes.Compare(r.Key, key) })
}

func (t *table) write(batch []keyspace.Write) {
	for _, w := range batch {
		at, found := t.find(w.Key)
		switch {
		case w.Delete && found:
			*t = slices.Delete(*t, at, at+1)
		case w.Delete:
		case found:
			(*t)[at].Value = w.Value
		default:
			*t = slices.Insert(*t, at, keyspace.Row{Key: w.Key, Value: w.Value})
		}
	}
}
