package projection

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/crhost/crhost/effects/eventstore"
)

// Defaults of Config. Attempts and delays are the seed's.
const (
	DefaultAttempts = 6
	DefaultBatch    = 256
	DefaultMinDelay = 100 * time.Millisecond
	DefaultMaxDelay = 30 * time.Second
)

// Config is optional in all its fields.
type Config struct {
	Attempts int           // at one event, until the build is failed. Defaults to DefaultAttempts
	Batch    int           // events in one update, at most. Defaults to DefaultBatch
	MinDelay time.Duration // before the second attempt; it doubles with each. Defaults to DefaultMinDelay
	MaxDelay time.Duration // before any attempt, at most. Defaults to DefaultMaxDelay

	// Failed is called after each failed attempt at an event, final when it was the last. It must not block, nor call the runner.
	Failed func(err *FailedError, final bool)
}

// rebuildShare is how many batches a rebuild gets for one of the live build: it catches up however busy that one is.
const rebuildShare = 4

// Runner keeps one read model up to date while Run runs.
type Runner struct {
	log        Log
	models     Store
	projection Projection
	name       string
	config     Config

	// Of Run's goroutine alone.
	live, next *lane // next is nil when nothing is rebuilt

	mu      sync.Mutex // guards what follows; nothing waits while holding it
	status  Status
	changed chan struct{}      // closed when status changes; nil while nobody waits
	kicked  bool               // there is news besides events: look at the builds again
	resume  bool               // failed lanes are to try again
	wake    context.CancelFunc // ends the present wait for events; nil outside of one
}

// New returns a runner for a projection. Nothing happens before Run. Errors are [InvalidError], for the projection's name.
func New(log Log, models Store, p Projection, config Config) (*Runner, error) {
	config.Attempts = cmp.Or(config.Attempts, DefaultAttempts)
	config.Batch = cmp.Or(config.Batch, DefaultBatch)
	config.MinDelay = cmp.Or(config.MinDelay, DefaultMinDelay)
	config.MaxDelay = cmp.Or(config.MaxDelay, DefaultMaxDelay)
	if config.Failed == nil {
		config.Failed = func(*FailedError, bool) {}
	}
	return &Runner{log: log, models: models, projection: p, name: p.Name(), config: config}, CheckName(p.Name())
}

// Run applies events until its context ends, and returns the cause; a closed event store or read model ends it as well, with that error. It
// may be called again then, and goes on where the checkpoint is. Errors: [ErrRunning].
func (r *Runner) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.status.Running {
		r.mu.Unlock()
		return ErrRunning
	}
	r.status, r.kicked, r.resume = Status{Builds: r.status.Builds, Running: true}, true, false
	r.live, r.next = nil, nil
	r.mu.Unlock()
	defer r.tell(func(s *Status) { s.Running = false })

	troubles := 0
	for {
		progress, err := r.turn(ctx)
		if err == nil && troubles > 0 {
			troubles = 0
			r.tell(func(s *Status) { s.Trouble = nil })
		}
		if err == nil && !progress {
			err = r.idle(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, eventstore.ErrClosed), errors.Is(err, ErrClosed):
			return err
		case errors.Is(err, ErrMoved):
			r.kick(false)
		case err != nil:
			troubles++
			r.tell(func(s *Status) { s.Trouble = err })
			if !r.sleep(ctx, r.config.delay(troubles)) {
				return context.Cause(ctx)
			}
			r.kick(false) // what was updated may be there
		}
	}
}

// turn gives the live build a batch, and the rebuild its share. Errors are not about events.
func (r *Runner) turn(ctx context.Context) (progress bool, err error) {
	if err := r.look(ctx); err != nil {
		return false, err
	}
	if progress, err = r.step(ctx, r.live); err != nil {
		return false, err
	}
	for range rebuildShare {
		if r.next == nil {
			return progress, nil
		}
		if r.next.build.Checkpoint >= r.live.build.Checkpoint {
			if err := r.models.Switch(ctx, r.name, r.next.build); err != nil {
				return false, err
			}
			r.live, r.next = r.next, nil
			r.show()
			return true, nil
		}
		applied, err := r.step(ctx, r.next)
		if err != nil {
			return false, err
		}
		if !applied {
			break
		}
		progress = true
	}
	return progress, nil
}

// look sees which builds there are, if there may be news.
func (r *Runner) look(ctx context.Context) error {
	r.mu.Lock()
	kicked, resume := r.kicked, r.resume
	r.kicked, r.resume = false, false
	r.mu.Unlock()
	if !kicked {
		return nil
	}
	builds, err := r.models.Builds(ctx, r.name)
	if err != nil {
		return err
	}
	r.live = r.live.at(builds.Live)
	if builds.Next.ID == 0 {
		r.next = nil
	} else {
		r.next = r.next.at(builds.Next)
	}
	for _, l := range []*lane{r.live, r.next} {
		if resume && l != nil && l.failed {
			l.fault, l.failed = nil, false
		}
	}
	r.show()
	return nil
}

// idle waits for events, for the time of the next attempt, or for a kick.
func (r *Runner) idle(ctx context.Context) error {
	var wait context.Context
	var cancel context.CancelFunc
	if at := r.nextAttempt(); at.IsZero() {
		wait, cancel = context.WithCancel(ctx)
	} else {
		wait, cancel = context.WithDeadline(ctx, at)
	}
	defer cancel()
	r.mu.Lock()
	if r.kicked {
		r.mu.Unlock()
		return nil
	}
	r.wake = cancel
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.wake = nil
	}()
	for _, l := range []*lane{r.live, r.next} {
		if l != nil && l.idle {
			if err := r.log.Wait(wait, l.build.Checkpoint); wait.Err() == nil {
				return err
			}
			return nil
		}
	}
	<-wait.Done()
	return nil
}

// nextAttempt is when a lane that waits for its next attempt is to go on; zero when none does.
func (r *Runner) nextAttempt() (at time.Time) {
	for _, l := range []*lane{r.live, r.next} {
		if l != nil && l.fault != nil && !l.failed && (at.IsZero() || l.again.Before(at)) {
			at = l.again
		}
	}
	return at
}

// kick has the loop look at the builds again.
func (r *Runner) kick(resume bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kicked, r.resume = true, r.resume || resume
	if r.wake != nil {
		r.wake()
	}
}

// sleep reports whether ctx has outlived it.
func (r *Runner) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// delay is how long to wait after so many failures in a row.
func (c *Config) delay(failures int) time.Duration {
	d := c.MinDelay
	for range failures - 1 {
		if d *= 2; d >= c.MaxDelay {
			break
		}
	}
	return min(d, c.MaxDelay)
}
