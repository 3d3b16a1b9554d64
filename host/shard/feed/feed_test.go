package feed_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/shard/feed"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a store as its feed sees it: a history that may have been trimmed, and a newest durable action.
type store struct {
	*feed.Feed
	trimmed uint64 // records below are gone
	durable atomic.Uint64
}

func newStore(size int) *store {
	s := new(store)
	s.Feed = feed.New(size, func(from, to uint64) iter.Seq2[journal.Entry, error] {
		return func(yield func(journal.Entry, error) bool) {
			for seq := max(from, s.trimmed); seq <= to; seq++ {
				if !yield(entry(seq), nil) {
					return
				}
			}
		}
	})
	return s
}

func entry(seq uint64) journal.Entry { return journal.Entry{Seq: seq, Bytes: []byte{byte(seq)}} }

// act makes n more actions durable.
func (s *store) act(n int) {
	for range n {
		seq := s.durable.Load() + 1
		s.durable.Store(seq)
		if s.Listened() {
			s.Publish(entry(seq))
		}
	}
}

func (s *store) join(from uint64) *feed.Cursor { return s.Join(from, s.durable.Load) }

// drain reads what there is now: seqs as they are, a gap as its two ends negated.
func drain(t *testing.T, c *feed.Cursor) (got []int) {
	t.Helper()
	for {
		item, ok, err := c.TryNext()
		require.NoError(t, err)
		switch {
		case !ok:
			return got
		case item.Record == nil:
			got = append(got, -int(item.Gap.From), -int(item.Gap.To))
		default:
			require.Equal(t, byte(item.Seq), item.Record[0])
			got = append(got, int(item.Seq))
		}
	}
}

// S11: a subscriber reads [from, D] from history and then drains from D+1, without a gap between the two.
func TestS11_join(t *testing.T) {
	s := newStore(4)
	s.act(3)
	late, all := s.join(0), s.join(1)
	defer late.Close()
	s.act(2)
	require.Equal(t, []int{4, 5}, drain(t, late))
	require.Equal(t, []int{1, 2, 3, 4, 5}, drain(t, all))
	s.act(1)
	require.Equal(t, []int{6}, drain(t, all))
	all.Close()
	all.Close()
	require.Equal(t, 1, s.Cursors())
	future := s.join(9)
	defer future.Close()
	s.act(4)
	require.Equal(t, []int{9, 10}, drain(t, future))
}

// S11: who falls out of the ring gets a gap and goes on; nobody else does.
func TestS11_overflow(t *testing.T) {
	s := newStore(4)
	slow, fast := s.join(0), s.join(0)
	defer slow.Close()
	defer fast.Close()
	for i := range 10 {
		s.act(1)
		require.Equal(t, []int{i + 1}, drain(t, fast))
	}
	require.Empty(t, drain(t, fast))
	require.Equal(t, []int{-1, -6, 7, 8, 9, 10}, drain(t, slow))
}

// S11: who starts before what history keeps gets a gap and goes on.
func TestS11_trimmed(t *testing.T) {
	s := newStore(4)
	s.act(600)
	s.trimmed = 5
	c := s.join(2)
	defer c.Close()
	got := drain(t, c)
	require.Equal(t, []int{-2, -4, 5, 6}, got[:4])
	require.Equal(t, 600, got[len(got)-1])
	require.Len(t, got, 2+596)

	s.trimmed = 500 // more than is read at a time
	early := s.join(1)
	defer early.Close()
	got = drain(t, early)
	require.Equal(t, []int{-1, -499, 500, 501}, got[:4])
	require.Len(t, got, 2+101)

	s.trimmed = 1000
	gone := s.join(1)
	defer gone.Close()
	s.act(1)
	require.Equal(t, []int{-1, -600, 601}, drain(t, gone))
}

// A ring that nobody listened to for a while is not taken for what happened meanwhile.
func TestFeed_staleRing(t *testing.T) {
	s := newStore(4)
	first := s.join(0)
	s.act(3)
	first.Close()
	s.act(5)
	second := s.join(2)
	defer second.Close()
	s.act(1)
	require.Equal(t, []int{2, 3, 4, 5, 6, 7, 8, 9}, drain(t, second))
}

// Close ends cursors after what they have not read yet, with its error.
func TestFeed_close(t *testing.T) {
	s := newStore(4)
	c := s.join(0)
	defer c.Close()
	s.act(1)
	why := errors.New("deleted")
	s.Close(why)
	s.Close(nil)
	s.act(1)
	item, err := c.Next(context.Background())
	require.NoError(t, err)
	require.EqualValues(t, 1, item.Seq)
	_, err = c.Next(context.Background())
	require.ErrorIs(t, err, why)
	c.Close()
	_, err = c.Next(context.Background())
	require.ErrorIs(t, err, feed.ErrClosed)
}

// Next waits for news, and ends with its context.
func TestFeed_next(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(4)
		c := s.join(0)
		defer c.Close()
		ctx, cancel := context.WithCancelCause(context.Background())
		got := make(chan any, 1)
		next := func() {
			item, err := c.Next(ctx)
			if err != nil {
				got <- err
				return
			}
			got <- item.Seq
		}
		go next()
		synctest.Wait()
		require.Empty(t, got)
		s.act(1)
		require.EqualValues(t, 1, <-got)
		go next()
		synctest.Wait()
		enough := errors.New("enough")
		cancel(enough)
		require.Equal(t, enough, <-got)
	})
}

// However joins and publishes meet, each cursor sees every seq once, in order, or a gap in its place.
func TestFeed_hammer(t *testing.T) {
	const actions, readers = 20_000, 8
	s := newStore(64)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for s.durable.Load() < actions {
				from := s.durable.Load() / 2
				c := s.join(from)
				want := from
				for range 200 {
					item, ok, err := c.TryNext()
					if err != nil {
						t.Error(err)
					}
					if !ok {
						continue
					}
					seq, to := item.Seq, item.Seq
					if item.Record == nil {
						seq, to = item.Gap.From, item.Gap.To
					}
					if want != 0 && seq != want {
						t.Errorf("got %d, want %d", seq, want)
					}
					want = to + 1
				}
				c.Close()
			}
		})
	}
	s.act(actions)
	wg.Wait()
}
