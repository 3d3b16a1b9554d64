package projection_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/eventstore"
	eventmemory "github.com/crhost/crhost/effects/eventstore/memory"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/memory"
)

// byCustomer is the orders of each customer, under customer/order.
type byCustomer struct{}

func (byCustomer) Name() string { return "orders_by_customer" }

func (byCustomer) Apply(_ context.Context, tx projection.Tx, e eventstore.Event) error {
	order := strings.TrimPrefix(e.Stream, "order-")
	switch e.Type {
	case "order_placed":
		r := pack.NewReader(e.Data)
		customer := string(r.Str())
		if r.Err() != nil {
			return r.Err()
		}
		if err := tx.Set("by_order/"+order, []byte(customer)); err != nil {
			return err
		}
		return tx.Set("by_customer/"+customer+"/"+order, []byte("placed"))
	case "order_shipped":
		customer, err := tx.Get("by_order/" + order)
		if err != nil {
			return err
		}
		return tx.Set("by_customer/"+string(customer)+"/"+order, []byte("shipped"))
	}
	return nil
}

func ExampleRunner() {
	ctx, cancel := context.WithCancel(context.Background())
	events, models := eventmemory.New(), memory.New()
	runner, err := projection.New(events, models, byCustomer{}, projection.Config{})
	fmt.Println(err)
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()

	var last eventstore.Appended
	for i, e := range []struct{ order, what, customer string }{
		{"1", "order_placed", "ada"}, {"2", "order_placed", "bob"}, {"3", "order_placed", "ada"}, {"1", "order_shipped", ""},
	} {
		last, _ = events.Append(ctx, "order-"+e.order, eventstore.Any, []eventstore.Event{
			{ID: fmt.Sprint(i), Type: e.what, Data: pack.AppendString(nil, e.customer)},
		})
	}

	fmt.Println(runner.Wait(ctx, last.LastPosition)) // readers see what was appended
	show := func() {
		page, _ := models.List(ctx, "orders_by_customer", "by_customer/ada/", "", 10)
		for _, row := range page.Rows {
			fmt.Println("build", page.ID, row.Key, string(row.Value))
		}
	}
	show()

	build, _ := runner.Rebuild(ctx)
	fmt.Println(runner.WaitBuild(ctx, build))
	show()

	cancel()
	fmt.Println(<-done)
	// Output:
	// <nil>
	// <nil>
	// build 1 by_customer/ada/1 shipped
	// build 1 by_customer/ada/3 placed
	// <nil>
	// build 2 by_customer/ada/1 shipped
	// build 2 by_customer/ada/3 placed
	// context canceled
}
