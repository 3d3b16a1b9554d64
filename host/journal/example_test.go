package journal_test

import (
	"context"
	"fmt"
	"math"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
)

func ExampleCommitter() {
	backend := memory.New(memory.Config{})
	defer backend.Close()
	fence := journal.NewCommitter(backend, journal.Config{})
	life := journal.Incarnation{1}

	// Under the shard's lock:
	record := journal.Record{Kind: journal.KindAction, Cause: journal.CauseCommand, Life: life, Seq: 1, Action: []byte("increment")}
	position := fence.Enqueue(journal.Step{Life: life, Seq: 1, Record: record.Encode()})

	// Without it:
	if err := fence.Wait(context.Background(), position); err != nil {
		fmt.Println(err)
	}
	for r, err := range journal.Records(backend, life, 1, math.MaxUint64) {
		fmt.Printf("%d %s %v\n", r.Seq, r.Action, err)
	}
	// Output: 1 increment <nil>
}

func ExamplePutStore() {
	backend := memory.New(memory.Config{})
	defer backend.Close()
	id := journal.StoreID{Tenant: "default", Module: "counter", Key: "main"}

	var batch journal.Batch
	journal.PutStore(&batch, id, &journal.Store{Life: journal.Incarnation{1}})
	if err := backend.Apply(&batch); err != nil {
		fmt.Println(err)
	}
	for store, err := range journal.Stores(backend, journal.ModuleID{Tenant: "default", Module: "counter"}, "") {
		fmt.Println(store.ID, store.Life, err)
	}
	// Output: default/counter/main 01000000000000000000000000000000 <nil>
}
