package journaltest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
)

const (
	hammerers = 8
	blows     = 300
)

func hammerChecks() []check {
	return []check{
		{name: "hammer/order and watermark", run: func(k *kit) {
			s := newShard(k, nil, journal.Config{})
			var early atomic.Int64
			s.hammer(func(*rand.Rand) {
				seq, p := s.step()
				err := s.fence.Wait(context.Background(), p)
				_, last, _ := s.backend.Bounds(one)
				if err != nil || last < seq || s.fence.Watermark() < p {
					early.Add(1)
				}
			})
			require.Zero(k, early.Load(), "steps that were not in the journal when Wait returned")
			s.requireDurable(hammerers * blows)
			require.EqualValues(k, hammerers*blows, s.fence.Watermark())
		}},
		{name: "hammer/cancelled callers lose no wake-up", run: func(k *kit) {
			s := newShard(k, func(n int) error {
				if n%3 == 0 {
					<-time.After(50 * time.Microsecond)
				}
				return nil
			}, journal.Config{})
			var wrong atomic.Int64
			s.hammer(func(rnd *rand.Rand) {
				ctx := context.Background()
				if rnd.IntN(2) == 0 {
					c, cancel := context.WithTimeout(ctx, time.Duration(rnd.IntN(100))*time.Microsecond)
					defer cancel()
					ctx = c
				}
				_, p := s.step()
				if rnd.IntN(10) == 0 {
					s.fence.Kick()
					return
				}
				if err := s.fence.Wait(ctx, p); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					wrong.Add(1)
				}
			})
			require.Zero(k, wrong.Load(), "errors that nobody caused")
			require.NoError(k, s.fence.Close())
			s.requireDurable(hammerers * blows)
		}},
		{name: "hammer/failed batches", run: func(k *kit) {
			refuse := rand.New(rand.NewPCG(3, 4)) // used by one leader at a time
			s := newShard(k, func(int) error {
				if refuse.IntN(10) == 0 {
					return journal.ErrRefused
				}
				return nil
			}, journal.Config{})
			var answered sync.Map // seq -> how often it was answered as durable
			var wrong atomic.Int64
			s.hammer(func(*rand.Rand) {
				for {
					seq, p := s.step()
					err := s.fence.Wait(context.Background(), p)
					if err == nil {
						if _, twice := answered.LoadOrStore(seq, true); twice {
							wrong.Add(1)
						}
						return
					}
					if !errors.Is(err, journal.ErrBatchFailed) {
						wrong.Add(1)
						return
					}
				}
			})
			require.Zero(k, wrong.Load(), "one seq answered twice, or errors that nobody caused")
			s.requireDurable(hammerers * blows)
			for seq := range uint64(hammerers * blows) {
				_, ok := answered.Load(seq + 1)
				require.True(k, ok, "seq %d", seq+1)
			}
		}},
		{name: "hammer/crash keeps what was answered", run: func(k *kit) {
			if k.features.Reopen == nil {
				return
			}
			s := newShard(k, nil, journal.Config{})
			var answered atomic.Uint64
			var found journal.Backend
			var floor uint64
			var once sync.Once
			s.hammer(func(*rand.Rand) {
				seq, p := s.step()
				if s.fence.Wait(context.Background(), p) != nil {
					return
				}
				for old := answered.Load(); old < seq && !answered.CompareAndSwap(old, seq); old = answered.Load() {
				}
				if seq >= hammerers*blows/2 {
					once.Do(func() {
						floor = answered.Load()
						found = k.reopen(s.backend.Backend)
					})
				}
			})
			_, last, err := found.Bounds(one)
			require.NoError(k, err)
			require.GreaterOrEqual(k, last, floor)
			requireLog(k, found, one, 1, last)
			durable, _ := s.told()
			require.Equal(k, upTo(uint64(len(durable))), durable)
			require.LessOrEqual(k, uint64(len(durable)), last, "nobody was told of more than was found")
		}},
	}
}

// hammer has several callers strike many times each, while others watch the watermark.
func (s *shard) hammer(blow func(*rand.Rand)) {
	s.kit.Helper()
	var striking, watching sync.WaitGroup
	var stop, backwards atomic.Bool
	watching.Go(func() {
		for last := journal.Position(0); !stop.Load(); {
			now := s.fence.Watermark()
			if now < last {
				backwards.Store(true)
			}
			last = now
			_ = s.fence.Err()
			<-time.After(10 * time.Microsecond)
		}
	})
	for i := range hammerers {
		striking.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 0))
			for range blows {
				blow(rnd)
			}
		})
	}
	striking.Wait()
	stop.Store(true)
	watching.Wait()
	require.False(s.kit, backwards.Load(), "the watermark went back")
}
