package eventbustest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventbus"
)

var errHandler = errors.New("handler failed")

func ackChecks() []check {
	return []check{
		{name: "ack/again after an error", run: func(k *kit) {
			in := k.inbox()
			in.join("t", "g", func(_ context.Context, d eventbus.Delivery) error {
				if d.Attempt < 4 {
					return errHandler
				}
				return nil
			})
			k.publish("t", "", "a")
			require.Equal(k, []string{"a", "a", "a", "a"}, in.settle(4))
			for i, d := range in.given {
				require.Equal(k, i+1, d.Attempt)
			}
		}},
		{name: "ack/again after a panic", run: func(k *kit) {
			in := k.inbox()
			in.join("t", "g", func(_ context.Context, d eventbus.Delivery) error {
				if d.Attempt == 1 {
					panic("handler")
				}
				return nil
			})
			k.publish("t", "", "a")
			require.Equal(k, []string{"a", "a"}, in.settle(2))
		}},
		{name: "ack/not before the handler has returned", run: func(k *kit) {
			first, second := k.inbox(), k.inbox()
			s := first.join("t", "g", func(ctx context.Context, _ eventbus.Delivery) error {
				<-ctx.Done()
				return context.Cause(ctx)
			})
			k.publish("t", "key", "a", "b")
			first.await(1)
			s.Close()
			second.join("t", "g", nil)
			require.Equal(k, []string{"a", "b"}, second.settle(2))
			require.Equal(k, []string{"a"}, first.settled())
		}},
		{name: "ack/also when the subscription has ended", run: func(k *kit) {
			first, second := k.inbox(), k.inbox()
			s := first.join("t", "g", func(ctx context.Context, _ eventbus.Delivery) error {
				<-ctx.Done()
				return nil
			})
			k.publish("t", "key", "a", "b")
			first.await(1)
			s.Close()
			second.join("t", "g", nil)
			require.Equal(k, []string{"b"}, second.settle(1))
		}},
	}
}

func fullChecks() []check {
	return []check{
		{name: "full/is said, and nobody gets the message", fills: true, run: func(k *kit) {
			wait, open := k.gate()
			slow, fast, elsewhere := k.inbox(), k.inbox(), k.inbox()
			slow.join("t", "slow", func(context.Context, eventbus.Delivery) error { <-wait; return nil })
			fast.join("t", "fast", nil)
			elsewhere.join("u", "slow", nil)
			var taken []string
			var err error
			for i := 0; err == nil; i++ {
				require.LessOrEqual(k, i, 10*k.features.Pending, "it never is")
				id := fmt.Sprintf("m%03d", i)
				if err = k.Publish(k.ctx, message("t", "key", id)); err == nil {
					taken = append(taken, id)
					fast.await(len(taken))
				}
			}
			require.ErrorIs(k, err, eventbus.ErrFull)
			var full *eventbus.FullError
			require.ErrorAs(k, err, &full)
			require.Equal(k, "t", full.Topic)
			require.Equal(k, "slow", full.Group)
			require.GreaterOrEqual(k, len(taken), k.features.Pending)
			k.publish("u", "key", "a")
			elsewhere.await(1)
			require.Equal(k, taken, fast.settled())
			open()
			require.Equal(k, taken, slow.settle(len(taken)))
		}},
		{name: "full/what was refused may be published again", fills: true, run: func(k *kit) {
			wait, open := k.gate()
			in := k.inbox()
			in.join("t", "g", func(context.Context, eventbus.Delivery) error { <-wait; return nil })
			var ids []string
			for i := 0; ; i++ {
				id := fmt.Sprintf("m%03d", i)
				ids = append(ids, id)
				if k.Publish(k.ctx, message("t", "key", id)) != nil {
					break
				}
			}
			open()
			in.await(len(ids) - 1)
			in.settled()
			k.publish("t", "key", ids[len(ids)-1])
			require.Equal(k, ids, in.settle(len(ids)))
		}},
	}
}

func closeChecks() []check {
	return []check{
		{name: "close/a subscription, after its handler", run: func(k *kit) {
			var mu sync.Mutex // guards returned
			returned := false
			in := k.inbox()
			s := in.join("t", "", func(ctx context.Context, _ eventbus.Delivery) error {
				<-ctx.Done()
				mu.Lock()
				defer mu.Unlock()
				returned = true
				return nil
			})
			k.publish("t", "key", "a", "b")
			in.await(1)
			s.Close()
			mu.Lock()
			before := returned
			mu.Unlock()
			require.True(k, before)
			s.Close()
			k.publish("t", "key", "c")
			require.Equal(k, []string{"a"}, in.settled())
		}},
		{name: "close/the bus", run: func(k *kit) {
			in := k.inbox()
			s := in.join("t", "g", func(ctx context.Context, _ eventbus.Delivery) error {
				<-ctx.Done()
				return context.Cause(ctx)
			})
			k.publish("t", "key", "a")
			in.await(1)
			require.NoError(k, k.Close())
			require.NoError(k, k.Close())
			s.Close()
			require.ErrorIs(k, k.Publish(k.ctx, message("t", "key", "b")), eventbus.ErrClosed)
			_, err := k.Subscribe(k.ctx, "t", "g", nil)
			require.ErrorIs(k, err, eventbus.ErrClosed)
			require.ErrorIs(k, k.Forget(k.ctx, "t", "g"), eventbus.ErrClosed)
			require.Equal(k, []string{"a"}, in.settled())
		}},
	}
}
