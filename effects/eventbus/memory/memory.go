// Package memory carries messages within a process: it survives nothing, and is otherwise held to the same rules as a broker.
//
// # What is bounded
//
// A group holds up to Config.Pending messages of Config.PendingBytes in all; beyond that Publish refuses the topic's messages (eventbus.ErrFull). Ids are
// remembered for Config.Window, at most Config.WindowIDs of a topic, whichever ends first. A topic without groups is not remembered at all.
//
// # Concurrency
//
// A topic orders its messages with one lock, a group its lanes with another; neither is held while a handler runs. Each subscription is a
// goroutine, and a lane that waits for its next attempt is a timer.
//
// # When it fails
//
// Only when a group is full or the bus closed. Handlers fail without anybody hearing of it but Config.Failed.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/crhost/crhost/effects/eventbus"
)

// Defaults of Config.
const (
	DefaultPending      = 10_000
	DefaultPendingBytes = 64 << 20
	DefaultWindow       = 2 * time.Minute
	DefaultWindowIDs    = 100_000
	DefaultMinDelay     = 100 * time.Millisecond
	DefaultMaxDelay     = 30 * time.Second
)

// Config is optional in all its fields.
type Config struct {
	// Failed is called when a handler has failed, before the message waits for its next attempt, by the goroutine of the subscription.
	Failed func(group string, d eventbus.Delivery, err error)

	MaxDelay     time.Duration // before another attempt, at most. Defaults to DefaultMaxDelay
	MinDelay     time.Duration // before the second attempt; it doubles with each. Defaults to DefaultMinDelay
	Pending      int           // messages that a group holds. Defaults to DefaultPending
	PendingBytes int           // of their bodies and metadata; a group that holds nothing takes any message. Defaults to DefaultPendingBytes
	Window       time.Duration // how long an id is remembered. Defaults to DefaultWindow
	WindowIDs    int           // how many ids of a topic are remembered, the newest. Defaults to DefaultWindowIDs
}

// Bus is an event bus in memory.
type Bus struct {
	config Config

	mu     sync.Mutex // guards what follows; taken before those of topics
	topics map[string]*topic
	closed bool
}

// topic is the groups of a topic, and the ids it remembers.
type topic struct {
	mu     sync.Mutex // guards what follows; taken before those of groups
	groups []*group
	recent window
}

var _ eventbus.Bus = (*Bus)(nil)

// New returns a bus without groups.
func New(config Config) *Bus {
	config.MaxDelay = cmp.Or(config.MaxDelay, DefaultMaxDelay)
	config.MinDelay = cmp.Or(config.MinDelay, DefaultMinDelay)
	config.Pending = cmp.Or(config.Pending, DefaultPending)
	config.PendingBytes = cmp.Or(config.PendingBytes, DefaultPendingBytes)
	config.Window = cmp.Or(config.Window, DefaultWindow)
	config.WindowIDs = cmp.Or(config.WindowIDs, DefaultWindowIDs)
	return &Bus{config: config, topics: make(map[string]*topic)}
}

// Publish hands a message to the groups of its topic; see eventbus.Bus.
func (b *Bus) Publish(ctx context.Context, m eventbus.Message) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := m.Check(); err != nil {
		return err
	}
	b.mu.Lock()
	t, closed := b.topics[m.Topic], b.closed
	b.mu.Unlock()
	switch {
	case closed:
		return eventbus.ErrClosed
	case t == nil:
		return nil // nobody is there to hear it
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.recent.expire(now.Add(-b.config.Window))
	if t.recent.has(m.ID) {
		return nil
	}
	for _, g := range t.groups {
		// Only a publisher adds, under the topic's lock: room that is there now is there below.
		if err := g.room(len(m.Body) + len(m.Metadata)); err != nil {
			return err
		}
	}
	m.Body, m.Metadata = bytes.Clone(m.Body), bytes.Clone(m.Metadata)
	for _, g := range t.groups {
		g.add(m)
	}
	t.recent.add(m.ID, now, b.config.WindowIDs)
	return nil
}

// Subscribe adds a member to a group; see eventbus.Bus.
func (b *Bus) Subscribe(ctx context.Context, name, groupName string, h eventbus.Handler) (eventbus.Subscription, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := eventbus.CheckGroup(name, groupName); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, eventbus.ErrClosed
	}
	t := b.topics[name]
	if t == nil {
		t = new(topic)
		b.topics[name] = t
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.named(groupName)
	if g == nil {
		g = newGroup(&b.config, name, groupName)
		t.groups = append(t.groups, g)
	}
	return g.join(b, h), nil
}

// Forget ends a group; see eventbus.Bus.
func (b *Bus) Forget(ctx context.Context, name, groupName string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := eventbus.CheckGroup(name, groupName); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return eventbus.ErrClosed
	}
	t := b.topics[name]
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.named(groupName)
	if g == nil {
		return nil
	}
	if g.manned() {
		return eventbus.ErrInUse
	}
	b.remove(t, g)
	return nil
}

// leave ends a group without a name, after its only member has gone.
func (b *Bus) leave(g *group) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.topics[g.topic]; t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		b.remove(t, g)
	}
}

// remove takes a group out of its topic, and the topic out of the bus when it was the last.
//
// REQUIRES: both locks are held.
func (b *Bus) remove(t *topic, g *group) {
	g.end()
	for i := range t.groups {
		if t.groups[i] == g {
			t.groups = append(t.groups[:i], t.groups[i+1:]...)
			break
		}
	}
	if len(t.groups) == 0 {
		delete(b.topics, g.topic)
	}
}

// Close ends the bus; see eventbus.Bus. What was not handled is lost.
func (b *Bus) Close() error {
	b.mu.Lock()
	b.closed = true
	var members []*member
	for _, t := range b.topics {
		t.mu.Lock()
		for _, g := range t.groups {
			members = append(members, g.end()...)
		}
		t.mu.Unlock()
	}
	clear(b.topics)
	b.mu.Unlock()
	for _, m := range members {
		m.Close()
	}
	return nil
}

// named returns a group by its name. Those without are not found.
//
// REQUIRES: mu is held.
func (t *topic) named(name string) *group {
	for _, g := range t.groups {
		if g.name == name && name != "" {
			return g
		}
	}
	return nil
}
