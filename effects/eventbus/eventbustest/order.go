package eventbustest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventbus"
)

func orderChecks() []check {
	return []check{
		{name: "order/of a key", run: func(k *kit) {
			var mu sync.Mutex // guards running and overlaps
			running, overlaps := 0, 0
			in := k.inbox()
			for range 3 {
				in.join("t", "g", func(context.Context, eventbus.Delivery) error {
					mu.Lock()
					if running++; running > 1 {
						overlaps++
					}
					mu.Unlock()
					<-time.After(time.Millisecond)
					mu.Lock()
					running--
					mu.Unlock()
					return nil
				})
			}
			var ids []string
			for i := range 20 {
				ids = append(ids, fmt.Sprint("n", i))
			}
			k.publish("t", "key", ids...)
			require.Equal(k, ids, in.settled())
			require.Zero(k, overlaps, "two messages of one key at once")
		}},
		{name: "order/a failing message holds back its key and no other", run: func(k *kit) {
			others, let := k.gate()
			in := k.inbox()
			for range 2 {
				in.join("t", "g", func(_ context.Context, d eventbus.Delivery) error {
					if d.ID == "k1" {
						select {
						case <-others:
						default:
							return errHandler
						}
					}
					return nil
				})
			}
			k.publish("t", "k", "k1", "k2", "k3")
			k.publish("t", "other", "o1", "o2")
			k.publish("t", "", "none")
			k.awaitIDs(in, "o1", "o2", "none")
			k.awaitTimes(in, "k1", 2)
			require.NotContains(k, in.await(0), "k2")
			let()
			k.awaitIDs(in, "k2", "k3")
			var order []string
			for _, id := range in.settled() {
				if id[0] == 'k' && (len(order) == 0 || order[len(order)-1] != id) {
					order = append(order, id)
				}
			}
			require.Equal(k, []string{"k1", "k2", "k3"}, order)
		}},
	}
}

// awaitIDs waits until each of the ids was given.
func (k *kit) awaitIDs(in *inbox, ids ...string) {
	k.Helper()
	for _, id := range ids {
		k.awaitTimes(in, id, 1)
	}
}

// awaitTimes waits until an id was given that many times.
func (k *kit) awaitTimes(in *inbox, id string, times int) {
	k.Helper()
	for n := 0; ; n++ {
		count := 0
		for _, got := range in.await(n) {
			if got == id {
				count++
			}
		}
		if count >= times {
			return
		}
	}
}
