package events_test

import (
	"context"
	"fmt"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/events"
	eventmemory "github.com/crhost/crhost/effects/eventstore/memory"
)

func Example() {
	ctx, store := context.Background(), eventmemory.New()
	registry := effects.Registry{Kinds: events.Handlers(events.Config{Store: store})}

	first := int64(0)
	leaf := &abi.Effect{Kind: abi.KindAppend, Target: "order-7", Expect: &first, Events: [][]byte{packed(object{"type": "placed", "total": 5})}}
	for _, seq := range []uint64{1, 1, 2} { // an attempt, the same again, and another action's
		h, _ := registry.Handler(leaf)
		_, err := h.Do(ctx, &effects.Request{
			Key: effects.Key([16]byte{}, seq, 0), Store: abi.Address{Tenant: "acme", Module: "orders", Key: "7"}, Effect: leaf,
		})
		fmt.Println(err)
	}

	all, _ := store.All(ctx, 0, 10)
	for _, e := range all {
		fmt.Println(e.Position, e.Stream, e.Version, e.Type, e.ID)
	}
	// Output:
	// <nil>
	// <nil>
	// version_conflict: order-7: expected version 0, has 1
	// 1 acme/order-7 1 placed 00000000000000000000000000000000/1/0
}

func ExampleScope() {
	topic, err := events.Scope("acme", "orders") // to subscribe to
	fmt.Println(topic, err)
	tenant, name, ok := events.Split(topic)
	fmt.Println(tenant, name, ok)
	_, err = events.Scope("acme", "")
	fmt.Println(err)
	// Output:
	// acme/orders <nil>
	// acme orders true
	// bad name: 0 bytes, want 1 to 192
}
