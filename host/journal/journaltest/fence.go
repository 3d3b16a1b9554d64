package journaltest

import (
	"context"
	"errors"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
)

func fenceChecks() []check {
	return []check{
		{name: "fence/one caller", bubble: true, run: func(k *kit) {
			s := newShard(k, nil, journal.Config{})
			require.NoError(k, s.fence.Wait(context.Background(), 0), "before the first position")
			for want := journal.Position(1); want <= 10; want++ {
				seq, p := s.step()
				require.Equal(k, want, p)
				require.NoError(k, s.fence.Wait(context.Background(), p))
				require.Equal(k, p, s.fence.Watermark())
				s.requireDurable(seq)
				require.NoError(k, s.fence.Wait(context.Background(), p), "again")
			}
		}},
		{name: "fence/rows go with the record", bubble: true, run: func(k *kit) {
			s := newShard(k, nil, journal.Config{})
			extra := new(journal.Batch)
			require.NoError(k, extra.Set([]byte("a"), []byte("1")))
			s.fence.Enqueue(journal.Step{Extra: extra, Life: two, Seq: 1, Record: bytesOf(two, 1)})
			extra.Reset()
			extra.Delete([]byte("a"))
			extra.Drop(two)
			s.fence.Enqueue(journal.Step{Extra: extra, Life: two, Seq: 1, Record: bytesOf(two, 1)})
			extra.Reset()
			require.NoError(k, extra.Set([]byte("b"), []byte("2")))
			p := s.fence.Enqueue(journal.Step{Extra: extra})
			require.NoError(k, s.fence.Wait(context.Background(), p))
			require.Equal(k, []string{"b=2"}, rowsOf(k, s.backend, nil, nil))
			requireLog(k, s.backend, journal.Incarnation{}, 0, 0)
			requireLog(k, s.backend, two, 1, 1)
			require.EqualValues(k, 1, s.backend.calls.Load(), "one batch")
		}},
		{name: "fence/nobody knows before Apply returns (S2)", bubble: true, run: func(k *kit) {
			before, let := held(k)
			s := newShard(k, before, journal.Config{})
			var waits []*outcome
			for range 4 {
				_, p := s.step()
				waits = append(waits, s.wait(context.Background(), p))
				synctest.Wait()
			}
			for n, settled := range []int{0, 1, 4} {
				require.EqualValues(k, settled, s.fence.Watermark())
				s.requireDurable(uint64(settled))
				for i, w := range waits {
					if i < settled {
						w.requireDurable(k)
					} else {
						w.requireWaiting(k, "its batch was not applied")
					}
				}
				let(n+1, nil)
				synctest.Wait()
			}
			require.EqualValues(k, 2, s.backend.calls.Load(), "what is queued during a batch is the next one")
		}},
		{name: "fence/owners hear before waiters", bubble: true, run: func(k *kit) {
			s := newShard(k, nil, journal.Config{})
			for range 5 {
				s.step()
			}
			watch := &watcher{fence: s.fence, seen: make(chan journal.Position, 1)}
			p := s.fence.Enqueue(journal.Step{Owner: watch})
			require.NoError(k, s.fence.Wait(context.Background(), p))
			require.Len(k, watch.seen, 1, "owners heard")
			require.Zero(k, <-watch.seen, "the watermark moves after that")
		}},
		{name: "fence/kick", bubble: true, run: func(k *kit) {
			before, let := held(k)
			s := newShard(k, before, journal.Config{})
			s.fence.Kick()
			s.step()
			s.fence.Kick()
			synctest.Wait()
			s.step()
			s.fence.Kick()
			let(1, nil)
			synctest.Wait()
			s.requireDurable(1)
			let(2, nil)
			synctest.Wait()
			s.requireDurable(2)
			require.EqualValues(k, 2, s.fence.Watermark())
		}},
		{name: "fence/cancelled callers", bubble: true, run: func(k *kit) {
			before, let := held(k)
			s := newShard(k, before, journal.Config{})
			ctx, cancel := context.WithCancel(context.Background())
			_, p1 := s.step()
			leader := s.wait(ctx, p1)
			synctest.Wait()
			_, p2 := s.step()
			follower := s.wait(ctx, p2)
			synctest.Wait()
			_, p3 := s.step()
			patient := s.wait(context.Background(), p3)
			synctest.Wait()
			cancel()
			synctest.Wait()
			follower.requireError(k, context.Canceled)
			leader.requireWaiting(k, "it commits for others")
			let(1, nil)
			synctest.Wait()
			leader.requireDurable(k)
			patient.requireWaiting(k, "its batch was not applied")
			let(2, nil)
			synctest.Wait()
			patient.requireDurable(k)
			s.requireDurable(3)
		}},
		{name: "fence/what a cancelled caller enqueued is committed", bubble: true, run: func(k *kit) {
			before, let := held(k)
			s := newShard(k, before, journal.Config{})
			_, p := s.step()
			leader := s.wait(context.Background(), p)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, p = s.step()
			hasty := s.wait(ctx, p)
			<-time.After(2 * time.Second)
			hasty.requireError(k, context.DeadlineExceeded)
			let(1, nil)
			let(2, nil)
			synctest.Wait()
			leader.requireDurable(k)
			s.requireDurable(2)
		}},
		{name: "fence/no caller is kept committing", bubble: true, run: func(k *kit) {
			const latency = time.Millisecond
			s := newShard(k, func(int) error { <-time.After(latency); return nil }, journal.Config{})
			var longest [8]time.Duration
			done := make(chan struct{})
			for i := range longest {
				go func() {
					defer func() { done <- struct{}{} }()
					for range 100 {
						started := time.Now()
						_, p := s.step()
						if s.fence.Wait(context.Background(), p) != nil {
							return
						}
						longest[i] = max(longest[i], time.Since(started))
					}
				}()
			}
			for range longest {
				<-done
			}
			s.requireDurable(800)
			for _, d := range longest {
				require.LessOrEqual(k, d, 2*latency, "the batch that runs, and one's own")
			}
			require.LessOrEqual(k, s.backend.calls.Load(), int64(201), "batches hold what was queued meanwhile")
		}},
		{name: "fence/close", bubble: true, run: func(k *kit) {
			s := newShard(k, nil, journal.Config{})
			s.step()
			_, p := s.step()
			require.NoError(k, s.fence.Close())
			s.requireDurable(2)
			require.NoError(k, s.fence.Wait(context.Background(), p))
			require.ErrorIs(k, s.fence.Err(), journal.ErrClosed)
			_, p = s.step()
			require.ErrorIs(k, s.fence.Wait(context.Background(), p), journal.ErrClosed)
			require.ErrorIs(k, s.fence.Recover(), journal.ErrClosed)
			require.ErrorIs(k, s.fence.Close(), journal.ErrClosed)
			s.requireDurable(2)
		}},
		{name: "fence/close waits for the batch under way", bubble: true, run: func(k *kit) {
			before, let := held(k)
			s := newShard(k, before, journal.Config{})
			_, p := s.step()
			caller := s.wait(context.Background(), p)
			synctest.Wait()
			closed := new(outcome)
			go func() {
				closed.err = s.fence.Close()
				closed.ended.Store(true)
			}()
			synctest.Wait()
			closed.requireWaiting(k, "a batch is under way")
			let(1, nil)
			synctest.Wait()
			closed.requireDurable(k)
			caller.requireDurable(k)
		}},
		{name: "fence/observed", bubble: true, run: func(k *kit) {
			var commits []journal.Commit
			var s *shard
			s = newShard(k, func(n int) error {
				<-time.After(time.Duration(n) * time.Second)
				if n == 2 {
					return journal.ErrRefused
				}
				s.fence.Enqueue(journal.Step{})
				return nil
			}, journal.Config{Observe: func(c journal.Commit) { commits = append(commits, c) }})
			s.fence.Enqueue(journal.Step{Life: one, Seq: 1, Record: []byte("four")})
			p := s.fence.Enqueue(journal.Step{})
			require.NoError(k, s.fence.Wait(context.Background(), p))
			require.Error(k, s.fence.Wait(context.Background(), p+1))
			require.Len(k, commits, 2)
			require.Equal(k, journal.Commit{Steps: 2, Bytes: 4, Latency: time.Second, Lag: 1}, commits[0])
			require.True(k, errors.Is(commits[1].Err, journal.ErrBatchFailed))
			require.Equal(k, 2*time.Second, commits[1].Latency)
		}},
	}
}

// watcher notes the watermark when it is told.
type watcher struct {
	fence Fence
	seen  chan journal.Position
}

func (w *watcher) Durable(uint64) { w.seen <- w.fence.Watermark() }
func (w *watcher) Lost(uint64)    {}
