// Package conformance runs the checks of a contract's suite: as subtests for an implementation that must pass them, or taking down what they
// complain about, for tests which show that known-broken implementations do not pass.
//
// Checks may run in a testing/synctest bubble, where deadlines cost no time. So a check must not leave goroutines behind, also when it
// fails: what it starts ends with its context, which ends before its cleanups run.
package conformance

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// T is what a check needs of a *testing.T.
type T interface {
	require.TestingT
	Helper()
	Cleanup(func())
	Context() context.Context
}

// Check is one promise of a contract.
type Check struct {
	Name string
	Run  func(T)

	// Crowd is a check with many callers at once. It runs after all others, and not at all when one of them complained: what is wrong for
	// one caller is wrong for many, and says nothing new there.
	Crowd bool
}

// Run runs every check as a subtest, in bubbles if that is asked for.
func Run(t *testing.T, bubble bool, checks []Check) {
	for _, c := range ordered(checks) {
		if c.Crowd && t.Failed() {
			t.Logf("%s: not run, as other checks failed", c.Name)
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if bubble {
				synctest.Test(t, func(t *testing.T) { c.Run(t) })
				return
			}
			c.Run(t)
		})
	}
}

// Findings runs every check and returns the first complaint of each that has one, by its name.
func Findings(t *testing.T, bubble bool, checks []Check) map[string]string {
	found := map[string]string{}
	for _, c := range ordered(checks) {
		if c.Crowd && len(found) > 0 {
			break
		}
		r := new(recorder)
		if bubble {
			synctest.Test(t, func(*testing.T) { r.watch(c.Run) })
		} else {
			r.watch(c.Run)
		}
		if len(r.complaints) > 0 {
			found[c.Name] = r.complaints[0]
		}
	}
	return found
}

// RequireOnly requires that the named check complained, and no other.
func RequireOnly(t *testing.T, found map[string]string, name string) {
	t.Helper()
	require.Equal(t, []string{name}, slices.Sorted(maps.Keys(found)), "%v", found)
}

func ordered(checks []Check) []Check {
	checks = slices.Clone(checks)
	slices.SortStableFunc(checks, func(a, b Check) int { return rank(a) - rank(b) })
	return checks
}

func rank(c Check) int {
	if c.Crowd {
		return 1
	}
	return 0
}

// recorder is a T that takes complaints down.
type recorder struct {
	mu         sync.Mutex // guards what follows
	complaints []string
	cleanups   []func()

	ctx context.Context
}

func (r *recorder) watch(run func(T)) {
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx = ctx
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			for _, f := range slices.Backward(r.cleanups) {
				f()
			}
		}()
		defer cancel()
		run(r)
	}()
	<-ended
}

// Errorf takes a complaint down.
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complaints = append(r.complaints, fmt.Sprintf(format, args...))
}

// Cleanup has f called when the check has ended.
func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) FailNow()                 { runtime.Goexit() }
func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
