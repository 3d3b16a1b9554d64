package eventbustest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventbus"
)

func groupChecks() []check {
	return []check{
		{name: "groups/each gets every message", run: func(k *kit) {
			mail, audit, one, two, other := k.inbox(), k.inbox(), k.inbox(), k.inbox(), k.inbox()
			mail.join("t", "mail", nil)
			audit.join("t", "audit", nil)
			one.join("t", "", nil)
			two.join("t", "", nil)
			other.join("u", "mail", nil)
			k.publish("t", "key", "a", "b")
			for _, in := range []*inbox{mail, audit, one, two} {
				require.Equal(k, []string{"a", "b"}, in.settled())
			}
			require.Empty(k, other.settled())
		}},
		{name: "groups/each message to one member", run: func(k *kit) {
			in := k.inbox()
			for range 3 {
				in.join("t", "g", nil)
			}
			var ids []string
			for i := range 30 {
				id := fmt.Sprintf("m%02d", i)
				k.publish("t", []string{"", "k", "l"}[i%3], id)
				ids = append(ids, id)
			}
			require.Equal(k, ids, slices.Sorted(slices.Values(in.settled())))
		}},
		{name: "groups/members work side by side", run: func(k *kit) {
			wait, open := k.gate()
			in := k.inbox()
			for range 3 {
				in.join("t", "g", func(context.Context, eventbus.Delivery) error { <-wait; return nil })
			}
			k.publish("t", "k1", "a")
			k.publish("t", "k2", "b")
			k.publish("t", "", "c")
			in.await(3) // none of them has returned
			open()
		}},
		{name: "groups/keep what comes while nobody is there", run: func(k *kit) {
			first, second := k.inbox(), k.inbox()
			s := first.join("t", "g", nil)
			k.publish("t", "key", "a")
			first.await(1)
			s.Close()
			k.publish("t", "key", "b", "c")
			second.join("t", "g", nil)
			require.Equal(k, []string{"b", "c"}, second.settled())
		}},
		{name: "groups/begin with what comes next", run: func(k *kit) {
			early, late := k.inbox(), k.inbox()
			early.join("t", "", nil)
			k.publish("t", "key", "a")
			late.join("t", "g", nil)
			k.publish("t", "key", "b")
			require.Equal(k, []string{"b"}, late.settled())
			require.Equal(k, []string{"a", "b"}, early.settled())
		}},
		{name: "groups/forgotten", run: func(k *kit) {
			first, second := k.inbox(), k.inbox()
			s := first.join("t", "g", nil)
			require.ErrorIs(k, k.Forget(k.ctx, "t", "g"), eventbus.ErrInUse)
			s.Close()
			k.publish("t", "key", "a")
			require.NoError(k, k.Forget(k.ctx, "t", "g"))
			require.NoError(k, k.Forget(k.ctx, "t", "g"))
			k.publish("t", "key", "b")
			second.join("t", "g", nil)
			k.publish("t", "key", "c")
			require.Equal(k, []string{"c"}, second.settled())
			require.Empty(k, first.settled())
		}},
	}
}

func crowdChecks() []check {
	return []check{
		{name: "crowd/nothing is lost and keys keep their order", crowd: true, run: func(k *kit) {
			const publishers, each, members = 4, 100, 4
			type record struct {
				key string
				n   int
			}
			var mu sync.Mutex // guards what follows
			var done []record
			running := map[string]bool{}
			overlaps, attempts := 0, 0
			all := make(chan struct{})
			handle := func(_ context.Context, d eventbus.Delivery) error {
				mu.Lock()
				if running[d.Key] {
					overlaps++
				}
				running[d.Key] = true
				attempts++
				fails := attempts%7 == 0
				mu.Unlock()
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					delete(running, d.Key)
				}()
				if fails {
					return fmt.Errorf("attempt %d of %s", d.Attempt, d.ID)
				}
				mu.Lock()
				defer mu.Unlock()
				var r record
				_, err := fmt.Sscanf(d.ID, "%1s-%d", &r.key, &r.n)
				done = append(done, r)
				if len(done) == publishers*each {
					close(all)
				}
				return err
			}
			var wg sync.WaitGroup
			k.Cleanup(wg.Wait)
			join := func() eventbus.Subscription {
				s, err := k.Subscribe(k.ctx, "t", "g", handle)
				require.NoError(k, err)
				return s
			}
			for range members {
				join()
			}
			restless := join()
			failed := make([]error, publishers)
			for p := range publishers {
				wg.Go(func() {
					key := string(rune('a' + p))
					for n := range each {
						for range 1 + n%2 { // every other one twice
							if err := k.Publish(k.ctx, message("t", key, fmt.Sprintf("%s-%d", key, n))); err != nil {
								failed[p] = err
								return
							}
						}
					}
				})
			}
			for range 20 {
				restless.Close()
				restless = join()
			}
			wg.Wait()
			for _, err := range failed {
				require.NoError(k, err)
			}
			select {
			case <-all:
			case <-k.ctx.Done():
				require.Fail(k, "messages were lost")
			}
			mu.Lock()
			defer mu.Unlock()
			require.Zero(k, overlaps, "two messages of one key at once")
			next := map[string]int{}
			for _, r := range done {
				require.Equal(k, next[r.key], r.n, "key %s", r.key)
				next[r.key]++
			}
		}},
	}
}
