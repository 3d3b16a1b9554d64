package memory_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/eventstore/memory"
)

func ExampleNew() {
	ctx := context.Background()
	store := memory.New()
	defer store.Close()

	placed := []eventstore.Event{{ID: "7f3a/12/0", Type: "order_placed", Schema: 1, Data: pack.AppendString(nil, "two books")}}
	at, err := store.Append(ctx, "order-7", 0, placed)
	fmt.Println("version", at.LastVersion, "position", at.LastPosition, err)

	// Whoever does not know whether that went through repeats it.
	again, err := store.Append(ctx, "order-7", 0, placed)
	fmt.Println("the same:", again == at, err)

	// Somebody else thinks that the order is still to be placed.
	_, err = store.Append(ctx, "order-7", 0, []eventstore.Event{{ID: "91bc/3/0", Type: "order_placed", Data: pack.AppendNil(nil)}})
	fmt.Println(errors.Is(err, eventstore.ErrConflict), err)

	events, err := store.Load(ctx, "order-7", 1, 100)
	for _, e := range events {
		fmt.Println(e.Version, e.Type, err)
	}
	// Output:
	// version 1 position 1 <nil>
	// the same: true <nil>
	// true stream order-7: version conflict: expected 0, has 1
	// 1 order_placed <nil>
}

// Following what is appended, without polling.
func ExampleStore_Wait() {
	ctx := context.Background()
	store := memory.New()
	defer store.Close()
	var writing sync.WaitGroup
	writing.Go(func() {
		for _, id := range []string{"a", "b", "c"} {
			_, _ = store.Append(ctx, "s", eventstore.Any, []eventstore.Event{{ID: id, Type: "t", Data: pack.AppendNil(nil)}})
		}
	})
	for position := uint64(0); position < 3 && store.Wait(ctx, position) == nil; {
		events, _ := store.All(ctx, position, 10)
		for _, e := range events {
			fmt.Println(e.Position, e.ID)
			position = e.Position
		}
	}
	writing.Wait()
	// Output:
	// 1 a
	// 2 b
	// 3 c
}
