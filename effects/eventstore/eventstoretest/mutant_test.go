package eventstoretest_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/eventstore/eventstoretest"
	"github.com/crhost/crhost/effects/eventstore/memory"
	"github.com/crhost/crhost/internal/conformance"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFindings_noneInWhatIsRight(t *testing.T) {
	reopen := func(s eventstore.Store) eventstore.Store { return s }
	for _, bubble := range []bool{true, false} {
		features := eventstoretest.Features{Bubble: bubble, Reopen: reopen}
		require.Empty(t, eventstoretest.Findings(t, func() eventstore.Store { return memory.New() }, features))
	}
}

func TestFindings_brokenStores(t *testing.T) {
	for _, c := range []struct {
		name   string
		breaks func(*mutant)
		found  string // the one check that finds it
	}{
		{"answers positions that begin anew", func(m *mutant) {
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				at, err := m.Store.Append(ctx, stream, expect, events)
				if stream == "b" && err == nil {
					at.FirstPosition, at.LastPosition = at.FirstVersion, at.LastVersion
				}
				return at, err
			}
		}, "append/answers where"},
		{"takes no events for any version", func(m *mutant) {
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				if expect == 0 {
					expect = eventstore.Any
				}
				return m.Store.Append(ctx, stream, expect, events)
			}
		}, "append/expected version"},
		{"appends until something is wrong", func(m *mutant) {
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				if len(events) == 3 && events[2].ID == "a1" {
					return m.Store.Append(ctx, stream, expect, append(events[:2:2], eventstore.Event{ID: "b3", Type: "t", Data: []byte{0xc0}}))
				}
				return m.Store.Append(ctx, stream, expect, events)
			}
		}, "append/all or nothing"},
		{"takes a negative version for any", func(m *mutant) {
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				return m.Store.Append(ctx, stream, max(expect, eventstore.Any), events)
			}
		}, "append/refuses what cannot be right"},
		{"has names of 64 bytes", func(m *mutant) {
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				if len(stream) > 64 {
					return eventstore.Appended{}, &eventstore.InvalidError{What: "stream"}
				}
				return m.Store.Append(ctx, stream, expect, events)
			}
		}, "append/takes what is at the bounds"},
		{"keeps the caller's bytes", func(m *mutant) {
			given := map[string]eventstore.Event{}
			var mu sync.Mutex
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				at, err := m.Store.Append(ctx, stream, expect, events)
				mu.Lock()
				defer mu.Unlock()
				for _, e := range events {
					if _, known := given[e.ID]; !known && err == nil {
						given[e.ID] = e
					}
				}
				return at, err
			}
			m.all = func(ctx context.Context, after uint64, limit int) ([]eventstore.Event, error) {
				page, err := m.Store.All(ctx, after, limit)
				mu.Lock()
				defer mu.Unlock()
				for i := range page {
					page[i].Data = given[page[i].ID].Data
				}
				return page, err
			}
		}, "append/bytes are the caller's again"},
		{"appends for who has gone", func(m *mutant) {
			m.append = func(_ context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				return m.Store.Append(context.Background(), stream, expect, events)
			}
		}, "append/cancelled"},
		{"answers a repeated append with where the stream ends", func(m *mutant) {
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				at, err := m.Store.Append(ctx, stream, expect, events)
				if head, _ := m.Store.Head(ctx); err == nil && len(events) == 3 && at.LastPosition < head {
					at.LastPosition = head
				}
				return at, err
			}
		}, "ids/again is the same answer (E1)"},
		{"looks at the version before the ids", func(m *mutant) {
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				at, err := m.Store.Append(ctx, stream, expect, events)
				if err == nil && expect != eventstore.Any && at.FirstVersion != uint64(expect)+1 {
					return eventstore.Appended{}, &eventstore.ConflictError{Stream: stream, Want: expect, Have: at.LastVersion}
				}
				return at, err
			}
		}, "ids/before the version (E1)"},
		{"compares types too", func(m *mutant) {
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				if len(events) > 0 && events[0].Type == "other" {
					return eventstore.Appended{}, &eventstore.ReusedError{Stream: stream, ID: events[0].ID}
				}
				return m.Store.Append(ctx, stream, expect, events)
			}
		}, "ids/only the ids are compared"},
		{"finds ids in any stream", func(m *mutant) {
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				at, err := m.Store.Append(ctx, stream, expect, events)
				if errors.Is(err, eventstore.ErrReused) && stream == "u" {
					return m.Store.Append(ctx, "t", expect, events)
				}
				return at, err
			}
		}, "ids/used otherwise"},
		{"has a head before there is an event", func(m *mutant) {
			m.head = func(ctx context.Context) (uint64, error) {
				head, err := m.Store.Head(ctx)
				return max(head, 1), err
			}
		}, "read/empty"},
		{"loses the schema", func(m *mutant) {
			m.load = func(ctx context.Context, stream string, from uint64, limit int) ([]eventstore.Event, error) {
				page, err := m.Store.Load(ctx, stream, from, limit)
				for i := range page {
					page[i].Schema = 0
				}
				return page, err
			}
		}, "read/everything of an event"},
		{"hands its own slice out", func(m *mutant) {
			pages := map[uint64][]eventstore.Event{}
			m.load = func(ctx context.Context, stream string, from uint64, limit int) ([]eventstore.Event, error) {
				if limit != 5 || from != 1 {
					if page := pages[from]; stream == "s" && page != nil {
						return page, nil
					}
					return m.Store.Load(ctx, stream, from, limit)
				}
				page, err := m.Store.Load(ctx, stream, from, limit)
				pages[from] = page
				return page, err
			}
		}, "read/a stream from a version"},
		{"includes the position it reads behind", func(m *mutant) {
			m.all = func(ctx context.Context, after uint64, limit int) ([]eventstore.Event, error) {
				if limit == 2 {
					after = max(after, 1) - 1
				}
				return m.Store.All(ctx, after, limit)
			}
		}, "read/all behind a position"},
		{"sees only what is appended later", func(m *mutant) {
			m.wait = func(ctx context.Context, after uint64) error {
				head, err := m.Store.Head(ctx)
				if err != nil {
					return err
				}
				return m.Store.Wait(ctx, max(after, head))
			}
		}, "wait/what is there"},
		{"ends a wait without an error", func(m *mutant) {
			m.wait = func(ctx context.Context, after uint64) error {
				err := m.Store.Wait(ctx, after)
				if errors.Is(err, context.DeadlineExceeded) && after == 1 {
					return nil
				}
				return err
			}
		}, "wait/ends with its context"},
		{"wakes one at a time", func(m *mutant) {
			one := make(chan struct{}, 1)
			one <- struct{}{}
			m.wait = func(ctx context.Context, after uint64) error {
				select {
				case <-one:
					defer func() { one <- struct{}{} }()
					return m.Store.Wait(ctx, after)
				default:
					<-ctx.Done()
					return context.Cause(ctx)
				}
			}
		}, "wait/is woken"},
		{"wakes for any news", func(m *mutant) {
			m.wait = func(ctx context.Context, after uint64) error {
				head, err := m.Store.Head(ctx)
				if err != nil {
					return err
				}
				if after < 900 {
					return m.Store.Wait(ctx, after)
				}
				return m.Store.Wait(ctx, min(after, head))
			}
		}, "wait/not by what lies before"},
		{"has an empty snapshot", func(m *mutant) {
			m.loadSnapshot = func(ctx context.Context, stream string) (eventstore.Snapshot, error) {
				s, err := m.Store.LoadSnapshot(ctx, stream)
				if errors.Is(err, eventstore.ErrNotFound) && stream == "never was" {
					return s, nil
				}
				return s, err
			}
		}, "snapshot/none"},
		{"keeps the last snapshot", func(m *mutant) {
			var last eventstore.Snapshot
			m.saveSnapshot = func(ctx context.Context, stream string, s eventstore.Snapshot) error {
				err := m.Store.SaveSnapshot(ctx, stream, s)
				if err == nil {
					last = eventstore.Snapshot{Version: s.Version, Data: slices.Clone(s.Data)}
				}
				return err
			}
			m.loadSnapshot = func(ctx context.Context, stream string) (eventstore.Snapshot, error) {
				s, err := m.Store.LoadSnapshot(ctx, stream)
				if err == nil {
					s = last
				}
				return s, err
			}
		}, "snapshot/only a newer one replaces"},
		{"takes snapshots of what is to come", func(m *mutant) {
			m.saveSnapshot = func(ctx context.Context, stream string, s eventstore.Snapshot) error {
				if err := m.Store.SaveSnapshot(ctx, stream, s); !errors.Is(err, eventstore.ErrInvalid) || s.Version != 2 {
					return err
				}
				return nil
			}
		}, "snapshot/of what is not there"},
		{"goes on when closed", func(m *mutant) {
			closed := false
			m.close = func() error { closed = true; return m.Store.Close() }
			m.head = func(ctx context.Context) (uint64, error) {
				if closed {
					return 1, nil
				}
				return m.Store.Head(ctx)
			}
		}, "close/ends everything"},
		{"checks, and then appends", func(m *mutant) {
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				if expect == eventstore.Any || eventstore.Check(stream, expect, events) != nil {
					return m.Store.Append(ctx, stream, expect, events)
				}
				page, err := m.Store.Load(ctx, stream, 1, 1_000_000)
				if err != nil || len(page) != int(expect) {
					return m.Store.Append(ctx, stream, expect, events)
				}
				runtime.Gosched()
				return m.Store.Append(ctx, stream, eventstore.Any, events)
			}
		}, "crowd/linearizable"},
		{"shows what comes later first", func(m *mutant) {
			var mu sync.Mutex
			hidden := map[string]bool{}
			hide := func(hide bool, events []eventstore.Event) {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range events {
					if hide && len(events) == 2 && len(e.ID) > 4 {
						hidden[e.ID] = true
					} else {
						delete(hidden, e.ID)
					}
				}
			}
			m.append = func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
				events = slices.Clone(events)
				hide(true, events)
				defer hide(false, events)
				at, err := m.Store.Append(ctx, stream, expect, events)
				runtime.Gosched()
				return at, err
			}
			m.all = func(ctx context.Context, after uint64, limit int) ([]eventstore.Event, error) {
				for {
					page, err := m.Store.All(ctx, after, limit)
					if len(page) == 0 {
						return page, err
					}
					mu.Lock()
					page = slices.DeleteFunc(page, func(e eventstore.Event) bool { return hidden[e.ID] })
					mu.Unlock()
					if len(page) > 0 {
						return page, err
					}
					runtime.Gosched()
				}
			}
		}, "crowd/nothing appears behind a reader"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := eventstoretest.Findings(t, func() eventstore.Store {
				m := &mutant{Store: memory.New()}
				c.breaks(m)
				return m
			}, eventstoretest.Features{Bubble: true})
			conformance.RequireOnly(t, found, c.found)
		})
	}
}

// A store that forgets when its process dies is found by who can reopen it.
func TestFindings_forgets(t *testing.T) {
	open := func() eventstore.Store { return memory.New() }
	found := eventstoretest.Findings(t, open, eventstoretest.Features{Bubble: true, Reopen: func(eventstore.Store) eventstore.Store { return open() }})
	require.Equal(t, []string{"close/and found again"}, slices.Sorted(maps.Keys(found)))
}
