// Package feed fans the durable actions of one store out to its subscribers.
//
// A [Feed] is one bounded ring of records, shared by all subscribers of a store; a [Cursor] is a place in it. A cursor first reads history up to where the
// ring begins and then drains the ring. It never holds anything back: a cursor that falls out of the ring, or starts before what history
// keeps, is told of the gap and goes on after it.
//
//	Join(from)          history                        ring
//	   |  from <= first of the ring   +----------------+----------------+
//	   +----------------------------> | Entries(...)   | Publish pushes | --> Next
//	                                  +----------------+----------------+
//	                                    missing: Gap      overtaken: Gap
//
// All methods may be called from many goroutines, but a cursor serves one at a time. Without subscribers Publish is one atomic load.
package feed

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/crhost/crhost/host/journal"
)

// ErrClosed ends cursors whose feed was closed without another reason.
var ErrClosed = errors.New("feed closed")

// History reads durable records that the ring does not hold (any more).
type History func(from, to uint64) iter.Seq2[journal.Entry, error]

// Feed is the fan-out of one store.
type Feed struct {
	history History
	cursors atomic.Int32

	mu     sync.Mutex // guards what follows
	ring   []journal.Entry
	first  int           // index of the oldest entry, when the ring is full
	last   uint64        // seq of the newest action published or, before any, durable when the first of the present cursors joined
	wake   chan struct{} // closed when there is news; nil while nobody waits
	closed error
}

// New returns a feed whose ring holds size records.
func New(size int, history History) *Feed {
	return &Feed{history: history, ring: make([]journal.Entry, 0, size)}
}

// Listened reports whether there is a subscriber.
func (f *Feed) Listened() bool { return f.cursors.Load() > 0 }

// Cursors is how many subscribers there are.
func (f *Feed) Cursors() int { return int(f.cursors.Load()) }

// Publish tells subscribers of an action that has become durable; without Bytes it is not to be had any more, and they get a gap. Calls are in the order of seqs,
// without gaps while Listened.
func (f *Feed) Publish(e journal.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed != nil || e.Seq <= f.last {
		return
	}
	if e.Bytes == nil {
		f.empty(e.Seq)
		f.rouse()
		return
	}
	if len(f.ring) < cap(f.ring) {
		f.ring = append(f.ring, e)
	} else {
		f.ring[f.first] = e
		f.first = (f.first + 1) % len(f.ring)
	}
	f.last = e.Seq
	f.rouse()
}

// empty lets go of all records, up to seq last.
//
// REQUIRES: mu is held.
func (f *Feed) empty(last uint64) {
	clear(f.ring)
	f.ring, f.first, f.last = f.ring[:0], 0, last
}

// Close ends all cursors with err once they have drained the ring; nil means ErrClosed.
func (f *Feed) Close(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed != nil {
		return
	}
	if f.closed = err; err == nil {
		f.closed = ErrClosed
	}
	f.rouse()
}

func (f *Feed) rouse() {
	if f.wake != nil {
		close(f.wake)
		f.wake = nil
	}
}

// Join returns a cursor on the actions from seq from on; 0 means those after the newest durable one, which durable tells. The cursor must be closed.
func (f *Feed) Join(from uint64, durable func() uint64) *Cursor {
	f.mu.Lock()
	defer f.mu.Unlock()
	// The order matters: what becomes durable after durable is asked is published, as the feed listens by then.
	alone := f.cursors.Add(1) == 1
	newest := durable()
	if alone {
		f.empty(newest)
	}
	if from == 0 {
		from = newest + 1
	}
	return &Cursor{feed: f, next: from, joined: from > newest}
}

// Gap is a range of actions, both ends included, that a subscriber does not get.
type Gap struct{ From, To uint64 }

// Item is an action or, when Record is nil, a gap.
type Item struct {
	Seq    uint64
	Record []byte
	Gap    Gap
}

// Cursor is one subscriber's place.
type Cursor struct {
	feed    *Feed
	next    uint64
	backlog []journal.Entry // read from history, not yet given out
	joined  bool            // it has reached the ring: history is over
	ended   bool
}

// Close gives the place up. It may be called twice.
func (c *Cursor) Close() {
	if !c.ended {
		c.ended = true
		c.feed.cursors.Add(-1)
	}
}

// Next returns the next action or gap, waiting for it if need be. Errors: the cause of ctx, what the feed was closed with, ErrClosed after Close, or what history says.
func (c *Cursor) Next(ctx context.Context) (Item, error) {
	for {
		item, wake, err := c.poll()
		if err != nil || wake == nil {
			return item, err
		}
		select {
		case <-ctx.Done():
			return Item{}, context.Cause(ctx)
		case <-wake:
		}
	}
}

// TryNext is Next without waiting: ok is false when there is nothing now.
func (c *Cursor) TryNext() (item Item, ok bool, err error) {
	item, wake, err := c.poll()
	return item, err == nil && wake == nil, err
}

// historyChunk is how many records a cursor reads from history at a time, at most.
const historyChunk = 256

// poll returns the next item, or what to wait for.
func (c *Cursor) poll() (Item, <-chan struct{}, error) {
	if c.ended {
		return Item{}, nil, ErrClosed
	}
	if len(c.backlog) > 0 {
		return c.give(), nil, nil
	}
	f := c.feed
	f.mu.Lock()
	first := f.last + 1 - uint64(len(f.ring)) // seq of the oldest entry in the ring
	switch {
	case c.next > f.last:
		c.joined = true
		if f.closed != nil {
			f.mu.Unlock()
			return Item{}, nil, f.closed
		}
		if f.wake == nil {
			f.wake = make(chan struct{})
		}
		wake := f.wake
		f.mu.Unlock()
		return Item{}, wake, nil
	case c.next >= first:
		c.joined = true
		e := f.ring[(f.first+int(c.next-first))%len(f.ring)]
		f.mu.Unlock()
		c.next++
		return Item{Seq: e.Seq, Record: e.Bytes}, nil, nil
	}
	f.mu.Unlock()
	if c.joined {
		return c.skip(first - 1), nil, nil
	}
	if err := c.read(first - 1); err != nil {
		return Item{}, nil, err
	}
	if len(c.backlog) == 0 {
		return c.skip(first - 1), nil, nil
	}
	return c.give(), nil, nil
}

// read fills the backlog with what history has next, up to seq to.
func (c *Cursor) read(to uint64) error {
	for e, err := range c.feed.history(c.next, to) {
		if err != nil {
			return err
		}
		if c.backlog = append(c.backlog, e); len(c.backlog) == historyChunk {
			break
		}
	}
	return nil
}

// give returns the first of the backlog, or the gap before it.
func (c *Cursor) give() Item {
	e := c.backlog[0]
	if e.Seq > c.next {
		return c.skip(e.Seq - 1)
	}
	c.backlog = c.backlog[1:]
	c.next = e.Seq + 1
	return Item{Seq: e.Seq, Record: e.Bytes}
}

func (c *Cursor) skip(to uint64) Item {
	gap := Gap{From: c.next, To: to}
	c.next = to + 1
	return Item{Gap: gap}
}
