package projection_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/effects/projection"
)

// E9: however appends, failures, stops and rebuilds fall together, in the end the model is the fold of all events, each applied once per build;
// and at any time it is the fold of the events up to its checkpoint.
func TestE9_anyInterleaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(undated{t}, func(t *rapid.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			h := newHouse(t, ctx, projection.Config{
				Attempts: rapid.IntRange(1, 3).Draw(t, "attempts"), Batch: rapid.IntRange(1, 5).Draw(t, "batch"),
				MinDelay: 10 * time.Millisecond, MaxDelay: 50 * time.Millisecond,
			})
			defer func() {
				if h.stop != nil {
					cancel()
					_ = h.stop()
				}
			}()
			rebuilt := uint64(1)
			seen := projection.Build{}
			t.Repeat(map[string]func(*rapid.T){
				"append": func(t *rapid.T) {
					h.append(fmt.Sprintf("c%d/o%d", rapid.IntRange(1, 2).Draw(t, "customer"), rapid.IntRange(1, 2).Draw(t, "order")), rapid.IntRange(1, 8).Draw(t, "n"))
				},
				"fail an event": func(t *rapid.T) {
					h.orders.plan(fmt.Sprintf("e%d", rapid.IntRange(1, h.n+5).Draw(t, "event")), rapid.IntRange(-1, 4).Draw(t, "times"))
				},
				"fail an update": func(t *rapid.T) {
					h.models.plan(rapid.SliceOfN(rapid.SampledFrom([]string{"before", "after", ""}), 1, 3).Draw(t, "plans")...)
				},
				"start or stop": func(t *rapid.T) {
					if h.stop == nil {
						h.start()
					} else {
						require.ErrorIs(t, h.stop(), context.Canceled)
					}
				},
				"rebuild": func(t *rapid.T) {
					build, err := h.runner.Rebuild(ctx)
					require.NoError(t, err)
					rebuilt = build
				},
				"resume": func(*rapid.T) { h.runner.Resume() },
				"let time pass": func(t *rapid.T) {
					<-time.After(time.Duration(rapid.IntRange(0, 200).Draw(t, "ms")) * time.Millisecond)
				},
				"let it settle": func(*rapid.T) { synctest.Wait() },
				"": func(t *rapid.T) {
					page, err := h.models.List(ctx, "orders", "", "", 1000)
					require.NoError(t, err)
					require.GreaterOrEqual(t, page.ID, seen.ID)
					require.GreaterOrEqual(t, page.Checkpoint, seen.Checkpoint, "readers do not go back")
					seen = page.Build
					var rows []string
					for _, r := range page.Rows {
						rows = append(rows, r.Key+"="+string(r.Value))
					}
					require.Equal(t, fold(h.all()[:page.Checkpoint], ""), rows)
				},
			})

			for i := range h.n + 5 {
				h.orders.plan(fmt.Sprintf("e%d", i+1), 0)
			}
			if h.stop == nil {
				h.start()
			}
			h.runner.Resume()
			<-time.After(time.Hour)
			require.NoError(t, h.runner.WaitBuild(ctx, rebuilt))
			require.NoError(t, h.runner.Wait(ctx, uint64(h.n)))
			status := h.runner.Status()
			require.Equal(t, projection.Builds{Live: projection.Build{ID: rebuilt, Checkpoint: uint64(h.n)}}, status.Builds)
			require.NoError(t, status.Trouble)
			require.Equal(t, fold(h.all(), ""), h.rows())
		})
	})
}

// undated is a test without a deadline: that of a test in a bubble may not be asked for.
type undated struct{ rapid.TB }
