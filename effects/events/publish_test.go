package events_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/eventbus"
	busmemory "github.com/crhost/crhost/effects/eventbus/memory"
	"github.com/crhost/crhost/effects/events"
	"github.com/crhost/crhost/effects/retry"
)

func TestPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := busmemory.New(busmemory.Config{})
		defer bus.Close()
		got := make(chan eventbus.Delivery, 10)
		take := func(_ context.Context, d eventbus.Delivery) error { got <- d; return nil }
		topic, err := events.Scope("acme", "orders")
		require.NoError(t, err)
		_, err = bus.Subscribe(t.Context(), topic, "", take)
		require.NoError(t, err)
		_, err = bus.Subscribe(t.Context(), "other/orders", "", take)
		require.NoError(t, err)

		leaf := request("l/1/0", abi.Effect{Kind: abi.KindPublish, Target: "orders", Key: "7", Body: []byte("\x81\xa1a\x01")})
		require.Equal(t, object{"topic": "orders"}, do(t, events.Config{Bus: bus}, leaf))
		require.Equal(t, object{"topic": "orders"}, do(t, events.Config{Bus: bus}, leaf), "E1: the same message")
		synctest.Wait()
		require.Len(t, got, 1)
		require.Equal(t, eventbus.Message{
			ID: "l/1/0", Topic: "acme/orders", Key: "7", Body: []byte("\x81\xa1a\x01"), Time: 946684800_000_000_000,
			Metadata: []byte("\x83\xa5store\xadacme/orders/7\xabcorrelation\xa2c1\xa9causation\xa5l/1/0"),
		}, (<-got).Message)
	})
}

// answering is a bus that answers with err.
type answering struct {
	eventbus.Bus
	err error
}

func (b answering) Publish(context.Context, eventbus.Message) error { return b.err }

func TestPublish_fails(t *testing.T) {
	full := &eventbus.FullError{Topic: "acme/orders", Group: "billing", Pending: 9}
	leaf := abi.Effect{Kind: abi.KindPublish, Target: "orders", Body: []byte{0xc0}}
	action, err := fail(t, events.Config{Bus: answering{err: full}}, request("l/1/0", leaf))
	require.Equal(t, object{"type": "failed", "attempts": int8(1), "code": "topic_full", "topic": "orders", "message": "a group of orders has no room"}, action)
	require.False(t, retry.IsPermanent(err))
	wait, ok := retry.AfterOf(err)
	require.True(t, ok)
	require.Equal(t, events.FullWait, wait)
	require.ErrorIs(t, err, eventbus.ErrFull)

	action, err = fail(t, events.Config{Bus: answering{err: context.DeadlineExceeded}}, request("l/1/0", leaf))
	require.Equal(t, "timeout", action["code"])
	require.False(t, retry.IsPermanent(err))

	bus := busmemory.New(busmemory.Config{})
	defer bus.Close()
	leaf.Body = append([]byte{0xdb, 0, 0x10, 0, 0}, strings.Repeat("x", eventbus.MaxMessageBytes)...)
	action, err = fail(t, events.Config{Bus: bus}, request("l/1/0", leaf))
	require.Equal(t, "invalid", action["code"])
	require.True(t, retry.IsPermanent(err))
}
