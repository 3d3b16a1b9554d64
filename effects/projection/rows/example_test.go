package rows_test

import (
	"context"
	"fmt"

	"github.com/crhost/crhost/effects/keyspace/keyspacetest"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/rows"
)

func ExampleOpen() {
	ctx, disk := context.Background(), new(keyspacetest.Disk)
	store, _ := rows.Open(disk)
	err := store.Update(ctx, "orders", projection.Build{ID: 1}, 7, func(tx projection.Tx) error { return tx.Set("ann/7", []byte("placed")) })
	fmt.Println("updated:", err)

	// The power goes out. Rows and checkpoint are there, and whoever follows the events goes on behind them.
	store, _ = rows.Open(disk.Crash())
	page, err := store.List(ctx, "orders", "ann/", "", 10)
	fmt.Println("at", page.Checkpoint, page.Rows[0].Key, string(page.Rows[0].Value), err)
	fmt.Println(store.Close())
	// Output:
	// updated: <nil>
	// at 7 ann/7 placed <nil>
	// <nil>
}
