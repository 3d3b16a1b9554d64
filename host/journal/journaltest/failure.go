package journaltest

import (
	"context"
	"errors"
	"fmt"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
)

func failureChecks() []check {
	return []check{
		{name: "failure/a refused batch takes what follows with it (S5)", bubble: true, run: func(k *kit) {
			before, let := held(k)
			var failures []error
			s := newShard(k, before, journal.Config{OnFail: func(err error) { failures = append(failures, err) }})
			_, good := s.step()
			let(1, nil)
			require.NoError(k, s.ask(good))

			_, p2 := s.step()
			w2 := s.wait(context.Background(), p2)
			synctest.Wait()
			_, p3 := s.step()
			w3 := s.wait(context.Background(), p3)
			synctest.Wait()
			full := fmt.Errorf("disk full: %w", journal.ErrRefused)
			let(2, full)
			synctest.Wait()
			w2.requireError(k, journal.ErrBatchFailed)
			w2.requireError(k, full)
			w3.requireError(k, journal.ErrBatchFailed)
			require.Len(k, failures, 1)
			require.ErrorIs(k, s.fence.Err(), journal.ErrBatchFailed)
			require.NoError(k, s.ask(good), "older positions stay durable")
			s.requireDurable(1)

			// A step that was in the shard when the batch failed builds on what is lost.
			_, p4 := s.enqueue()
			require.ErrorIs(k, s.ask(p4), journal.ErrBatchFailed)
			require.Equal(k, good, s.fence.Watermark())
			_, lost := s.told()
			require.Empty(k, lost, "nothing is taken back before Recover")

			require.NoError(k, s.fence.Recover())
			_, lost = s.told()
			require.Equal(k, []uint64{4, 3, 2}, lost, "newest first")
			require.NoError(k, s.fence.Err())
			require.NoError(k, s.fence.Recover(), "again")
			_, lost = s.told()
			require.Len(k, lost, 3)

			seq, p5 := s.step()
			require.EqualValues(k, 2, seq)
			require.Equal(k, p4+1, p5, "positions go on")
			let(3, nil)
			require.NoError(k, s.ask(p5))
			s.requireDurable(2)
			for _, p := range []journal.Position{p2, p3, p4} {
				require.ErrorIs(k, s.ask(p), journal.ErrBatchFailed, "a failed position stays failed")
			}
			require.NoError(k, s.ask(good))
			require.Len(k, failures, 1)
		}},
		{name: "failure/failing again and again", bubble: true, run: func(k *kit) {
			s := newShard(k, func(n int) error {
				if n%4 != 0 {
					return journal.ErrRefused
				}
				return nil
			}, journal.Config{})
			for n := range 40 {
				seq, p := s.step()
				require.EqualValues(k, n/4+1, seq)
				err := s.ask(p)
				require.Equal(k, n%4 != 3, errors.Is(err, journal.ErrBatchFailed), "step %d: %v", n, err)
				if failed := (*journal.FailedError)(nil); errors.As(err, &failed) {
					require.Equal(k, p, failed.From)
				}
			}
			s.requireDurable(10)
			for p := journal.Position(1); p <= 40; p++ {
				err := s.ask(p)
				require.Equal(k, p%4 != 0, errors.Is(err, journal.ErrBatchFailed), "position %d: %v", p, err)
			}
		}},
		{name: "failure/waiters hear after OnFail", bubble: true, run: func(k *kit) {
			before, let := held(k)
			onFail, ended := make(chan error), make(chan struct{})
			k.Cleanup(func() { close(ended) })
			s := newShard(k, before, journal.Config{OnFail: func(err error) {
				select {
				case onFail <- err:
				case <-ended:
				}
			}})
			_, p := s.step()
			leader := s.wait(context.Background(), p)
			synctest.Wait()
			follower := s.wait(context.Background(), p)
			synctest.Wait()
			let(1, journal.ErrRefused)
			synctest.Wait()
			leader.requireWaiting(k, "OnFail comes first")
			follower.requireWaiting(k, "OnFail comes first")
			require.ErrorIs(k, <-onFail, journal.ErrBatchFailed)
			synctest.Wait()
			leader.requireError(k, journal.ErrBatchFailed)
			follower.requireError(k, journal.ErrBatchFailed)
		}},
		{name: "failure/unknown outcome ends the fence (S14)", bubble: true, run: func(k *kit) {
			before, let := held(k)
			var failures []error
			s := newShard(k, before, journal.Config{OnFail: func(err error) { failures = append(failures, err) }})
			_, good := s.step()
			let(1, nil)
			require.NoError(k, s.ask(good))
			_, p2 := s.step()
			w2 := s.wait(context.Background(), p2)
			synctest.Wait()
			_, p3 := s.step()
			w3 := s.wait(context.Background(), p3)
			synctest.Wait()
			broken := errors.New("input/output error")
			let(2, broken)
			synctest.Wait()
			for _, w := range []*outcome{w2, w3} {
				w.requireError(k, journal.ErrOutcomeUnknown)
				w.requireError(k, broken)
				require.NotErrorIs(k, w.err, journal.ErrBatchFailed)
			}
			require.Len(k, failures, 1)
			require.ErrorIs(k, failures[0], journal.ErrOutcomeUnknown)
			_, p4 := s.enqueue()
			require.ErrorIs(k, s.ask(p4), journal.ErrOutcomeUnknown)
			require.ErrorIs(k, s.fence.Recover(), journal.ErrOutcomeUnknown)
			require.ErrorIs(k, s.fence.Err(), journal.ErrOutcomeUnknown)
			s.fence.Kick()
			require.ErrorIs(k, s.fence.Close(), journal.ErrOutcomeUnknown)
			require.ErrorIs(k, s.fence.Err(), journal.ErrOutcomeUnknown, "closing does not hide why")
			require.NoError(k, s.ask(good))
			durable, lost := s.told()
			require.Equal(k, []uint64{1}, durable)
			require.Empty(k, lost)
			require.EqualValues(k, 2, s.backend.calls.Load())
		}},
		{name: "failure/closing a failed fence", bubble: true, run: func(k *kit) {
			s := newShard(k, func(int) error { return journal.ErrRefused }, journal.Config{})
			s.step()
			require.ErrorIs(k, s.fence.Close(), journal.ErrBatchFailed)
			require.ErrorIs(k, s.fence.Recover(), journal.ErrClosed)
			require.ErrorIs(k, s.fence.Err(), journal.ErrClosed)
			_, lost := s.told()
			require.Equal(k, []uint64{1}, lost)
		}},
	}
}
