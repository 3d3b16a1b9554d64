package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/projection"
)

func buildChecks() []check {
	nothing := func(projection.Tx) {}
	return []check{
		{name: "builds/at first", run: func(k *kit) {
			require.Equal(k, projection.Builds{Live: projection.Build{ID: 1}}, k.builds())
			page, err := k.List(k.ctx, "never written", "", "", 10)
			require.NoError(k, err)
			require.Equal(k, projection.Page{Build: projection.Build{ID: 1}}, page)
		}},
		{name: "builds/the checkpoint is that of the rows (E9)", run: func(k *kit) {
			b := k.update(k.builds().Live, 7, k.set("a", "1"))
			require.Equal(k, projection.Builds{Live: projection.Build{ID: 1, Checkpoint: 7}}, k.builds())
			k.update(b, 9, nothing)
			page, err := k.List(k.ctx, model, "", "", 10)
			require.NoError(k, err)
			require.Equal(k, projection.Build{ID: 1, Checkpoint: 9}, page.Build)
			other, err := k.Builds(k.ctx, "other")
			require.NoError(k, err)
			require.Zero(k, other.Live.Checkpoint)
		}},
		{name: "builds/only on top of what was read (E9)", run: func(k *kit) {
			first := k.builds().Live
			k.update(first, 5, k.set("a", "1"))
			for _, from := range []projection.Build{first, {ID: 1, Checkpoint: 4}, {ID: 1, Checkpoint: 6}, {ID: 2}} {
				err := k.Update(k.ctx, model, from, 10, func(tx projection.Tx) error { return tx.Set("a", []byte("2")) })
				require.ErrorIs(k, err, projection.ErrMoved, "%+v", from)
			}
			require.Equal(k, []string{"a=1"}, k.list(""))
			require.EqualValues(k, 5, k.builds().Live.Checkpoint)
			for _, to := range []uint64{5, 4} {
				err := k.Update(k.ctx, model, projection.Build{ID: 1, Checkpoint: 5}, to, func(projection.Tx) error { return nil })
				require.ErrorIs(k, err, projection.ErrInvalid)
			}
		}},
		{name: "builds/the next one beside the live one", run: func(k *kit) {
			live := k.update(k.builds().Live, 5, k.set("a", "old"))
			next := k.begin()
			require.Equal(k, projection.Build{ID: 2}, next)
			next = k.update(next, 3, k.set("a", "new", "b", "new"))
			live = k.update(live, 6, k.set("c", "old"))
			require.Equal(k, projection.Builds{Live: live, Next: next}, k.builds())
			require.Equal(k, []string{"a=old", "c=old"}, k.list(""))
			require.ErrorIs(k, k.Switch(k.ctx, model, next), projection.ErrMoved, "it is before the live one")
			next = k.update(next, 6, nothing)
			require.ErrorIs(k, k.Switch(k.ctx, model, projection.Build{ID: 2, Checkpoint: 5}), projection.ErrMoved)
			require.NoError(k, k.Switch(k.ctx, model, next))
			require.Equal(k, projection.Builds{Live: next}, k.builds())
			require.Equal(k, []string{"a=new", "b=new"}, k.list(""))
			require.ErrorIs(k, k.Switch(k.ctx, model, next), projection.ErrMoved)
			err := k.Update(k.ctx, model, live, 7, func(projection.Tx) error { return nil })
			require.ErrorIs(k, err, projection.ErrMoved, "the old one is gone")
		}},
		{name: "builds/begun again", run: func(k *kit) {
			given := k.begin()
			given = k.update(given, 3, k.set("a", "1"))
			again := k.begin()
			require.Greater(k, again.ID, given.ID)
			require.Zero(k, again.Checkpoint)
			err := k.Update(k.ctx, model, given, 4, func(projection.Tx) error { return nil })
			require.ErrorIs(k, err, projection.ErrMoved)
			require.NoError(k, k.Switch(k.ctx, model, again))
			require.Empty(k, k.list(""))
		}},
		{name: "builds/cancelled", run: func(k *kit) {
			gone := errors.New("gone")
			ctx, cancel := context.WithCancelCause(k.ctx)
			cancel(gone)
			_, begun := k.Begin(ctx, model)
			_, listed := k.List(ctx, model, "", "", 1)
			updated := k.Update(ctx, model, projection.Build{ID: 1}, 1, func(projection.Tx) error { return nil })
			for _, err := range []error{begun, listed, updated} {
				require.ErrorIs(k, err, gone)
			}
			require.Equal(k, projection.Builds{Live: projection.Build{ID: 1}}, k.builds())
		}},
		{name: "builds/closed", run: func(k *kit) {
			b := k.builds().Live
			require.NoError(k, k.Close())
			require.NoError(k, k.Close())
			_, builds := k.Builds(k.ctx, model)
			_, begun := k.Begin(k.ctx, model)
			_, got := k.Get(k.ctx, model, "a")
			_, listed := k.List(k.ctx, model, "", "", 1)
			updated := k.Update(k.ctx, model, b, 1, func(projection.Tx) error { return nil })
			for _, err := range []error{builds, begun, got, listed, updated, k.Switch(k.ctx, model, b)} {
				require.ErrorIs(k, err, projection.ErrClosed)
			}
		}},
		{name: "builds/found again", reopens: true, run: func(k *kit) {
			k.update(k.builds().Live, 5, k.set("a", "1"))
			k.update(k.begin(), 2, k.set("a", "2"))
			want := k.builds()
			k.Store = k.features.Reopen(k.Store)
			require.Equal(k, want, k.builds())
			require.Equal(k, []string{"a=1"}, k.list(""))
		}},
		{name: "crowd/one of many updates wins", crowd: true, run: func(k *kit) {
			const writers, rounds = 4, 50
			for round := range uint64(rounds) {
				from := k.builds().Live
				won := make([]error, writers)
				var wg sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						won[w] = k.Update(k.ctx, model, from, round+1, func(tx projection.Tx) error {
							_ = k.list("") // an update holds no lock while it writes
							return tx.Set("winner", fmt.Append(nil, w))
						})
					})
				}
				wg.Wait()
				var winners []string
				for w, err := range won {
					if err == nil {
						winners = append(winners, fmt.Sprint("winner=", w))
						continue
					}
					require.ErrorIs(k, err, projection.ErrMoved)
				}
				require.Equal(k, k.list(""), winners, "exactly one")
			}
		}},
	}
}
