package eventstoretest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
)

func crowdChecks() []check {
	return []check{
		{name: "crowd/linearizable", crowd: true, run: func(k *kit) {
			for round := range 8 {
				s := k.store()
				result := porcupine.CheckOperationsTimeout(storeModel, k.observe(s, uint64(round)), time.Minute)
				require.Equal(k, porcupine.Ok, result, "round %d", round)
			}
		}},
		{name: "crowd/nothing appears behind a reader", crowd: true, run: func(k *kit) {
			s := k.store()
			const writers, appends = 4, 200
			var reading, writing sync.WaitGroup
			followed := make([][]uint64, 3)
			faults := make([]error, len(followed))
			for i := range followed {
				reading.Go(func() {
					for after := uint64(0); len(followed[i]) < writers*appends*2; {
						if faults[i] = s.Wait(k.ctx, after); faults[i] != nil {
							return
						}
						page, err := s.All(k.ctx, after, 1+7*i)
						if err == nil && len(page) == 0 {
							err = fmt.Errorf("a wait behind %d returned, and there is nothing", after)
						}
						if err != nil {
							faults[i] = err
							return
						}
						for _, e := range page {
							followed[i] = append(followed[i], e.Position)
							after = e.Position
						}
					}
				})
			}
			failed := make([]error, writers)
			for w := range writers {
				writing.Go(func() {
					for n := range appends {
						ids := []string{fmt.Sprintf("%d/%d/a", w, n), fmt.Sprintf("%d/%d/b", w, n)}
						at, err := s.Append(k.ctx, fmt.Sprintf("s%d", w%3), eventstore.Any, events(ids...))
						if err == nil && n%10 == 0 {
							var again eventstore.Appended
							if again, err = s.Append(k.ctx, fmt.Sprintf("s%d", w%3), 0, events(ids...)); err == nil && again != at {
								err = fmt.Errorf("%+v, then %+v", at, again)
							}
						}
						if err != nil {
							failed[w] = err
							return
						}
					}
				})
			}
			writing.Wait()
			reading.Wait()
			for _, err := range append(failed, faults...) {
				require.NoError(k, err)
			}
			var want []uint64
			versions := map[string]uint64{}
			for _, e := range k.all(s, 0) {
				want = append(want, e.Position)
				versions[e.Stream]++
				require.Equal(k, versions[e.Stream], e.Version)
			}
			for _, got := range followed {
				require.Equal(k, want, got, "who follows sees what is there in the end")
			}
		}},
	}
}

// observe has clients append to few streams, with few ids and often the wrong version, and read in between.
func (k *kit) observe(s eventstore.Store, seed uint64) []porcupine.Operation {
	const clients, each = 4, 12
	var mu sync.Mutex // guards history
	var history []porcupine.Operation
	var wg sync.WaitGroup
	var clock atomic.Int64 // in a bubble time stands still
	for client := range clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(client)))
			guess := int64(0)
			for range each {
				op := operation{append: rnd.IntN(4) > 0, stream: fmt.Sprintf("s%d", rnd.IntN(2)), expect: guess}
				for range 1 + rnd.IntN(2) {
					op.ids = append(op.ids, fmt.Sprintf("e%d", rnd.IntN(100)))
				}
				if len(op.ids) == 2 && op.ids[0] == op.ids[1] {
					op.ids = op.ids[:1]
				}
				if rnd.IntN(3) == 0 {
					op.expect = eventstore.Any
				}
				call := clock.Add(1)
				got := k.ask(s, op)
				returned := clock.Add(1)
				if conflict := (*eventstore.ConflictError)(nil); errors.As(got.err, &conflict) {
					guess = int64(conflict.Have)
				} else if got.err == nil {
					guess = int64(got.appended.LastVersion)
				}
				mu.Lock()
				history = append(history, porcupine.Operation{
					ClientId: client, Input: op, Output: got, Call: call, Return: returned,
				})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return history
}

func (k *kit) ask(s eventstore.Store, op operation) (got answer) {
	if op.append {
		got.appended, got.err = s.Append(k.ctx, op.stream, op.expect, events(op.ids...))
		return got
	}
	page, err := s.All(k.ctx, 0, 1000)
	got.err = err
	var read history
	for _, e := range page {
		read = append(read, entry{e.Stream, e.ID})
	}
	got.log = read.String()
	return got
}
