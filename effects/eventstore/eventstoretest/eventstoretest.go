// Package eventstoretest checks an implementation of eventstore.Store against what package eventstore promises.
//
// A store's own tests call Run, its benchmarks Benchmark. Findings runs the same checks and returns what they found instead of failing: so
// this package's tests show that each of many known-broken stores fails the check that is about it.
package eventstoretest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/internal/conformance"
)

// Features says what more than the contract an implementation lets us check.
type Features struct {
	// Bubble says that the store does no I/O, so that checks can run in a synctest bubble, in which waiting costs no time.
	Bubble bool

	// Reopen returns the store as it is found after the process died now, the given store still open. Nil when nothing is kept.
	Reopen func(eventstore.Store) eventstore.Store
}

// Run runs every check as a subtest. Open returns an empty store; a check closes what it opens.
func Run(t *testing.T, open func() eventstore.Store, features Features) {
	conformance.Run(t, features.Bubble, checks(open, features))
}

// Findings runs every check and returns the first complaint of each that has one, by its name.
func Findings(t *testing.T, open func() eventstore.Store, features Features) map[string]string {
	return conformance.Findings(t, features.Bubble, checks(open, features))
}

func checks(open func() eventstore.Store, features Features) []conformance.Check {
	var all []conformance.Check
	for _, c := range slices.Concat(appendChecks(), idChecks(), readChecks(), waitChecks(), snapshotChecks(), closeChecks(), crowdChecks()) {
		if c.reopens && features.Reopen == nil {
			continue
		}
		all = append(all, conformance.Check{Name: c.name, Crowd: c.crowd, Run: func(t conformance.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			t.Cleanup(cancel)
			c.run(&kit{T: t, ctx: ctx, open: open, features: features})
		}})
	}
	return all
}

// patience is how long a check waits for what has to come.
const patience = 10 * time.Second

// check is one promise.
type check struct {
	name    string
	crowd   bool
	reopens bool
	run     func(*kit)
}

// kit is what a check works with.
type kit struct {
	conformance.T
	ctx      context.Context // ends with the check, or when patience does
	open     func() eventstore.Store
	features Features
}

// store opens a store that is closed when the check has ended.
func (k *kit) store() eventstore.Store {
	s := k.open()
	k.Cleanup(func() { _ = s.Close() })
	return s
}

// event makes an event with data of its own.
func event(id string) eventstore.Event {
	return eventstore.Event{
		ID: id, Type: "type_of_" + id, Schema: uint32(len(id)) + 1, Time: 1_700_000_000_000_000_000 + int64(len(id)),
		Data: pack.AppendString(nil, "data of "+id), Metadata: pack.AppendString(nil, "metadata of "+id),
	}
}

func events(ids ...string) []eventstore.Event {
	made := make([]eventstore.Event, len(ids))
	for i, id := range ids {
		made[i] = event(id)
	}
	return made
}

// append appends events without an expected version.
func (k *kit) append(s eventstore.Store, stream string, ids ...string) eventstore.Appended {
	k.Helper()
	at, err := s.Append(k.ctx, stream, eventstore.Any, events(ids...))
	require.NoError(k, err)
	return at
}

// load returns the ids of a stream, from a version on.
func (k *kit) load(s eventstore.Store, stream string, from uint64) (ids []string) {
	k.Helper()
	for {
		page, err := s.Load(k.ctx, stream, from, 100)
		require.NoError(k, err)
		if len(page) == 0 {
			return ids
		}
		require.GreaterOrEqual(k, page[len(page)-1].Version, from)
		ids = append(ids, idsOf(page)...)
		from = page[len(page)-1].Version + 1
	}
}

// all returns all events behind a position.
func (k *kit) all(s eventstore.Store, after uint64) (found []eventstore.Event) {
	k.Helper()
	for {
		page, err := s.All(k.ctx, after, 100)
		require.NoError(k, err)
		if len(page) == 0 {
			return found
		}
		require.Greater(k, page[len(page)-1].Position, after)
		found = append(found, page...)
		after = page[len(page)-1].Position
	}
}

func idsOf(events []eventstore.Event) (ids []string) {
	for i := range events {
		ids = append(ids, events[i].ID)
	}
	return ids
}

// names makes n ids.
func names(prefix string, n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s%d", prefix, i+1))
	}
	return ids
}
