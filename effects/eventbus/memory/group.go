package memory

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/crhost/crhost/effects/eventbus"
)

// group is the messages that a group has not handled, in lanes.
//
// A lane is in one of these states, and only its first message ever goes to a handler:
//
//	       add              next
//	none ------> ready ------------> running --done, was the last--> none
//	               ^                 |   |
//	               +---done, more----+   +--failed--> delayed --timer--> ready
//
// Invariants, with mu held:
//  1. lanes has every lane with a key; a message without one has a lane that nobody else finds.
//  2. ready has the lanes in that state, longest there first.
//  3. pending and size are of the messages in all lanes.
type group struct {
	config      *Config
	topic, name string

	mu      sync.Mutex // guards what follows; not held while a handler runs
	turn    sync.Cond  // there is a ready lane, or members or the group are to end
	lanes   map[string]*lane
	delayed map[*lane]struct{}
	ready   []*lane
	members map[*member]struct{}
	pending int
	size    int
	ended   bool
}

type lane struct {
	messages []eventbus.Message
	attempts int // of the first
	timer    *time.Timer
}

// member is one subscription.
type member struct {
	bus     *Bus
	group   *group
	handler eventbus.Handler
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{}
}

var _ eventbus.Subscription = (*member)(nil)

func newGroup(config *Config, topic, name string) *group {
	g := &group{
		config: config, topic: topic, name: name,
		lanes: make(map[string]*lane), delayed: make(map[*lane]struct{}), members: make(map[*member]struct{}),
	}
	g.turn.L = &g.mu
	return g
}

// room reports that the group is full, if it is.
func (g *group) room(size int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pending >= g.config.Pending || g.pending > 0 && g.size+size > g.config.PendingBytes {
		return &eventbus.FullError{Topic: g.topic, Group: g.name, Pending: g.pending}
	}
	return nil
}

// add puts a message at the end of its lane.
func (g *group) add(m eventbus.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending++
	g.size += len(m.Body) + len(m.Metadata)
	if l := g.lanes[m.Key]; l != nil && m.Key != "" {
		l.messages = append(l.messages, m)
		return
	}
	l := &lane{messages: []eventbus.Message{m}}
	if m.Key != "" {
		g.lanes[m.Key] = l
	}
	g.makeReady(l)
}

// makeReady hands a lane to whichever member is free.
//
// REQUIRES: mu is held.
func (g *group) makeReady(l *lane) {
	g.ready = append(g.ready, l)
	g.turn.Signal()
}

func (g *group) join(b *Bus, h eventbus.Handler) *member {
	m := &member{bus: b, group: g, handler: h, done: make(chan struct{})}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	g.mu.Lock()
	g.members[m] = struct{}{}
	g.mu.Unlock()
	go m.run()
	return m
}

func (g *group) manned() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.members) > 0
}

// end has the group hand nothing out any more, and returns its members.
func (g *group) end() (members []*member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	for l := range g.delayed {
		l.timer.Stop()
	}
	for m := range g.members {
		members = append(members, m)
	}
	g.turn.Broadcast()
	return members
}

// next returns a lane for a member to run, nil when the member is to end.
func (g *group) next(m *member) (*lane, eventbus.Delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		if g.ended || m.ctx.Err() != nil {
			if len(g.ready) > 0 {
				g.turn.Signal() // it may have been woken for a lane that somebody else has to take now
			}
			return nil, eventbus.Delivery{}
		}
		if len(g.ready) > 0 {
			l := g.ready[0]
			g.ready[0] = nil
			g.ready = g.ready[1:]
			l.attempts++
			return l, eventbus.Delivery{Message: l.messages[0], Attempt: l.attempts}
		}
		g.turn.Wait()
	}
}

// settle takes a lane back after its first message went to a handler.
func (g *group) settle(l *lane, m *eventbus.Message, failed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return
	}
	if failed {
		g.delayed[l] = struct{}{}
		l.timer = time.AfterFunc(g.delay(l.attempts), func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			delete(g.delayed, l)
			g.makeReady(l)
		})
		return
	}
	g.pending--
	g.size -= len(m.Body) + len(m.Metadata)
	l.messages[0] = eventbus.Message{}
	l.messages, l.attempts = l.messages[1:], 0
	if len(l.messages) > 0 {
		g.makeReady(l)
		return
	}
	if m.Key != "" {
		delete(g.lanes, m.Key)
	}
}

// delay is how long to wait after so many attempts.
func (g *group) delay(attempts int) time.Duration {
	d := g.config.MinDelay
	for range attempts - 1 {
		if d *= 2; d >= g.config.MaxDelay {
			break
		}
	}
	return min(d, g.config.MaxDelay)
}

func (m *member) run() {
	defer close(m.done)
	for {
		l, d := m.group.next(m)
		if l == nil {
			return
		}
		err := m.handle(d)
		if err != nil && m.group.config.Failed != nil {
			m.group.config.Failed(m.group.name, d, err)
		}
		m.group.settle(l, &d.Message, err != nil)
	}
}

// handle calls the handler. A panic is an error.
func (m *member) handle(d eventbus.Delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handler panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return m.handler(m.ctx, d)
}

// Close takes the member out of its group; see eventbus.Subscription.
func (m *member) Close() {
	g := m.group
	g.mu.Lock()
	m.cancel()
	g.turn.Broadcast()
	g.mu.Unlock()
	<-m.done
	g.mu.Lock()
	delete(g.members, m)
	g.mu.Unlock()
	if g.name == "" {
		m.bus.leave(g)
	}
}
