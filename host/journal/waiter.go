package journal

import (
	"context"
	"sort"
)

// waiter is a caller blocked until its position is settled or it is told to lead. It is signalled once, after it left the queue.
type waiter struct {
	position Position
	signal   chan struct{} // holds one
	lead     bool          // set before the signal
	next     *waiter
}

// queue is a list of waiters, first come first.
type queue struct {
	head, tail *waiter
}

func (q *queue) push(w *waiter) {
	w.next = nil
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
}

func (q *queue) pop() *waiter {
	w := q.head
	if w != nil {
		q.head = w.next
		if q.head == nil {
			q.tail = nil
		}
	}
	return w
}

// takeUpTo moves out those who wait for p or an earlier position.
func (q *queue) takeUpTo(p Position) (taken queue) {
	var kept queue
	for w := q.pop(); w != nil; w = q.pop() {
		if w.position <= p {
			taken.push(w)
		} else {
			kept.push(w)
		}
	}
	*q = kept
	return taken
}

// remove reports whether the waiter was still queued.
func (q *queue) remove(w *waiter) bool {
	var kept queue
	found := false
	for o := q.pop(); o != nil; o = q.pop() {
		if o == w {
			found = true
		} else {
			kept.push(o)
		}
	}
	*q = kept
	return found
}

// wake signals all. Done without the committer's lock: waking is what costs most in a full round.
func (q *queue) wake() {
	for w := q.head; w != nil; {
		next := w.next // before the signal, which gives the waiter back to its caller
		w.signal <- struct{}{}
		w = next
	}
}

// follow waits behind another leader.
//
// REQUIRES: mu is held, and released on return.
func (c *Committer) follow(ctx context.Context, p Position) error {
	w := c.free
	if w == nil {
		// Waiters belong to their committer, not to a process-wide pool: a channel must not leave its synctest bubble.
		w = &waiter{signal: make(chan struct{}, 1)}
	} else {
		c.free = w.next
	}
	w.position, w.lead = p, false
	c.waiting.push(w)
	c.mu.Unlock()

	select {
	case <-w.signal:
		c.mu.Lock()
	case <-ctx.Done():
		c.mu.Lock()
		c.orphans = max(c.orphans, p)
		if c.waiting.remove(w) {
			c.recycle(w)
			c.mu.Unlock()
			return context.Cause(ctx)
		}
		// Settled or told to lead in the same moment; the signal comes without the lock.
		c.mu.Unlock()
		<-w.signal
		c.mu.Lock()
	}
	lead := w.lead
	c.recycle(w)
	if lead {
		return c.lead()
	}
	_, err := c.outcome(p)
	c.mu.Unlock()
	return err
}

func (c *Committer) recycle(w *waiter) {
	w.next = c.free
	c.free = w
}

// failure is a stretch of positions that failed.
type failure struct {
	from, to Position
	err      *FailedError
}

// failTo stretches the newest failure to p.
func (c *Committer) failTo(p Position) {
	c.failures[len(c.failures)-1].to = p
	c.failed.Store(uint64(p))
}

// outcome says whether a position is settled, and how.
func (c *Committer) outcome(p Position) (settled bool, err error) {
	i := sort.Search(len(c.failures), func(i int) bool { return c.failures[i].to >= p })
	switch {
	case p == 0:
		return true, nil
	case i < len(c.failures) && c.failures[i].from <= p:
		return true, c.failures[i].err
	case uint64(p) <= c.watermark.Load():
		return true, nil
	case c.ended != nil:
		return true, c.ended
	}
	return false, nil
}
