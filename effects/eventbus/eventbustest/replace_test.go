package eventbustest_test

import (
	"context"

	"github.com/crhost/crhost/effects/eventbus"
)

// mutant is a bus with methods replaced.
type mutant struct {
	eventbus.Bus
	publish   func(context.Context, eventbus.Message) error
	subscribe func(ctx context.Context, topic, group string, h eventbus.Handler) (eventbus.Subscription, error)
	forget    func(ctx context.Context, topic, group string) error
	close     func() error
}

func (m *mutant) Publish(ctx context.Context, message eventbus.Message) error {
	if m.publish != nil {
		return m.publish(ctx, message)
	}
	return m.Bus.Publish(ctx, message)
}

func (m *mutant) Subscribe(ctx context.Context, topic, group string, h eventbus.Handler) (eventbus.Subscription, error) {
	if m.subscribe != nil {
		return m.subscribe(ctx, topic, group, h)
	}
	return m.Bus.Subscribe(ctx, topic, group, h)
}

func (m *mutant) Forget(ctx context.Context, topic, group string) error {
	if m.forget != nil {
		return m.forget(ctx, topic, group)
	}
	return m.Bus.Forget(ctx, topic, group)
}

func (m *mutant) Close() error {
	if m.close != nil {
		return m.close()
	}
	return m.Bus.Close()
}

// handles replaces the handlers that are subscribed.
func (m *mutant) handles(change func(eventbus.Handler) eventbus.Handler) {
	m.subscribe = func(ctx context.Context, topic, group string, h eventbus.Handler) (eventbus.Subscription, error) {
		return m.Bus.Subscribe(ctx, topic, group, change(h))
	}
}

// closing is a subscription that has something done when it was closed.
type closing struct {
	eventbus.Subscription
	then func()
}

func (c closing) Close() {
	c.Subscription.Close()
	c.then()
}

// impatient is a subscription that is closed without waiting.
type impatient struct{ eventbus.Subscription }

func (i impatient) Close() { go i.Subscription.Close() }
