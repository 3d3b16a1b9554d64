package journal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Position is the place of a step in a committer's order: 1, 2, 3, ... Zero is before all of them, and always durable.
type Position uint64

// Step is what one step of a shard wants durable together.
type Step struct {
	Life   Incarnation // log that Record is appended to
	Place  *Place      // of that log; may be nil
	Seq    uint64      // seq of Record; handed to Owner in any case
	Record []byte      // nil when the step has none. Belongs to the journal from now on
	Extra  *Batch      // further writes, before Record; nil for none. Read during Enqueue only
	Owner  Owner       // told what became of the step; nil when nobody needs to know
}

// Owner is told what became of its steps: of each exactly one of the two, or nothing after an unknown outcome.
type Owner interface {
	// Durable says that the step is durable. Called in the order of positions by whoever commits, without any lock of the shard, and before
	// the watermark reaches the step: when Wait returns nil, Durable has returned. It must be quick, must not panic and must not call Wait.
	Durable(seq uint64)

	// Lost says that the step failed. Called from Recover, hence under the shard's lock, newest first.
	Lost(seq uint64)
}

// Commit describes one batch to Config.Observe.
type Commit struct {
	Steps   int           // in the batch
	Bytes   int           // in the batch: records, keys and values
	Latency time.Duration // of Backend.Apply
	Lag     uint64        // positions given out and not yet durable when the batch ended
	Err     error         // nil, or is ErrBatchFailed or ErrOutcomeUnknown
}

// Config is optional in all its fields.
type Config struct {
	// OnFail is called once for each failed batch and when the outcome of one is unknown, with what its waiters are about to get, before
	// they do. It must not block nor call the committer: it may signal.
	OnFail func(err error)

	// Observe is called after each batch, by whoever committed it; calls for successive batches may overlap. When nil, no clock is read.
	Observe func(Commit)
}

// Committer commits the steps of one shard in order, many in one batch, and says how far it has come.
//
// A caller enqueues under its shard's lock, releases that and then waits. The first waiter to find nobody committing leads: it applies all
// that is queued as one batch, tells the owners, moves the watermark, wakes who waited for it and, when more was queued meanwhile, hands
// the lead to one of those who wait for that. So a lone caller commits in its own goroutine at the cost of a few uncontended locks, and
// under load batches grow with the backend's latency.
//
// Invariants:
//
//	J1  At most one batch is in the backend; it holds the positions directly after the settled ones.
//	J2  The watermark only grows, and only to positions whose batch Apply has returned nil for.
//	J3  Positions of a failed batch, and those given out behind it before Recover, never become durable.
//	J4  Whoever leads either leaves an empty queue, or someone who will commit it: a waiter told to lead, a caller yet to call Wait, or a
//	    goroutine started for what nobody waits for.
type Committer struct {
	backend Backend
	config  Config
	epoch   time.Time

	watermark atomic.Uint64 // written under mu
	failed    atomic.Uint64 // highest position that failed; positions above it and up to the watermark are durable
	stopped   atomic.Bool   // Err is not nil

	mu       sync.Mutex // guards what follows
	last     Position   // last position given out
	rounds   [2]round
	queued   *round // steps up to last
	spare    *round // the round in the backend while leading, else empty
	leading  bool
	orphans  Position // up to here, steps are committed even if nobody waits
	waiting  queue
	free     *waiter
	failures []failure    // ascending; neighbours are merged
	failing  *FailedError // from a failed batch to Recover
	lost     []owed       // to be told by Recover
	ended    error        // for good

	_ [128]byte // so that two shards' committers do not share a cache line
}

// round is what goes to the backend together, and who is to be told.
type round struct {
	batch Batch
	owed  []owed
}

type owed struct {
	owner Owner
	seq   uint64
}

func (r *round) reset() {
	r.batch.Reset()
	clear(r.owed)
	r.owed = r.owed[:0]
}

// NewCommitter returns a committer for one shard. It costs no goroutine.
func NewCommitter(backend Backend, config Config) *Committer {
	c := &Committer{backend: backend, config: config, epoch: time.Now()}
	c.queued, c.spare = &c.rounds[0], &c.rounds[1]
	return c
}

// Enqueue gives a step its position and queues it. It never waits for the backend. A step that is enqueued while Err is not nil gets a
// position that fails.
//
// The caller must follow up with Wait on this or a later position, or with Kick.
//
// REQUIRES: the caller holds its shard's lock, so that positions follow the shard's order.
func (c *Committer) Enqueue(s Step) Position {
	c.mu.Lock()
	c.last++
	p := c.last
	switch {
	case c.failing != nil:
		c.lost = append(c.lost, owed{s.Owner, s.Seq})
		c.failTo(p)
	case c.ended == nil:
		q := c.queued
		if s.Extra != nil {
			q.batch.Join(s.Extra)
		}
		if s.Record != nil {
			q.batch.AppendAt(s.Place, s.Life, s.Seq, s.Record)
		}
		q.owed = append(q.owed, owed{s.Owner, s.Seq})
	}
	c.mu.Unlock()
	return p
}

// Wait returns nil when p and every position before it that did not fail are durable. Else it returns a [*FailedError], an error that is
// [ErrOutcomeUnknown] or [ErrClosed], or the cause of ctx.
//
// The caller may find itself committing for others, once. Ctx ends waiting, but never a commit that the caller leads: then Wait returns
// when the backend does. What a cancelled caller enqueued is committed all the same.
//
// REQUIRES: p came from Enqueue, or is zero.
func (c *Committer) Wait(ctx context.Context, p Position) error {
	// The order of the loads matters: failed is raised before the watermark passes a failed position.
	if uint64(p) <= c.watermark.Load() && (uint64(p) > c.failed.Load() || p == 0) {
		return nil
	}
	c.mu.Lock()
	if last := c.last; p > last {
		c.mu.Unlock()
		panic(fmt.Sprintf("journal: wait for position %d of %d", p, last))
	}
	if settled, err := c.outcome(p); settled {
		c.mu.Unlock()
		return err
	}
	if !c.leading {
		c.leading = true
		return c.lead()
	}
	return c.follow(ctx, p)
}

// Last returns the newest position that was given out.
func (c *Committer) Last() Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Watermark returns the newest durable position.
func (c *Committer) Watermark() Position { return Position(c.watermark.Load()) }

// Err returns nil while steps can become durable, a [*FailedError] from a failed batch to Recover, and the reason when the committer has
// ended. A shard asks at the start of each step it takes under its lock.
func (c *Committer) Err() error {
	if !c.stopped.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failing != nil {
		return c.failing
	}
	return c.ended
}

// Kick sees to it that all that is queued gets committed though nobody may wait for it. It does not block.
func (c *Committer) Kick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.orphans = c.last
	c.startOrphans()
}

// Recover ends a failure: it tells the owners of lost steps, newest first, and lets Enqueue work again, positions going on. It returns nil,
// also when there was no failure, or the reason when the committer has ended.
//
// REQUIRES: the caller holds its shard's lock.
func (c *Committer) Recover() error {
	c.mu.Lock()
	lost := c.lost
	c.lost = nil
	if c.failing != nil {
		c.failing = nil
		c.stopped.Store(c.ended != nil)
	}
	err := c.ended
	c.mu.Unlock()

	for i := len(lost) - 1; i >= 0; i-- {
		if o := lost[i].owner; o != nil {
			o.Lost(lost[i].seq)
		}
	}
	return err
}

// Close commits what is queued and ends the committer; positions given out later fail with [ErrClosed]. It returns nil when all was
// settled, or the reason when the committer had failed or ended. The backend stays open.
func (c *Committer) Close() error {
	for {
		c.mu.Lock()
		idle := !c.leading && len(c.queued.owed) == 0
		if idle || c.ended != nil {
			err := c.ended
			if c.failing != nil {
				err = c.failing
			}
			if c.ended == nil {
				c.end(ErrClosed)
			}
			c.mu.Unlock()
			return err
		}
		p := c.last
		c.mu.Unlock()
		// The outcome shows in the state; the loop ends because whatever it is, it is settled.
		_ = c.Wait(context.Background(), p)
	}
}

// lead commits one round, which holds the caller's position, and passes the lead on.
//
// REQUIRES: mu is held, and released on return; leading is set.
func (c *Committer) lead() error {
	r, first, last := c.queued, c.watermarkOrFailed()+1, c.last
	c.queued, c.spare = c.spare, r
	c.mu.Unlock()

	var started time.Duration // since epoch: reading only the monotonic clock costs half
	if c.config.Observe != nil {
		started = time.Since(c.epoch)
	}
	err := c.backend.Apply(&r.batch)
	commit := Commit{Steps: len(r.owed), Bytes: r.batch.Size()}
	if c.config.Observe != nil {
		commit.Latency = time.Since(c.epoch) - started
	}
	if err == nil {
		for _, o := range r.owed {
			if o.owner != nil {
				o.owner.Durable(o.seq)
			}
		}
		r.reset()
	}

	c.mu.Lock()
	var woken queue
	if err == nil {
		c.watermark.Store(uint64(last))
		woken = c.waiting.takeUpTo(last)
	} else {
		err = c.fail(r, first, err)
		woken = c.waiting
		c.waiting = queue{}
	}
	commit.Lag, commit.Err = uint64(c.last-last), err
	c.passOn(&woken)
	c.mu.Unlock()

	if err != nil && c.config.OnFail != nil {
		c.config.OnFail(err)
	}
	woken.wake()
	if c.config.Observe != nil {
		c.config.Observe(commit)
	}
	return err
}

// fail settles a round that was not applied, and all that was queued behind it. It returns what its waiters get.
func (c *Committer) fail(r *round, first Position, cause error) error {
	defer r.reset()
	defer c.queued.reset()
	c.stopped.Store(true)
	if !errors.Is(cause, ErrRefused) {
		return c.end(fmt.Errorf("commit from position %d: %w: %w", first, ErrOutcomeUnknown, cause))
	}
	c.failing = &FailedError{From: first, Cause: cause}
	c.lost = append(append(c.lost, r.owed...), c.queued.owed...)
	if n := len(c.failures); n > 0 && c.failures[n-1].to == first-1 {
		c.failures[n-1].err = c.failing
	} else {
		c.failures = append(c.failures, failure{from: first, err: c.failing})
	}
	c.failTo(c.last)
	return c.failing
}

func (c *Committer) end(err error) error {
	c.ended = err
	c.stopped.Store(true)
	return err
}

// passOn gives the lead to whoever commits what was queued meanwhile (J4). The one chosen is added to woken.
func (c *Committer) passOn(woken *queue) {
	c.leading = false
	if w := c.waiting.pop(); w != nil {
		c.leading = true
		w.lead = true
		woken.push(w)
		return
	}
	c.startOrphans()
}

// startOrphans commits in a goroutine what is queued, unless someone leads or it is left to callers yet to call Wait.
func (c *Committer) startOrphans() {
	if c.leading || len(c.queued.owed) == 0 || c.orphans <= c.watermarkOrFailed() {
		return
	}
	c.leading = true
	go func() {
		c.mu.Lock()
		// Whoever cares hears of a failure from Wait, Err or OnFail.
		_ = c.lead()
	}()
}

// watermarkOrFailed returns the last settled position while running.
func (c *Committer) watermarkOrFailed() Position {
	return Position(max(c.watermark.Load(), c.failed.Load()))
}
