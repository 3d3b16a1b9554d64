package eventbustest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/effects/eventbus"
	"github.com/crhost/crhost/effects/eventbus/eventbustest"
	"github.com/crhost/crhost/effects/eventbus/memory"
	"github.com/crhost/crhost/internal/conformance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const pending = 500

func open() eventbus.Bus { return memory.New(memory.Config{Pending: pending}) }

func TestFindings_noneInWhatIsRight(t *testing.T) {
	require.Empty(t, eventbustest.Findings(t, open, eventbustest.Features{Bubble: true, Pending: pending}))
	require.Empty(t, eventbustest.Findings(t, func() eventbus.Bus {
		return memory.New(memory.Config{Pending: pending, MinDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond})
	}, eventbustest.Features{Pending: pending}))
}

func TestFindings_brokenBuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		breaks func(*mutant)
		found  string // the one check that finds it
	}{
		{"loses the time", func(m *mutant) {
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				message.Time = 0
				return m.Bus.Publish(ctx, message)
			}
		}, "publish/everything of a message"},
		{"takes a bare message", func(m *mutant) {
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				if message.Body == nil {
					return nil
				}
				return m.Bus.Publish(ctx, message)
			}
		}, "publish/refuses what cannot be right"},
		{"has keys of 64 bytes", func(m *mutant) {
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				if len(message.Key) > 64 {
					return &eventbus.InvalidError{What: "order key"}
				}
				return m.Bus.Publish(ctx, message)
			}
		}, "publish/takes what is at the bounds"},
		{"keeps the caller's bytes", func(m *mutant) {
			var mu sync.Mutex
			kept := map[string][]byte{}
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				mu.Lock()
				if kept[message.ID] == nil {
					kept[message.ID] = message.Body
				}
				mu.Unlock()
				return m.Bus.Publish(ctx, message)
			}
			m.handles(func(h eventbus.Handler) eventbus.Handler {
				return func(ctx context.Context, d eventbus.Delivery) error {
					mu.Lock()
					d.Body = kept[d.ID]
					mu.Unlock()
					return h(ctx, d)
				}
			})
		}, "publish/bytes are the caller's again"},
		{"publishes for who has gone", func(m *mutant) {
			m.publish = func(_ context.Context, message eventbus.Message) error {
				return m.Bus.Publish(context.Background(), message)
			}
		}, "publish/cancelled"},
		{"forgets ids at once", func(m *mutant) {
			n := 0
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				if message.ID == "a" {
					n++
					message.ID = fmt.Sprintf("a/%d", n)
				}
				return m.Bus.Publish(ctx, message)
			}
			m.handles(func(h eventbus.Handler) eventbus.Handler {
				return func(ctx context.Context, d eventbus.Delivery) error {
					d.ID, _, _ = strings.Cut(d.ID, "/")
					return h(ctx, d)
				}
			})
		}, "publish/an id once (E1)"},
		{"has one group for all who have no name", func(m *mutant) {
			m.subscribe = func(ctx context.Context, topic, group string, h eventbus.Handler) (eventbus.Subscription, error) {
				if group == "" {
					s, err := m.Bus.Subscribe(ctx, topic, "nameless", h)
					return closing{s, func() { _ = m.Bus.Forget(context.Background(), topic, "nameless") }}, err
				}
				return m.Bus.Subscribe(ctx, topic, group, h)
			}
		}, "groups/each gets every message"},
		{"delivers to two members", func(m *mutant) {
			members := map[string]int{}
			m.subscribe = func(ctx context.Context, topic, group string, h eventbus.Handler) (eventbus.Subscription, error) {
				members[group]++
				if members[group] == 3 && topic == "t" {
					_, err := m.Bus.Subscribe(ctx, topic, "", func(ctx context.Context, d eventbus.Delivery) error {
						if d.ID[0] == 'm' {
							return h(ctx, d)
						}
						return nil
					})
					if err != nil {
						return nil, err
					}
				}
				return m.Bus.Subscribe(ctx, topic, group, h)
			}
		}, "groups/each message to one member"},
		{"has one member work at a time", func(m *mutant) {
			turn := make(chan struct{}, 1)
			m.handles(func(h eventbus.Handler) eventbus.Handler {
				return func(ctx context.Context, d eventbus.Delivery) error {
					if d.Key == "k1" || d.Key == "k2" {
						turn <- struct{}{}
						defer func() { <-turn }()
					}
					return h(ctx, d)
				}
			})
		}, "groups/members work side by side"},
		{"drops what comes while nobody is there", func(m *mutant) {
			var mu sync.Mutex
			members := map[string]int{}
			m.subscribe = func(ctx context.Context, topic, group string, h eventbus.Handler) (eventbus.Subscription, error) {
				s, err := m.Bus.Subscribe(ctx, topic, group, h)
				mu.Lock()
				defer mu.Unlock()
				members[topic+group]++
				return closing{s, func() {
					mu.Lock()
					defer mu.Unlock()
					members[topic+group]--
				}}, err
			}
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				mu.Lock()
				n, known := members[message.Topic+"g"]
				mu.Unlock()
				if known && n == 0 {
					message.Topic = "nobody's"
				}
				return m.Bus.Publish(ctx, message)
			}
		}, "groups/keep what comes while nobody is there"},
		{"replays to new groups", func(m *mutant) {
			var mu sync.Mutex
			nameless := false
			var last *eventbus.Message
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				mu.Lock()
				defer mu.Unlock()
				last = &message
				return m.Bus.Publish(ctx, message)
			}
			m.subscribe = func(ctx context.Context, topic, group string, h eventbus.Handler) (eventbus.Subscription, error) {
				mu.Lock()
				defer mu.Unlock()
				if group == "" {
					nameless = true
				} else if nameless && last != nil && h != nil {
					_ = h(ctx, eventbus.Delivery{Message: *last, Attempt: 1})
				}
				return m.Bus.Subscribe(ctx, topic, group, h)
			}
		}, "groups/begin with what comes next"},
		{"remembers forgotten groups", func(m *mutant) {
			m.forget = func(ctx context.Context, topic, group string) error {
				err := m.Bus.Forget(ctx, topic, group)
				if err == nil {
					s, err := m.Bus.Subscribe(ctx, topic, group, func(context.Context, eventbus.Delivery) error { return errors.New("not mine") })
					if err != nil {
						return err
					}
					s.Close()
				}
				return err
			}
		}, "groups/forgotten"},
		{"swaps two messages of a key", func(m *mutant) {
			var held *eventbus.Message
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				if message.ID == "n7" {
					held = &message
					return nil
				}
				err := m.Bus.Publish(ctx, message)
				if err == nil && held != nil {
					err = m.Bus.Publish(ctx, *held)
					held = nil
				}
				return err
			}
		}, "order/of a key"},
		{"hands messages of a key to two members at once", func(m *mutant) {
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				if strings.HasPrefix(message.ID, "n") && message.ID != "none" {
					message.Key = ""
				}
				return m.Bus.Publish(ctx, message)
			}
		}, "order/of a key"},
		{"goes on with the key after a failure", func(m *mutant) {
			m.handles(func(h eventbus.Handler) eventbus.Handler {
				return func(ctx context.Context, d eventbus.Delivery) error {
					err := h(ctx, d)
					if err == nil || d.Key != "k" {
						return err
					}
					var again func()
					again = func() {
						if d.Attempt++; ctx.Err() == nil && h(ctx, d) != nil {
							time.AfterFunc(time.Second, again)
						}
					}
					time.AfterFunc(time.Second, again)
					return nil
				}
			})
		}, "order/a failing message holds back its key and no other"},
		{"loses what a handler failed on", func(m *mutant) {
			m.handles(func(h eventbus.Handler) eventbus.Handler {
				return func(ctx context.Context, d eventbus.Delivery) error {
					if err := h(ctx, d); err != nil && (d.Attempt < 3 || ctx.Err() != nil || d.Key != "") {
						return err
					}
					return nil
				}
			})
		}, "ack/again after an error"},
		{"takes a panic for the end", func(m *mutant) {
			m.handles(func(h eventbus.Handler) eventbus.Handler {
				return func(ctx context.Context, d eventbus.Delivery) error {
					defer func() { _ = recover() }()
					return h(ctx, d)
				}
			})
		}, "ack/again after a panic"},
		{"acknowledges before it handles", func(m *mutant) {
			m.handles(func(h eventbus.Handler) eventbus.Handler {
				return func(ctx context.Context, d eventbus.Delivery) error {
					if err := h(ctx, d); err != nil && ctx.Err() == nil {
						return err // told again by the process that is still there
					}
					return nil
				}
			})
		}, "ack/not before the handler has returned"},
		{"drops late answers", func(m *mutant) {
			m.handles(func(h eventbus.Handler) eventbus.Handler {
				return func(ctx context.Context, d eventbus.Delivery) error {
					return errors.Join(h(ctx, d), ctx.Err())
				}
			})
		}, "ack/also when the subscription has ended"},
		{"tells the fast when the slow is full", func(m *mutant) {
			var mu sync.Mutex
			var fast eventbus.Handler
			m.subscribe = func(ctx context.Context, topic, group string, h eventbus.Handler) (eventbus.Subscription, error) {
				mu.Lock()
				defer mu.Unlock()
				if group == "fast" {
					fast = h
				}
				return m.Bus.Subscribe(ctx, topic, group, h)
			}
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				err := m.Bus.Publish(ctx, message)
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, eventbus.ErrFull) && fast != nil {
					_ = fast(ctx, eventbus.Delivery{Message: message, Attempt: 1})
				}
				return err
			}
		}, "full/is said, and nobody gets the message"},
		{"remembers what it refused", func(m *mutant) {
			refused := map[string]bool{}
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				if refused[message.ID] {
					return nil
				}
				err := m.Bus.Publish(ctx, message)
				if errors.Is(err, eventbus.ErrFull) {
					refused[message.ID] = true
				}
				return err
			}
		}, "full/what was refused may be published again"},
		{"closes a subscription before its handler has returned", func(m *mutant) {
			m.subscribe = func(ctx context.Context, topic, group string, h eventbus.Handler) (eventbus.Subscription, error) {
				s, err := m.Bus.Subscribe(ctx, topic, group, h)
				if group == "" && err == nil {
					return impatient{s}, nil
				}
				return s, err
			}
		}, "close/a subscription, after its handler"},
		{"publishes when closed", func(m *mutant) {
			closed := false
			m.close = func() error { closed = true; return m.Bus.Close() }
			m.publish = func(ctx context.Context, message eventbus.Message) error {
				if closed {
					return nil
				}
				return m.Bus.Publish(ctx, message)
			}
		}, "close/the bus"},
		{"loses what a member had when it left", func(m *mutant) {
			m.handles(func(h eventbus.Handler) eventbus.Handler {
				return func(ctx context.Context, d eventbus.Delivery) error {
					if d.ID == "c-50" && d.Attempt == 1 {
						return nil
					}
					return h(ctx, d)
				}
			})
		}, "crowd/nothing is lost and keys keep their order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := eventbustest.Findings(t, func() eventbus.Bus {
				m := &mutant{Bus: open()}
				c.breaks(m)
				return m
			}, eventbustest.Features{Bubble: true, Pending: pending})
			conformance.RequireOnly(t, found, c.found)
		})
	}
}
