package projectiontest_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/memory"
	"github.com/crhost/crhost/effects/projection/projectiontest"
	"github.com/crhost/crhost/internal/conformance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFindings_noneInWhatIsRight(t *testing.T) {
	open := func() projection.Store { return memory.New() }
	for _, bubble := range []bool{true, false} {
		features := projectiontest.Features{Bubble: bubble, Reopen: func(s projection.Store) projection.Store { return s }}
		require.Empty(t, projectiontest.Findings(t, open, features))
	}
	found := projectiontest.Findings(t, open, projectiontest.Features{Bubble: true, Reopen: func(projection.Store) projection.Store { return open() }})
	conformance.RequireOnly(t, found, "builds/found again")
}

// mutant is a store with methods replaced.
type mutant struct {
	projection.Store
	builds func(ctx context.Context, name string) (projection.Builds, error)
	begin  func(ctx context.Context, name string) (projection.Build, error)
	update func(ctx context.Context, name string, from projection.Build, to uint64, write func(projection.Tx) error) error
	swap   func(ctx context.Context, name string, next projection.Build) error
	get    func(ctx context.Context, name, key string) ([]byte, error)
	list   func(ctx context.Context, name, prefix, after string, limit int) (projection.Page, error)
}

func (m *mutant) Builds(ctx context.Context, name string) (projection.Builds, error) {
	if m.builds != nil {
		return m.builds(ctx, name)
	}
	return m.Store.Builds(ctx, name)
}

func (m *mutant) Begin(ctx context.Context, name string) (projection.Build, error) {
	if m.begin != nil {
		return m.begin(ctx, name)
	}
	return m.Store.Begin(ctx, name)
}

func (m *mutant) Update(ctx context.Context, name string, from projection.Build, to uint64, write func(projection.Tx) error) error {
	if m.update != nil {
		return m.update(ctx, name, from, to, write)
	}
	return m.Store.Update(ctx, name, from, to, write)
}

func (m *mutant) Switch(ctx context.Context, name string, next projection.Build) error {
	if m.swap != nil {
		return m.swap(ctx, name, next)
	}
	return m.Store.Switch(ctx, name, next)
}

func (m *mutant) Get(ctx context.Context, name, key string) ([]byte, error) {
	if m.get != nil {
		return m.get(ctx, name, key)
	}
	return m.Store.Get(ctx, name, key)
}

func (m *mutant) List(ctx context.Context, name, prefix, after string, limit int) (projection.Page, error) {
	if m.list != nil {
		return m.list(ctx, name, prefix, after, limit)
	}
	return m.Store.List(ctx, name, prefix, after, limit)
}

// writes replaces the transactions that writers get.
func (m *mutant) writes(change func(projection.Tx) projection.Tx) {
	m.update = func(ctx context.Context, name string, from projection.Build, to uint64, write func(projection.Tx) error) error {
		return m.Store.Update(ctx, name, from, to, func(tx projection.Tx) error { return write(change(tx)) })
	}
}

// changed is a transaction whose Set or Get is replaced.
type changed struct {
	projection.Tx
	set func(key string, value []byte) error
	get func(key string) ([]byte, error)
}

func (c changed) Set(key string, value []byte) error {
	if c.set != nil {
		return c.set(key, value)
	}
	return c.Tx.Set(key, value)
}

func (c changed) Get(key string) ([]byte, error) {
	if c.get != nil {
		return c.get(key)
	}
	return c.Tx.Get(key)
}

func TestFindings_brokenStores(t *testing.T) {
	for _, c := range []struct {
		name   string
		breaks func(*mutant)
		found  string // the one check that finds it
	}{
		{"takes an empty value for none", func(m *mutant) {
			m.get = func(ctx context.Context, name, key string) ([]byte, error) {
				value, err := m.Store.Get(ctx, name, key)
				if err == nil && len(value) == 0 {
					return nil, projection.ErrNotFound
				}
				return value, err
			}
		}, "rows/set, overwrite, delete"},
		{"lists what comes after the prefix as well", func(m *mutant) {
			m.list = func(ctx context.Context, name, prefix, after string, limit int) (projection.Page, error) {
				return m.Store.List(ctx, name, strings.TrimSuffix(prefix, "/"), after, limit)
			}
		}, "rows/prefixes and pages"},
		{"reads around its own writes", func(m *mutant) {
			m.writes(func(tx projection.Tx) projection.Tx {
				return changed{Tx: tx, get: func(key string) ([]byte, error) {
					if key == "a/2" {
						return []byte("2"), nil
					}
					return tx.Get(key)
				}}
			})
		}, "rows/a transaction sees what it wrote"},
		{"keeps the caller's bytes", func(m *mutant) {
			m.update = func(ctx context.Context, name string, from projection.Build, to uint64, write func(projection.Tx) error) error {
				return m.Store.Update(ctx, name, from, to, func(tx projection.Tx) error {
					late := map[string][]byte{}
					err := write(changed{Tx: tx, set: func(key string, value []byte) error {
						if bytes.Equal(value, []byte("value")) {
							late[key] = value
						}
						return tx.Set(key, value)
					}})
					for key, value := range late {
						_ = tx.Set(key, value)
					}
					return err
				})
			}
		}, "rows/bytes are the caller's again"},
		{"cuts long keys", func(m *mutant) {
			m.writes(func(tx projection.Tx) projection.Tx {
				return changed{Tx: tx, set: func(key string, value []byte) error { return tx.Set(key[:min(len(key), 1000)], value) }}
			})
		}, "rows/refuses what cannot be right"},
		{"loses a row of many", func(m *mutant) {
			m.writes(func(tx projection.Tx) projection.Tx {
				return changed{Tx: tx, set: func(key string, value []byte) error {
					if strings.HasPrefix(key, "012") {
						return nil
					}
					return tx.Set(key, value)
				}}
			})
		}, "rows/agree with a map"},
		{"commits what failed", func(m *mutant) {
			m.update = func(ctx context.Context, name string, from projection.Build, to uint64, write func(projection.Tx) error) error {
				var failed error
				err := m.Store.Update(ctx, name, from, to, func(tx projection.Tx) error {
					failed = write(tx)
					return nil
				})
				return errors.Join(err, failed)
			}
		}, "rows/an error undoes everything (E9)"},
		{"has a next build from the first on", func(m *mutant) {
			m.list = func(ctx context.Context, name, prefix, after string, limit int) (projection.Page, error) {
				page, err := m.Store.List(ctx, name, prefix, after, limit)
				if name == "never written" {
					page.ID = 0
				}
				return page, err
			}
		}, "builds/at first"},
		{"lists rows without their checkpoint", func(m *mutant) {
			m.list = func(ctx context.Context, name, prefix, after string, limit int) (projection.Page, error) {
				page, err := m.Store.List(ctx, name, prefix, after, limit)
				page.Checkpoint = 0
				return page, err
			}
		}, "builds/the checkpoint is that of the rows (E9)"},
		{"commits on top of anything", func(m *mutant) {
			m.update = func(ctx context.Context, name string, from projection.Build, to uint64, write func(projection.Tx) error) error {
				builds, err := m.Store.Builds(ctx, name)
				if err != nil {
					return err
				}
				if from.ID == 1 && builds.Live.ID == 1 && to > builds.Live.Checkpoint && to > from.Checkpoint {
					from = builds.Live
				}
				return m.Store.Update(ctx, name, from, to, write)
			}
		}, "builds/only on top of what was read (E9)"},
		{"switches before the build has caught up", func(m *mutant) {
			m.swap = func(ctx context.Context, name string, next projection.Build) error {
				err := m.Store.Switch(ctx, name, next)
				if errors.Is(err, projection.ErrMoved) && next.Checkpoint == 3 {
					return nil
				}
				return err
			}
		}, "builds/the next one beside the live one"},
		{"goes on with a build that was begun", func(m *mutant) {
			m.begin = func(ctx context.Context, name string) (projection.Build, error) {
				builds, err := m.Store.Builds(ctx, name)
				if err == nil && builds.Next.ID != 0 {
					return builds.Next, nil
				}
				return m.Store.Begin(ctx, name)
			}
		}, "builds/begun again"},
		{"begins for who has gone", func(m *mutant) {
			m.begin = func(_ context.Context, name string) (projection.Build, error) {
				return m.Store.Begin(context.Background(), name)
			}
		}, "builds/cancelled"},
		{"gets when closed", func(m *mutant) {
			m.get = func(ctx context.Context, name, key string) ([]byte, error) {
				value, err := m.Store.Get(ctx, name, key)
				if errors.Is(err, projection.ErrClosed) {
					return nil, projection.ErrNotFound
				}
				return value, err
			}
		}, "builds/closed"},
		{"looks, and then commits", func(m *mutant) {
			var mu sync.Mutex
			m.update = func(ctx context.Context, name string, from projection.Build, to uint64, write func(projection.Tx) error) error {
				builds, err := m.Store.Builds(ctx, name)
				if err != nil || builds.Live != from || to <= from.Checkpoint {
					return m.Store.Update(ctx, name, from, to, write)
				}
				runtime.Gosched()
				mu.Lock()
				defer mu.Unlock()
				if err = m.Store.Update(ctx, name, from, to, write); errors.Is(err, projection.ErrMoved) {
					return nil
				}
				return err
			}
		}, "crowd/one of many updates wins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := projectiontest.Findings(t, func() projection.Store {
				m := &mutant{Store: memory.New()}
				c.breaks(m)
				return m
			}, projectiontest.Features{Bubble: true})
			conformance.RequireOnly(t, found, c.found)
		})
	}
}
