package rows_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/keyspace/keyspacetest"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/projectiontest"
	"github.com/crhost/crhost/effects/projection/rows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a store with its disk.
type store struct {
	*rows.Store
	disk *keyspacetest.Disk
}

func on(t require.TestingT, disk *keyspacetest.Disk) *store {
	s, err := rows.Open(disk)
	require.NoError(t, err)
	return &store{s, disk}
}

func TestConformance(t *testing.T) {
	for _, bubble := range []bool{true, false} {
		t.Run(fmt.Sprintf("bubble=%t", bubble), func(t *testing.T) {
			projectiontest.Run(t, func() projection.Store { return on(t, new(keyspacetest.Disk)) }, projectiontest.Features{
				Bubble: bubble, Reopen: func(s projection.Store) projection.Store {
					found := s.(*store).disk.Crash()
					require.NoError(t, s.Close()) // its check closes only one
					return on(t, found)
				},
			})
		})
	}
}

const model = "orders"

// set is a write of rows: key, value, key, value, ...; a value of "-" deletes.
func set(pairs ...string) func(projection.Tx) error {
	return func(tx projection.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] == "-" {
				if err := tx.Delete(pairs[i]); err != nil {
					return err
				}
			} else if err := tx.Set(pairs[i], []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	}
}

func list(t *testing.T, s projection.Store, limit int) (checkpoint uint64, rows []string) {
	page, err := s.List(t.Context(), model, "", "", limit)
	require.NoError(t, err)
	for _, r := range page.Rows {
		rows = append(rows, r.Key+"="+string(r.Value))
	}
	return page.Checkpoint, rows
}

// Readers see rows and checkpoint as they were, until both are durable (E9, S2), and do not wait.
func TestUpdate_seenWhenDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held chan struct{}
		s := on(t, &keyspacetest.Disk{Sync: func([]keyspace.Write) error {
			if held != nil {
				<-held
			}
			return nil
		}})
		defer s.Close()
		first := projection.Build{ID: 1}
		require.NoError(t, s.Update(t.Context(), model, first, 5, set("a", "1", "b", "1", "c", "1", "x", "1")))
		second := projection.Build{ID: 1, Checkpoint: 5}
		held = make(chan struct{})
		done := make(chan error)
		go func() {
			done <- s.Update(t.Context(), model, second, 6, set("0", "2", "a", "-", "b", "2", "bb", "2", "x", "-"))
		}()
		synctest.Wait()
		for limit := 1; limit < 10; limit++ {
			checkpoint, rows := list(t, s, limit)
			require.EqualValues(t, 5, checkpoint)
			require.NotEmpty(t, rows)
			require.Equal(t, []string{"a=1", "b=1", "c=1", "x=1"}[:len(rows)], rows)
		}
		value, err := s.Get(t.Context(), model, "a")
		require.NoError(t, err)
		require.Equal(t, "1", string(value))
		_, err = s.Get(t.Context(), model, "bb")
		require.ErrorIs(t, err, projection.ErrNotFound)
		builds, err := s.Builds(t.Context(), model)
		require.NoError(t, err)
		require.Equal(t, second, builds.Live)
		close(held)
		require.NoError(t, <-done)
		held = nil
		checkpoint, rows := list(t, s, 10)
		require.EqualValues(t, 6, checkpoint)
		require.Equal(t, []string{"0=2", "b=2", "bb=2", "c=1"}, rows)
	})
}

// A list is of one moment, however many updates begin and end while it is made. Each update writes its checkpoint into all rows.
func TestList_oneMoment(t *testing.T) {
	s := on(t, new(keyspacetest.Disk))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				page, err := s.List(t.Context(), model, "", "", 1000)
				if err != nil {
					t.Error(err)
				}
				for _, r := range page.Rows {
					if want := fmt.Sprint(page.ID, "/", page.Checkpoint); string(r.Value) != want {
						t.Errorf("row %s of %s in a list at %s", r.Key, r.Value, want)
						return
					}
				}
				if n := int(page.Checkpoint % 7); page.Checkpoint > 0 && len(page.Rows) != 20+n {
					t.Errorf("%d rows at %d", len(page.Rows), page.Checkpoint)
				}
			}
		})
	}
	at := projection.Build{ID: 1}
	for n := range uint64(400) {
		if n%50 == 49 {
			next, err := s.Begin(ctx, model)
			require.NoError(t, err)
			next.Checkpoint = at.Checkpoint // all at once
			at = projection.Build{ID: next.ID}
			require.NoError(t, s.Update(ctx, model, at, next.Checkpoint+1, fill(at.ID, next.Checkpoint+1)))
			at.Checkpoint = next.Checkpoint + 1
			require.NoError(t, s.Switch(ctx, model, at))
			continue
		}
		require.NoError(t, s.Update(ctx, model, at, at.Checkpoint+1, fill(at.ID, at.Checkpoint+1)))
		at.Checkpoint++
	}
	cancel()
	wg.Wait()
}

// fill writes 20 rows, and as many more as the checkpoint says.
func fill(build, checkpoint uint64) func(projection.Tx) error {
	return func(tx projection.Tx) error {
		for i := range uint64(27) {
			key := fmt.Sprintf("%02d", i*7%27)
			if i*7%27 >= 20+checkpoint%7 {
				if err := tx.Delete(key); err != nil {
					return err
				}
			} else if err := tx.Set(key, fmt.Append(nil, build, "/", checkpoint)); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestUpdate_refused(t *testing.T) {
	var refuse error
	s := on(t, &keyspacetest.Disk{Refuse: func([]keyspace.Write) error { return refuse }})
	defer s.Close()
	at := projection.Build{ID: 1}
	require.NoError(t, s.Update(t.Context(), model, at, 1, set("a", "1")))
	at.Checkpoint = 1
	refuse = fmt.Errorf("full: %w", keyspace.ErrRefused)
	require.ErrorIs(t, s.Update(t.Context(), model, at, 2, set("a", "2")), keyspace.ErrRefused)
	_, err := s.Begin(t.Context(), model)
	require.ErrorIs(t, err, keyspace.ErrRefused)
	refuse = nil
	checkpoint, rows := list(t, s, 10)
	require.EqualValues(t, 1, checkpoint)
	require.Equal(t, []string{"a=1"}, rows)
	require.NoError(t, s.Update(t.Context(), model, at, 2, set("b", "2")))
	_, rows = list(t, s, 10)
	require.Equal(t, []string{"a=1", "b=2"}, rows)
}

func TestUpdate_unknown(t *testing.T) {
	var fail error
	s := on(t, &keyspacetest.Disk{Sync: func([]keyspace.Write) error { return fail }})
	at := projection.Build{ID: 1}
	require.NoError(t, s.Update(t.Context(), model, at, 1, set("a", "1")))
	at.Checkpoint = 1
	fail = errors.New("sync failed")
	require.ErrorContains(t, s.Update(t.Context(), model, at, 2, set("a", "2")), "unknown outcome: sync failed")
	_, err := s.Builds(t.Context(), model)
	require.ErrorContains(t, err, "unknown outcome: sync failed", "who asks how it ended hears that nobody knows")
	checkpoint, rows := list(t, s, 10)
	require.EqualValues(t, 1, checkpoint)
	require.Equal(t, []string{"a=1"}, rows)
	require.NoError(t, s.Close())
	again := on(t, s.disk.Crash())
	require.NoError(t, again.Update(t.Context(), model, at, 2, set("a", "3")))
	require.NoError(t, again.Close())
}

// A drop goes on in the next store when the process dies in its middle, and leaves nothing behind.
func TestDrop_cutShort(t *testing.T) {
	for cut := 1; cut <= 4; cut++ { // after how many batches; the last one removes the note, too
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var disk *keyspacetest.Disk
				var found *keyspacetest.Disk
				deletes := 0
				disk = &keyspacetest.Disk{Refuse: func(batch []keyspace.Write) error {
					if batch[0].Delete {
						if deletes++; deletes == cut {
							found = disk.Crash()
						}
					}
					return nil
				}}
				s := on(t, disk)
				at := projection.Build{ID: 1}
				require.NoError(t, s.Update(t.Context(), model, at, 1, func(tx projection.Tx) error {
					for i := range 1600 {
						require.NoError(t, tx.Set(fmt.Sprint(i), []byte("old")))
					}
					return nil
				}))
				next, err := s.Begin(t.Context(), model)
				require.NoError(t, err)
				require.NoError(t, s.Update(t.Context(), model, next, 2, set("a", "new")))
				next.Checkpoint = 2
				require.NoError(t, s.Switch(t.Context(), model, next))
				synctest.Wait()
				require.NoError(t, s.Close())
				require.NotNil(t, found)

				again := on(t, found)
				synctest.Wait()
				checkpoint, rows := list(t, again, 10)
				require.EqualValues(t, 2, checkpoint)
				require.Equal(t, []string{"a=new"}, rows)
				require.NoError(t, again.Close())
				left := 0
				for range found.Rows([]byte{0}, []byte{0xff}) {
					left++
				}
				require.Equal(t, 2, left, "the model, and its row")
			})
		})
	}
}

func BenchmarkStore(b *testing.B) {
	projectiontest.Benchmark(b, func() projection.Store { return on(b, new(keyspacetest.Disk)) })
}
