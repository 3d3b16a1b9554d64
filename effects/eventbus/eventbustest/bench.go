package eventbustest

import (
	"context"
	"fmt"
	"testing"

	"github.com/crhost/crhost/effects/eventbus"
)

// Benchmark measures what the suite checks: from publish to handled, by groups, members and keys.
func Benchmark(b *testing.B, open func() eventbus.Bus) {
	ctx := context.Background()
	for _, c := range []struct{ groups, members, keys int }{{0, 0, 1}, {1, 1, 1}, {1, 4, 100}, {4, 1, 1}} {
		b.Run(fmt.Sprintf("groups=%d/members=%d/keys=%d", c.groups, c.members, c.keys), func(b *testing.B) {
			bus := open()
			defer bus.Close()
			handled := make(chan struct{}, 64)
			for g := range c.groups {
				for range c.members {
					if _, err := bus.Subscribe(ctx, "t", fmt.Sprint(g), func(context.Context, eventbus.Delivery) error {
						handled <- struct{}{}
						return nil
					}); err != nil {
						b.Fatal(err)
					}
				}
			}
			m := message("t", "", "")
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.ID, m.Key = fmt.Sprintf("m%d", i), fmt.Sprintf("k%d", i%c.keys)
				if err := bus.Publish(ctx, m); err != nil {
					b.Fatal(err)
				}
				for range c.groups {
					<-handled
				}
			}
		})
	}
}
