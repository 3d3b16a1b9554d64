package outbox

import (
	"context"
	"sync"
	"time"

	"github.com/crhost/crhost/effects"
)

// attemptContext is the context of one attempt: it ends at a time, when the leaf is cancelled, or when the host stops. What it needs for that is made when
// somebody asks for Done or Err, which a handler that answers at once does not: a context of the standard library costs a tenth of a small effect.
type attemptContext struct {
	context.Context // of the outbox
	deadline        time.Time

	mu    sync.Mutex // guards what follows
	done  chan struct{}
	err   error
	timer *time.Timer
	stop  func() bool // takes back the watch on the outbox's context
}

// attempt is one attempt at a leaf, and all that it needs, in one piece.
type attempt struct {
	attemptContext
	ctx       context.Context // that the handler works in: attemptContext, or what Start made of it
	outcome   valuesOf        // what it brings is delivered in
	timeout   time.Duration
	started   time.Time
	request   effects.Request
	performed Performed
}

func newAttempt(parent context.Context, timeout time.Duration) *attempt {
	a := &attempt{timeout: timeout}
	a.attemptContext.Context = parent
	a.ctx = &a.attemptContext
	return a
}

// begin starts the clock.
func (a *attempt) begin() {
	a.started = time.Now()
	a.deadline = a.started.Add(a.timeout)
}

// after is the context in which the outcome is delivered: of the trace of the attempt, but not in its time.
func (a *attempt) after() context.Context {
	a.outcome = valuesOf{a.attemptContext.Context, a.ctx}
	return &a.outcome
}

// valuesOf is a context with the values of another.
type valuesOf struct {
	context.Context
	values context.Context
}

func (v *valuesOf) Value(key any) any { return v.values.Value(key) }

// Deadline is when the attempt has taken too long.
func (c *attemptContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done is closed when the attempt is to stop.
func (c *attemptContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done != nil {
		return c.done
	}
	c.done = make(chan struct{})
	if c.err != nil {
		close(c.done)
		return c.done
	}
	c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.end(context.DeadlineExceeded) })
	c.stop = context.AfterFunc(c.Context, func() { c.end(context.Canceled) })
	return c.done
}

// Err is context.Canceled when the leaf was cancelled or the host stops, context.DeadlineExceeded when the attempt's time is over.
func (c *attemptContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
	case c.Context.Err() != nil:
		return context.Canceled
	case c.done == nil && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	}
	return c.err
}

// canceled reports whether the leaf was cancelled or the host stops.
func (c *attemptContext) canceled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err == context.Canceled || c.err == nil && c.Context.Err() != nil
}

// end ends it, unless it has ended.
func (c *attemptContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
		c.timer.Stop()
		c.stop()
	}
}

// cancel ends it because the leaf was cancelled, or is done.
func (c *attemptContext) cancel() { c.end(context.Canceled) }
