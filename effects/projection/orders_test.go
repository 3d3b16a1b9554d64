package projection_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/eventstore"
	eventmemory "github.com/crhost/crhost/effects/eventstore/memory"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errApply = errors.New("cannot be applied")

// orders is a read model: under each customer the events of his orders, one behind the other. Applying an event twice, not at all or in the wrong
// order shows.
type orders struct {
	mu      sync.Mutex     // guards what follows
	faults  map[string]int // by event id, how many more attempts fail; below zero all do
	panics  bool           // instead of an error
	version string         // in front of each value
	endless string         // an event whose handling ends only with its context
}

func (o *orders) Name() string { return "orders" }

func (o *orders) Apply(ctx context.Context, tx projection.Tx, e eventstore.Event) error {
	key := key(e)
	value, err := tx.Get(key)
	if err != nil && !errors.Is(err, projection.ErrNotFound) {
		return err
	}
	o.mu.Lock()
	endless := o.endless == e.ID
	o.mu.Unlock()
	if endless {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := tx.Set(key, fmt.Appendf(value, "%s%s ", o.version, e.ID)); err != nil {
		return err
	}
	if o.faults[e.ID] != 0 {
		o.faults[e.ID]--
		if o.panics {
			panic(errApply)
		}
		return errApply // what was set is undone
	}
	return nil
}

// plan has the next attempts at an event fail.
func (o *orders) plan(id string, times int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.faults == nil {
		o.faults = map[string]int{}
	}
	o.faults[id] = times
}

func (o *orders) set(version string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.version = version
}

// key is customer/order of an event, whose stream is called like that.
func key(e eventstore.Event) string { return e.Stream }

// fold is what the read model has to be.
func fold(events []eventstore.Event, version string) (rows []string) {
	all := map[string]string{}
	for _, e := range events {
		all[key(e)] += version + e.ID + " "
	}
	for k, v := range all {
		rows = append(rows, k+"="+v)
	}
	slices.Sort(rows)
	return rows
}

// house is an event store, read models, and a runner that may run. To be used in a bubble.
type house struct {
	t      require.TestingT
	ctx    context.Context
	events *eventmemory.Store
	models *faulty
	orders *orders
	runner *projection.Runner
	stop   func() error // ends the run and returns what it returned; nil when there is none
	n      int
}

func newHouse(t require.TestingT, ctx context.Context, config projection.Config) *house {
	h := &house{t: t, ctx: ctx, events: eventmemory.New(), models: &faulty{Store: memory.New()}, orders: new(orders)}
	var err error
	h.runner, err = projection.New(h.events, h.models, h.orders, config)
	require.NoError(t, err)
	return h
}

func (h *house) start() {
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan error, 1)
	go func() { done <- h.runner.Run(ctx) }()
	h.stop = func() error {
		cancel()
		h.stop = nil
		return <-done
	}
}

// append appends n events to a stream and returns the position of the last.
func (h *house) append(stream string, n int) uint64 {
	var events []eventstore.Event
	for range n {
		h.n++
		events = append(events, eventstore.Event{ID: fmt.Sprintf("e%d", h.n), Type: "t", Data: pack.AppendNil(nil)})
	}
	at, err := h.events.Append(h.ctx, stream, eventstore.Any, events)
	require.NoError(h.t, err)
	return at.LastPosition
}

// rows are the live rows.
func (h *house) rows() (rows []string) {
	page, err := h.models.List(h.ctx, "orders", "", "", 1000)
	require.NoError(h.t, err)
	for _, r := range page.Rows {
		rows = append(rows, r.Key+"="+string(r.Value))
	}
	return rows
}

func (h *house) all() []eventstore.Event {
	all, err := h.events.All(h.ctx, 0, 100_000)
	require.NoError(h.t, err)
	return all
}

// faulty is a store of read models whose updates fail when they are told to.
type faulty struct {
	projection.Store
	mu    sync.Mutex      // guards what follows
	plans []string        // for the next updates: "before" or "after" they are committed, or "" for none
	hold  <-chan struct{} // updates of build 1 wait for it
	blind <-chan struct{} // looks at builds wait for it
}

var errDisk = errors.New("disk failed")

func (f *faulty) Update(ctx context.Context, name string, from projection.Build, to uint64, write func(projection.Tx) error) error {
	f.mu.Lock()
	plan := ""
	if len(f.plans) > 0 {
		plan, f.plans = f.plans[0], f.plans[1:]
	}
	hold := f.hold
	f.mu.Unlock()
	if hold != nil && from.ID == 1 {
		<-hold
	}
	if plan == "before" {
		return errDisk
	}
	err := f.Store.Update(ctx, name, from, to, write)
	if plan == "after" && err == nil {
		return errDisk
	}
	return err
}

func (f *faulty) Builds(ctx context.Context, name string) (projection.Builds, error) {
	f.mu.Lock()
	blind := f.blind
	f.mu.Unlock()
	if blind != nil {
		<-blind
	}
	return f.Store.Builds(ctx, name)
}

// holdUp has updates of build 1, and looks at builds, wait until they are let go, at the latest at the end of the test.
func (f *faulty) holdUp(t *testing.T) (letUpdate, letLook func()) {
	hold, blind := make(chan struct{}), make(chan struct{})
	letUpdate, letLook = sync.OnceFunc(func() { close(hold) }), sync.OnceFunc(func() { close(blind) })
	t.Cleanup(letUpdate)
	t.Cleanup(letLook)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hold, f.blind = hold, blind
	return letUpdate, letLook
}

func (f *faulty) plan(plans ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans = append(f.plans, plans...)
}

func bubble(t *testing.T, config projection.Config, run func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, t.Context(), config)
		run(t, h)
		if h.stop != nil {
			require.ErrorIs(t, h.stop(), context.Canceled)
		}
	})
}

func requireRows(t *testing.T, h *house, want ...string) {
	t.Helper()
	synctest.Wait()
	require.Equal(t, strings.Join(want, "\n"), strings.Join(h.rows(), "\n"))
}
