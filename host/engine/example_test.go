package engine_test

import (
	"context"
	"fmt"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
)

// A guest is loaded once, instantiated as often as there are shards, and asked one thing at a time.
func Example() {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	wasm, err := enginetest.CounterModule()
	check(err)
	e, err := engine.New(ctx, engine.Config{})
	check(err)
	defer e.Close()
	m, err := e.Load(ctx, "tenant", wasm)
	check(err)
	defer m.Close()
	i, err := m.Instantiate(ctx, nil)
	check(err)
	defer i.Close()

	var out abi.Output
	in := abi.ReduceInput{Mode: abi.Fresh, Slot: 3, Ticket: 1, Seq: 1, Body: enginetest.Action("increment", 5)}
	check(i.Reduce(&in, int64(m.Limits().Fuel), &out))
	state, err := i.State(3, 1)
	check(err)
	fmt.Println(m.Manifest().Actions[0].Type, out.Status)
	fmt.Printf("%q\n", state)
	// Output:
	// increment OK
	// "\x81\xa5count\xd3\x00\x00\x00\x00\x00\x00\x00\x05"
}
