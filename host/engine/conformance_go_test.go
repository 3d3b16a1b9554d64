//go:build !race

package engine_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/crhost/crhost/abi/abitest"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
)

// The shipped counter passes the kit. Go's heap takes some 100,000 actions to find its size; the kit has one goroutine, so that the race
// detector, under which this takes half a minute, has nothing to see.
func TestConformance_counter(t *testing.T) {
	report := conform(t, enginetest.BuildGo(t, "./plugins/counter"), abitest.Config{Actions: samples(), Rounds: 200_000})
	requireConformance(t, report)
}

// So does the shipped order, with a bank: with what people send, what effects come to, and effects in its answers. (That ship is not accepted is a warning: an
// order that stores an event takes no command, and no sample can know the id of the effect that would say that it is stored.)
func TestConformance_orders(t *testing.T) {
	type object = map[string]any
	packed := func(v object) []byte {
		b, err := msgpack.Marshal(v)
		require.NoError(t, err)
		return b
	}
	item := object{"product": "t1", "name": "tea", "quantity": 2, "price": 450}
	event := object{"type": "order_placed", "version": 1, "position": 1, "data": object{"order": "7", "customer": "ann", "items": []any{item}, "total": 900}}
	paid := object{"type": "order_paid", "version": 2, "position": 2, "data": object{"order": "7", "customer": "ann"}}
	actions := [][]byte{
		packed(object{"type": "place", "customer": "ann", "items": []any{item}}),
		packed(object{"type": "loaded", "events": []any{event}, "more": false}),
		packed(object{"type": "loaded", "events": []any{event, paid}, "more": false}),
		packed(object{"type": "loaded", "events": []any{paid}, "more": true}),
		packed(object{"type": "cancel", "reason": "r"}),
		packed(object{"type": "ship", "tracking": "T"}),
		packed(object{"type": "payment_failed", "code": "http_status", "message": "402"}),
	}
	m := load(t, open(t, engine.Config{}), "t", enginetest.BuildGo(t, "./plugins/orders"))
	report, err := abitest.Run(t.Context(), func(ctx context.Context) (abitest.Guest, error) {
		return m.Conformance(ctx, packed(object{"payment_url": "https://bank.example/pay"}), fuel)
	}, abitest.Config{Actions: actions, Rounds: 200_000})
	require.NoError(t, err)
	requireConformance(t, report)
}
