package events_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/events"
	"github.com/crhost/crhost/effects/eventstore"
	eventmemory "github.com/crhost/crhost/effects/eventstore/memory"
	"github.com/crhost/crhost/effects/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type object = map[string]any

// packed encodes v with the keys of maps in order.
func packed(v any) []byte {
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	enc.SetSortMapKeys(true)
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func unpacked(t require.TestingT, b []byte) (v object) {
	require.NoError(t, msgpack.Unmarshal(b, &v))
	return v
}

func version(n int64) *int64 { return &n }

// request is a leaf of acme's store orders/7; key tells it from others.
func request(key string, e abi.Effect) *effects.Request {
	return &effects.Request{
		Key: key, Store: abi.Address{Tenant: "acme", Module: "orders", Key: "7"}, Correlation: "c1", Drive: 1, Attempt: 1, Effect: &e,
	}
}

// do performs a leaf that is to succeed.
func do(t require.TestingT, c events.Config, r *effects.Request) object {
	result, err := events.Handlers(c)[r.Effect.Kind].Do(context.Background(), r)
	require.NoError(t, err)
	return unpacked(t, result)
}

// fail performs a leaf that is to fail, and returns the action that is fed back.
func fail(t require.TestingT, c events.Config, r *effects.Request) (action object, err error) {
	_, err = events.Handlers(c)[r.Effect.Kind].Do(context.Background(), r)
	require.Error(t, err)
	r.Effect.Err = "failed"
	b, fault := effects.Failed(r.Effect, err, 1, abi.DefaultActionBytes)
	require.NoError(t, fault)
	return unpacked(t, b), err
}

// E1, E7: what an append does to the store, to the byte.
func TestAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // for its clock
		store := eventmemory.New()
		c := events.Config{Store: store}
		two := request("l/1/0", abi.Effect{Kind: abi.KindAppend, Target: "order-7", Expect: version(0), Events: [][]byte{
			packed(object{"customer": "ann", "type": "placed", "total": 5}), packed(object{"schema": 3, "type": "paid"}),
		}})
		want := object{"stream": "order-7", "version": int8(2), "position": int8(2)}
		require.Equal(t, want, do(t, c, two))
		require.Equal(t, want, do(t, c, two), "again, with a version that has passed")

		one := request("l/2/0", abi.Effect{Kind: abi.KindAppend, Target: "order-7", Events: [][]byte{packed(object{"type": "noted"})}})
		require.Equal(t, object{"stream": "order-7", "version": int8(3), "position": int8(3)}, do(t, c, one), "any version")

		all, err := store.All(t.Context(), 0, 10)
		require.NoError(t, err)
		const now = 946684800_000_000_000 // of a bubble, at its start
		const head = "\x83\xa5store\xadacme/orders/7\xabcorrelation\xa2c1\xa9causation\xa5"
		require.Equal(t, []eventstore.Event{
			{ID: "l/1/0", Stream: "acme/order-7", Version: 1, Position: 1, Type: "placed", Time: now,
				Data: []byte("\x82\xa8customer\xa3ann\xa5total\x05"), Metadata: []byte(head + "l/1/0")},
			{ID: "l/1/0:1", Stream: "acme/order-7", Version: 2, Position: 2, Type: "paid", Schema: 3, Time: now,
				Data: []byte("\x80"), Metadata: []byte(head + "l/1/0")},
			{ID: "l/2/0", Stream: "acme/order-7", Version: 3, Position: 3, Type: "noted", Time: now,
				Data: []byte("\x80"), Metadata: []byte(head + "l/2/0")},
		}, all)
	})
}

func TestAppend_refused(t *testing.T) {
	event := packed(object{"type": "placed"})
	for name, c := range map[string]struct {
		effect abi.Effect
		want   object // of the action fed back, besides type, attempts and message
	}{
		"conflict":   {abi.Effect{Target: "order-7", Expect: version(3), Events: [][]byte{event}}, object{"code": "version_conflict", "stream": "order-7", "want": int8(3), "have": int8(1)}},
		"first":      {abi.Effect{Target: "order-7", Expect: version(0), Events: [][]byte{event}}, object{"code": "version_conflict", "stream": "order-7", "want": int8(0), "have": int8(1)}},
		"expect":     {abi.Effect{Target: "order-7", Expect: version(-2), Events: [][]byte{event}}, object{"code": "invalid"}},
		"no type":    {abi.Effect{Target: "order-7", Events: [][]byte{event, packed(object{"typ": "placed"})}}, object{"code": "invalid"}},
		"empty type": {abi.Effect{Target: "order-7", Events: [][]byte{packed(object{"type": ""})}}, object{"code": "invalid"}},
		"long name":  {abi.Effect{Target: string(make([]byte, 193)), Events: [][]byte{event}}, object{"code": "invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			store := eventmemory.New()
			config := events.Config{Store: store}
			do(t, config, request("l/1/0", abi.Effect{Kind: abi.KindAppend, Target: "order-7", Events: [][]byte{event}}))
			c.effect.Kind = abi.KindAppend
			action, err := fail(t, config, request("l/2/0", c.effect))
			require.True(t, retry.IsPermanent(err), "E7: an answer, not a failure")
			delete(action, "type")
			delete(action, "attempts")
			delete(action, "message")
			require.Equal(t, c.want, action)
			head, err := store.Head(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 1, head, "nothing was appended")
		})
	}
}

// A leaf that says something else in a later attempt breaks E1.
func TestAppend_reused(t *testing.T) {
	c := events.Config{Store: eventmemory.New()}
	event := packed(object{"type": "placed"})
	do(t, c, request("l/1/0", abi.Effect{Kind: abi.KindAppend, Target: "order-7", Events: [][]byte{event}}))
	action, err := fail(t, c, request("l/1/0", abi.Effect{Kind: abi.KindAppend, Target: "order-8", Events: [][]byte{event}}))
	require.Equal(t, "event_id_reused", action["code"])
	require.True(t, retry.IsPermanent(err))
}

// What ends by itself is tried again.
func TestAppend_closed(t *testing.T) {
	store := eventmemory.New()
	require.NoError(t, store.Close())
	action, err := fail(t, events.Config{Store: store}, request("l/1/0", abi.Effect{Kind: abi.KindAppend, Target: "order-7", Events: [][]byte{packed(object{"type": "t"})}}))
	require.Equal(t, "append to order-7: event store closed", action["message"])
	require.False(t, retry.IsPermanent(err))
	require.ErrorIs(t, err, eventstore.ErrClosed)
}
