package projection

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/crhost/crhost/effects/eventstore"
)

// lane is a build as the runner knows it.
type lane struct {
	build  Build
	idle   bool         // there was nothing to apply when we last looked
	fault  *FailedError // the event that could not be applied yet, and its attempts
	again  time.Time    // when it may be tried again
	failed bool         // not until somebody says so
	alone  bool         // what lies before the event that failed is committed
}

// at is the lane for a build as the store has it: itself, if it is the same build.
func (l *lane) at(b Build) *lane {
	if l == nil || l.build.ID != b.ID {
		return &lane{build: b}
	}
	l.moveTo(b.Checkpoint)
	l.idle = false
	return l
}

func (l *lane) moveTo(checkpoint uint64) {
	l.build.Checkpoint = checkpoint
	if l.fault != nil && l.fault.Position <= checkpoint {
		l.fault, l.failed = nil, false
	}
}

// step applies what comes next to a build. It reports whether there is reason to take another step at once. Errors are not about events.
func (r *Runner) step(ctx context.Context, l *lane) (progress bool, err error) {
	if l.failed && l.alone {
		return false, nil
	}
	events, err := r.log.All(ctx, l.build.Checkpoint, r.config.Batch)
	if err != nil {
		return false, fmt.Errorf("read events behind %d: %w", l.build.Checkpoint, err)
	}
	if l.idle = len(events) == 0; l.idle {
		return false, r.outlived(ctx, l)
	}
	if l.fault != nil {
		// What lies before the event that failed is committed without it, and then it is tried alone.
		events = until(events, l.fault.Position)
		l.alone = events[0].Position == l.fault.Position
		if l.alone && (l.failed || time.Now().Before(l.again)) {
			return false, nil
		}
	}
	var fault *FailedError
	to := events[len(events)-1].Position
	err = r.models.Update(ctx, r.name, l.build, to, func(tx Tx) error {
		for i := range events {
			if err := r.apply(ctx, tx, events[i]); err != nil {
				fault = &FailedError{Projection: r.name, Build: l.build.ID, Position: events[i].Position, Event: events[i].ID, Attempts: 1, Err: err}
				return err
			}
		}
		return nil
	})
	switch {
	case err == nil:
		l.moveTo(to)
		r.show()
		return true, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx) // an event that was interrupted has not failed
	case fault != nil:
		r.fail(l, fault)
		return events[0].Position < fault.Position, nil
	}
	return false, fmt.Errorf("update build %d: %w", l.build.ID, err)
}

// outlived reports that a build was made of events that are not there: the event store is another one than it was, or has lost some.
func (r *Runner) outlived(ctx context.Context, l *lane) error {
	head, err := r.log.Head(ctx)
	if err == nil && head < l.build.Checkpoint {
		err = fmt.Errorf("%w: build %d is at %d, the newest event at %d", ErrAhead, l.build.ID, l.build.Checkpoint, head)
	}
	return err
}

// until cuts events before a position or, if that comes first, behind it.
func until(events []eventstore.Event, position uint64) []eventstore.Event {
	for i := range events {
		if events[i].Position >= position {
			return events[:max(i, 1)]
		}
	}
	return events
}

func (r *Runner) fail(l *lane, fault *FailedError) {
	if l.fault != nil && l.fault.Position == fault.Position {
		fault.Attempts += l.fault.Attempts
	}
	l.fault, l.failed = fault, fault.Attempts >= r.config.Attempts
	l.again = time.Now().Add(r.config.delay(fault.Attempts))
	r.config.Failed(fault, l.failed)
	r.show()
}

// apply calls the projection. A panic is an error.
func (r *Runner) apply(ctx context.Context, tx Tx, e eventstore.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("projection panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return r.projection.Apply(ctx, tx, e)
}
