package eventstoretest

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
)

// quiet is how long nothing may happen for us to say that it does not.
const quiet = 50 * time.Millisecond

func waitChecks() []check {
	return []check{
		{name: "wait/what is there", run: func(k *kit) {
			s := k.store()
			at := k.append(s, "s", "a", "b")
			require.NoError(k, s.Wait(k.ctx, 0))
			require.NoError(k, s.Wait(k.ctx, at.LastPosition-1))
		}},
		{name: "wait/ends with its context", run: func(k *kit) {
			s := k.store()
			at := k.append(s, "s", "a")
			ctx, cancel := context.WithTimeout(k.ctx, quiet)
			defer cancel()
			require.ErrorIs(k, s.Wait(ctx, at.LastPosition), context.DeadlineExceeded)
		}},
		{name: "wait/is woken", run: func(k *kit) {
			s := k.store()
			at := k.append(s, "s", "a")
			const waiters = 3
			woken := make(chan error, waiters)
			for range waiters {
				go func() { woken <- s.Wait(k.ctx, at.LastPosition) }()
			}
			<-time.After(quiet)
			k.append(s, "t", "b")
			for range waiters {
				require.NoError(k, <-woken)
			}
		}},
		{name: "wait/not by what lies before", run: func(k *kit) {
			s := k.store()
			at := k.append(s, "s", "a")
			ctx, cancel := context.WithTimeout(k.ctx, 2*quiet)
			defer cancel()
			woken := make(chan error, 1)
			go func() { woken <- s.Wait(ctx, at.LastPosition+1000) }()
			<-time.After(quiet)
			k.append(s, "s", "b")
			require.ErrorIs(k, <-woken, context.DeadlineExceeded)
		}},
	}
}

func closeChecks() []check {
	return []check{
		{name: "close/ends everything", run: func(k *kit) {
			s := k.open()
			k.append(s, "s", "a")
			woken := make(chan error, 1)
			go func() { woken <- s.Wait(k.ctx, 1000) }()
			<-time.After(quiet)
			require.NoError(k, s.Close())
			require.NoError(k, s.Close())
			require.ErrorIs(k, <-woken, eventstore.ErrClosed)
			_, appended := s.Append(k.ctx, "s", eventstore.Any, events("b"))
			_, loaded := s.Load(k.ctx, "s", 1, 1)
			_, all := s.All(k.ctx, 0, 1)
			_, head := s.Head(k.ctx)
			_, snapshot := s.LoadSnapshot(k.ctx, "s")
			for _, err := range []error{
				appended, loaded, all, head, snapshot, s.Wait(k.ctx, 0), s.SaveSnapshot(k.ctx, "s", eventstore.Snapshot{Version: 1}),
			} {
				require.ErrorIs(k, err, eventstore.ErrClosed)
			}
		}},
		{name: "close/and found again", reopens: true, run: func(k *kit) {
			s := k.store()
			first, err := s.Append(k.ctx, "s", 0, events("a", "b"))
			require.NoError(k, err)
			k.append(s, "t", "c")
			require.NoError(k, s.SaveSnapshot(k.ctx, "s", eventstore.Snapshot{Version: 2, Data: []byte("two")}))
			before := k.all(s, 0)
			for range 2 {
				s = k.features.Reopen(s)
				k.Cleanup(func() { _ = s.Close() })
				require.Equal(k, before, k.all(s, 0))
				again, err := s.Append(k.ctx, "s", 0, events("a", "b"))
				require.NoError(k, err)
				require.Equal(k, first, again)
				snapshot, err := s.LoadSnapshot(k.ctx, "s")
				require.NoError(k, err)
				require.Equal(k, "two", string(snapshot.Data))
			}
			at, err := s.Append(k.ctx, "s", 2, events("d"))
			require.NoError(k, err)
			require.Greater(k, at.FirstPosition, before[2].Position)
		}},
	}
}

func snapshotChecks() []check {
	return []check{
		{name: "snapshot/none", run: func(k *kit) {
			s := k.store()
			k.append(s, "s", "a")
			_, err := s.LoadSnapshot(k.ctx, "s")
			require.ErrorIs(k, err, eventstore.ErrNotFound)
			_, err = s.LoadSnapshot(k.ctx, "never was")
			require.ErrorIs(k, err, eventstore.ErrNotFound)
		}},
		{name: "snapshot/only a newer one replaces", run: func(k *kit) {
			s := k.store()
			k.append(s, "s", names("e", 5)...)
			k.append(s, "t", "t")
			for _, c := range []struct {
				version uint64
				data    string
				want    string
			}{{2, "two", "two"}, {2, "other", "two"}, {1, "one", "two"}, {5, "five", "five"}, {4, "four", "five"}} {
				data := []byte(c.data)
				require.NoError(k, s.SaveSnapshot(k.ctx, "s", eventstore.Snapshot{Version: c.version, Data: data}))
				clear(data)
				got, err := s.LoadSnapshot(k.ctx, "s")
				require.NoError(k, err)
				require.Equal(k, c.want, string(got.Data), "after version %d", c.version)
				require.Equal(k, map[string]uint64{"two": 2, "five": 5}[c.want], got.Version)
			}
			_, err := s.LoadSnapshot(k.ctx, "t")
			require.ErrorIs(k, err, eventstore.ErrNotFound)
		}},
		{name: "snapshot/of what is not there", run: func(k *kit) {
			s := k.store()
			k.append(s, "s", "a")
			for stream, version := range map[string]uint64{"s": 2, "never was": 1, "": 1, "t": 0} {
				err := s.SaveSnapshot(k.ctx, stream, eventstore.Snapshot{Version: version})
				require.ErrorIs(k, err, eventstore.ErrInvalid, stream)
			}
		}},
	}
}
