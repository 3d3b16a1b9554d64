package rows_test

import (
	"context"
	"fmt"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/eventstore/rows"
	"github.com/crhost/crhost/effects/keyspace/keyspacetest"
)

func ExampleOpen() {
	ctx, disk := context.Background(), new(keyspacetest.Disk)
	store, _ := rows.Open(disk)
	placed := []eventstore.Event{{ID: "7f3a/12/0", Type: "order_placed", Schema: 1, Data: pack.AppendString(nil, "two books")}}
	_, err := store.Append(ctx, "order-7", 0, placed)
	fmt.Println("appended:", err)

	// The power goes out. What was acknowledged is there, once, and whoever does not know that repeats it.
	store, err = rows.Open(disk.Crash())
	fmt.Println("opened:", err)
	at, err := store.Append(ctx, "order-7", 0, placed)
	fmt.Println("version", at.LastVersion, "position", at.LastPosition, err)
	events, _ := store.All(ctx, 0, 10)
	fmt.Println(len(events), events[0].Type, store.Close())
	// Output:
	// appended: <nil>
	// opened: <nil>
	// version 1 position 1 <nil>
	// 1 order_placed <nil>
}
