package memory_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/eventbus"
	"github.com/crhost/crhost/effects/eventbus/memory"
)

func ExampleNew() {
	ctx := context.Background()
	bus := memory.New(memory.Config{MinDelay: time.Millisecond})
	defer bus.Close()

	handled := make(chan string)
	_, err := bus.Subscribe(ctx, "orders", "mail", func(_ context.Context, d eventbus.Delivery) error {
		if d.ID == "7f3a/12/0" && d.Attempt == 1 {
			return errors.New("the mail server is down")
		}
		handled <- fmt.Sprintf("%s of %s, attempt %d", d.ID, d.Key, d.Attempt)
		return nil
	})
	fmt.Println(err)

	for _, id := range []string{"7f3a/12/0", "7f3a/13/0", "7f3a/12/0"} { // the last one does not know that it was published
		err := bus.Publish(ctx, eventbus.Message{ID: id, Topic: "orders", Key: "order-7", Body: pack.AppendString(nil, "shipped")})
		fmt.Println(err)
	}
	fmt.Println(<-handled)
	fmt.Println(<-handled)
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// <nil>
	// 7f3a/12/0 of order-7, attempt 2
	// 7f3a/13/0 of order-7, attempt 1
}
