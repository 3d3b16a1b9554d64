package outbox

import (
	"context"
	"sync"
	"time"
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

func newAttemptContext(parent context.Context, timeout time.Duration) *attemptContext {
	return &attemptContext{Context: parent, deadline: time.Now().Add(timeout)}
}

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
