// Package journaltest checks an implementation of journal.Backend, and the fence over it, against what package journal promises.
//
// A backend's own tests call Run, its benchmarks Benchmark. Findings runs the same checks and returns what they found instead of failing: so
// this package's tests show that known-broken implementations do not pass.
//
// Checks that need time or quiet run in a testing/synctest bubble; the backend is opened and closed within it.
package journaltest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
)

// Features says what more than the seam an implementation lets us check.
type Features struct {
	// Reopen returns the journal as it is found after the process died now, the given backend still open. Nil when there is no such thing.
	Reopen func(journal.Backend) journal.Backend

	// Fence returns the fence to check over a backend. Defaults to journal.NewCommitter.
	Fence func(journal.Backend, journal.Config) Fence
}

// Fence is what is checked of a journal.Committer.
type Fence interface {
	Enqueue(journal.Step) journal.Position
	Wait(context.Context, journal.Position) error
	Watermark() journal.Position
	Err() error
	Kick()
	Recover() error
	Close() error
}

var _ Fence = (*journal.Committer)(nil)

// T is what a check needs of a *testing.T.
type T interface {
	require.TestingT
	Helper()
	Cleanup(func())
}

// check is one promise.
type check struct {
	name   string
	bubble bool // to be run in a synctest bubble
	run    func(*kit)
}

// kit is what a check works with.
type kit struct {
	T
	open     func() journal.Backend
	features Features
}

// backend opens a backend that is closed when the check has ended.
func (k *kit) backend() journal.Backend {
	b := k.open()
	k.Cleanup(func() { _ = b.Close() })
	return b
}

func checks() []check {
	return slices.Concat(rowChecks(), logChecks(), batchChecks(), fenceChecks(), failureChecks(), hammerChecks())
}

// Run runs every check as a subtest. Open returns an empty backend.
func Run(t *testing.T, open func() journal.Backend, features Features) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			if c.bubble {
				synctest.Test(t, func(t *testing.T) {
					t.Cleanup(letTimersFire)
					c.run(&kit{t, open, features})
				})
				return
			}
			c.run(&kit{t, open, features})
		})
	}
}

// Findings runs the named checks, or all, and returns the first complaint of each that is not met, by its name.
func Findings(t *testing.T, open func() journal.Backend, features Features, names ...string) map[string]string {
	found := map[string]string{}
	for _, c := range checks() {
		if len(names) > 0 && !slices.Contains(names, c.name) {
			continue
		}
		r := new(recorder)
		if c.bubble {
			synctest.Test(t, func(*testing.T) {
				r.watch(&c, open, features)
				letTimersFire()
			})
		} else {
			r.watch(&c, open, features)
		}
		if len(r.complaints) > 0 {
			found[c.name] = r.complaints[0]
		}
	}
	return found
}

// letTimersFire ends what waits for time in a bubble, as batches do after a check has failed.
func letTimersFire() { <-time.After(time.Hour) }

// recorder is a T that takes complaints down.
type recorder struct {
	mu         sync.Mutex // guards complaints
	complaints []string
	cleanups   []func()
}

func (r *recorder) watch(c *check, open func() journal.Backend, features Features) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			for _, f := range slices.Backward(r.cleanups) {
				f()
			}
		}()
		c.run(&kit{r, open, features})
	}()
	<-ended
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complaints = append(r.complaints, fmt.Sprintf(format, args...))
}

func (r *recorder) FailNow()         { runtime.Goexit() }
func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
