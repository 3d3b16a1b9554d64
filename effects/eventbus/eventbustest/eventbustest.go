// Package eventbustest checks an implementation of eventbus.Bus against what package eventbus promises.
//
// A bus's own tests call Run, its benchmarks Benchmark. Findings runs the same checks and returns what they found instead of failing: so
// this package's tests show that each of many known-broken buses fails the check that is about it.
package eventbustest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/eventbus"
	"github.com/crhost/crhost/internal/conformance"
)

// Features says what more than the contract an implementation lets us check.
type Features struct {
	// Bubble says that the bus does no I/O, so that checks can run in a synctest bubble, in which waiting costs no time.
	Bubble bool

	// Pending is how many messages a group of a bus as opened holds before it is full, 500 or more. 0 leaves out the checks about full groups.
	Pending int
}

// Run runs every check as a subtest. Open returns a new bus; a check closes what it opens.
func Run(t *testing.T, open func() eventbus.Bus, features Features) {
	conformance.Run(t, features.Bubble, checks(open, features))
}

// Findings runs every check and returns the first complaint of each that has one, by its name.
func Findings(t *testing.T, open func() eventbus.Bus, features Features) map[string]string {
	return conformance.Findings(t, features.Bubble, checks(open, features))
}

func checks(open func() eventbus.Bus, features Features) []conformance.Check {
	var all []conformance.Check
	for _, c := range slices.Concat(publishChecks(), groupChecks(), orderChecks(), ackChecks(), fullChecks(), closeChecks(), crowdChecks()) {
		if c.fills && features.Pending == 0 {
			continue
		}
		all = append(all, conformance.Check{Name: c.name, Crowd: c.crowd, Run: func(t conformance.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			t.Cleanup(cancel)
			k := &kit{T: t, ctx: ctx, features: features, quiet: 50 * time.Millisecond}
			if features.Bubble {
				k.quiet = time.Minute // longer than any bus waits before another attempt
			}
			k.Bus = open()
			t.Cleanup(func() { _ = k.Bus.Close() })
			c.run(k)
		}})
	}
	return all
}

// patience is how long a check waits for what has to come.
const patience = time.Hour

// check is one promise.
type check struct {
	name  string
	crowd bool
	fills bool // needs to know when a group is full
	run   func(*kit)
}

// kit is what a check works with.
type kit struct {
	conformance.T
	eventbus.Bus
	ctx      context.Context // ends with the check, or when patience does
	features Features
	quiet    time.Duration // how long nothing may come for us to say that nothing does
}

// message makes a message with a body of its own.
func message(topic, key, id string) eventbus.Message {
	return eventbus.Message{
		ID: id, Topic: topic, Key: key, Time: 1_700_000_000_000_000_000 + int64(len(id)),
		Body: pack.AppendString(nil, "body of "+id), Metadata: pack.AppendString(nil, "metadata of "+id),
	}
}

// publish publishes messages of one key.
func (k *kit) publish(topic, key string, ids ...string) {
	k.Helper()
	for _, id := range ids {
		require.NoError(k, k.Publish(k.ctx, message(topic, key, id)))
	}
}

// inbox is what one handler or several were given, in the order in which they began.
type inbox struct {
	kit *kit

	mu    sync.Mutex // guards what follows
	given []eventbus.Delivery
	news  chan struct{} // holds one
}

func (k *kit) inbox() *inbox { return &inbox{kit: k, news: make(chan struct{}, 1)} }

// join subscribes with a handler that takes everything down and answers what answer does; nil answers nil.
func (b *inbox) join(topic, group string, answer eventbus.Handler) eventbus.Subscription {
	b.kit.Helper()
	s, err := b.kit.Subscribe(b.kit.ctx, topic, group, func(ctx context.Context, d eventbus.Delivery) error {
		b.mu.Lock()
		b.given = append(b.given, d)
		b.mu.Unlock()
		select {
		case b.news <- struct{}{}:
		default:
		}
		if answer == nil {
			return nil
		}
		return answer(ctx, d)
	})
	require.NoError(b.kit, err)
	return s
}

// await waits until n deliveries have begun, and returns the ids of all there are.
func (b *inbox) await(n int) []string {
	b.kit.Helper()
	for {
		b.mu.Lock()
		ids := b.ids()
		b.mu.Unlock()
		if len(ids) >= n {
			return ids
		}
		select {
		case <-b.news:
		case <-b.kit.ctx.Done():
			require.Fail(b.kit, "a message does not come", "there are %d of %d: %v", len(ids), n, ids)
		}
	}
}

// settled waits until nothing comes for a while, and returns the ids of all there are.
func (b *inbox) settled() []string {
	for before := -1; ; {
		b.mu.Lock()
		ids := b.ids()
		b.mu.Unlock()
		if len(ids) == before {
			return ids
		}
		before = len(ids)
		<-time.After(b.kit.quiet)
	}
}

// settle waits for n deliveries, and then for quiet.
func (b *inbox) settle(n int) []string {
	b.kit.Helper()
	b.await(n)
	return b.settled()
}

func (b *inbox) ids() []string {
	ids := make([]string, len(b.given))
	for i := range b.given {
		ids[i] = b.given[i].ID
	}
	return ids
}

// gate is closed once, by a check or at its end.
func (k *kit) gate() (wait <-chan struct{}, open func()) {
	ch := make(chan struct{})
	open = sync.OnceFunc(func() { close(ch) })
	k.Cleanup(open)
	return ch, open
}
