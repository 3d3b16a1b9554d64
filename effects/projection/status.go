package projection

import (
	"context"
	"time"
)

// Status is how a read model fares. It is known from the first Run on.
type Status struct {
	Builds
	Running    bool
	Retrying   *FailedError // the event that the live build waits to try again; nil when it does not
	Failed     *FailedError // why the live build does not go on; nil while it does
	NextFailed *FailedError // why the rebuild does not go on; nil while it does, or there is none
	Trouble    error        // why events cannot be read, or rows not written, at present
}

// Status returns how the read model fares.
func (r *Runner) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Lag is how far readers are behind.
type Lag struct {
	Positions uint64        // from the checkpoint to the newest event; at least as many as there are events in between
	Time      time.Duration // since the time of the oldest event that readers do not see; 0 when they see all
}

// Lag asks the event store how far readers are behind.
func (r *Runner) Lag(ctx context.Context) (Lag, error) {
	builds, err := r.models.Builds(ctx, r.name)
	if err != nil {
		return Lag{}, err
	}
	head, err := r.log.Head(ctx)
	if err != nil || head <= builds.Live.Checkpoint {
		return Lag{}, err
	}
	lag := Lag{Positions: head - builds.Live.Checkpoint}
	oldest, err := r.log.All(ctx, builds.Live.Checkpoint, 1)
	if err == nil && len(oldest) > 0 {
		lag.Time = max(time.Since(time.Unix(0, oldest[0].Time)), 0)
	}
	return lag, err
}

// Wait returns nil when the live checkpoint has reached a position. While the live build is failed before it, and no rebuild is on its way, it
// returns why ([FailedError]). Else it waits, also while nobody runs the runner, until ctx ends with its cause.
func (r *Runner) Wait(ctx context.Context, position uint64) error {
	return r.await(ctx, func(s *Status) (bool, error) {
		switch {
		case s.Live.Checkpoint >= position:
			return true, nil
		case s.Failed != nil && (s.Next.ID == 0 || s.NextFailed != nil):
			return true, s.Failed
		}
		return false, nil
	})
}

// Rebuild begins a new build and returns its ID; one that was under way is given up. It is done when [Runner.WaitBuild] says so, and goes on after a
// restart. It may be called while nobody runs the runner.
func (r *Runner) Rebuild(ctx context.Context) (build uint64, err error) {
	b, err := r.models.Begin(ctx, r.name)
	if err != nil {
		return 0, err
	}
	r.kick(false)
	r.tell(func(s *Status) {
		if s.Live.ID < b.ID && s.Next.ID < b.ID {
			s.Next, s.NextFailed = b, nil // whoever waits from now on waits for it
		}
	})
	return b.ID, nil
}

// WaitBuild returns nil when readers see the build, or a later one. When the build is failed it returns why ([FailedError]).
func (r *Runner) WaitBuild(ctx context.Context, build uint64) error {
	return r.await(ctx, func(s *Status) (bool, error) {
		switch {
		case s.Live.ID >= build:
			return true, nil
		case s.NextFailed != nil && s.NextFailed.Build == build:
			return true, s.NextFailed
		}
		return false, nil
	})
}

// Resume has builds that are failed try again, with all their attempts.
func (r *Runner) Resume() {
	r.kick(true)
	r.tell(func(s *Status) { s.Failed, s.NextFailed = nil, nil })
}

// await waits until done says so of the status.
func (r *Runner) await(ctx context.Context, done func(*Status) (bool, error)) error {
	for {
		r.mu.Lock()
		if ok, err := done(&r.status); ok {
			r.mu.Unlock()
			return err
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// show puts what the lanes are into the status. When there is news that the lanes do not know yet it waits for the next look, which comes at
// once: nobody who has resumed or rebuilt is to hear of a failure before that.
func (r *Runner) show() {
	r.tell(func(s *Status) {
		if r.kicked {
			return
		}
		s.Builds = Builds{Live: r.live.build}
		s.Retrying, s.Failed, s.NextFailed = r.live.fault, nil, nil
		if r.live.failed {
			s.Retrying, s.Failed = nil, r.live.fault
		}
		if r.next != nil {
			s.Next = r.next.build
			if r.next.failed {
				s.NextFailed = r.next.fault
			}
		}
	})
}

// tell changes the status.
func (r *Runner) tell(change func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.status)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}
