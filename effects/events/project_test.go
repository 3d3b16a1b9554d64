package events_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/events"
	"github.com/crhost/crhost/effects/eventstore"
	eventmemory "github.com/crhost/crhost/effects/eventstore/memory"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/memory"
	"github.com/crhost/crhost/effects/retry"
)

// list is a read model with a row for each event, the last of which is its type. A "bad" one cannot be applied.
type list struct{}

func (list) Name() string { return "list" }

func (list) Apply(_ context.Context, tx projection.Tx, e eventstore.Event) error {
	if e.Type == "bad" {
		return errors.New("bad event")
	}
	return tx.Set(e.Stream, []byte(e.Type))
}

// house is an event store, and the list of acme. To be used in a bubble.
type house struct {
	events.Config
	models *memory.Store
	runner *projection.Runner
}

func newHouse(t *testing.T) *house {
	h := &house{models: memory.New()}
	h.Store = eventmemory.New()
	p, err := events.Of("acme", list{})
	require.NoError(t, err)
	h.runner, err = projection.New(h.Store, h.models, p, projection.Config{Attempts: 1})
	require.NoError(t, err)
	h.Projection = func(tenant, name string) (events.Projection, bool) {
		return h.runner, tenant == "acme" && name == "list"
	}
	return h
}

// run has the list follow the events until the test ends.
func (h *house) run(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.runner.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// append appends an event of acme, and returns its position.
func (h *house) append(t *testing.T, key, stream, typ string) uint64 {
	action := do(t, h.Config, request(key, abi.Effect{Kind: abi.KindAppend, Target: stream, Events: [][]byte{packed(object{"type": typ})}}))
	return uint64(action["position"].(int8))
}

func project(name string, body []byte) abi.Effect {
	return abi.Effect{Kind: abi.KindProject, Target: name, Body: body}
}

// E9: when the leaf is done, readers see the event; under the tenant's own names, and nobody else's events.
func TestE9_project(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.run(t)
		_, err := h.Store.Append(t.Context(), "other/order-7", eventstore.Any, []eventstore.Event{{ID: "x", Type: "bad", Data: []byte{0xc0}}})
		require.NoError(t, err)
		at := h.append(t, "l/1/0", "order-7", "placed")
		require.EqualValues(t, 2, at)
		got := do(t, h.Config, request("l/1/1", project("list", pack.AppendUint(nil, at))))
		require.Equal(t, object{"projection": "list", "position": int8(2)}, got)
		page, err := h.models.List(t.Context(), "acme/list", "", "", 10)
		require.NoError(t, err)
		require.Equal(t, []projection.Row{{Key: "order-7", Value: []byte("placed")}}, page.Rows)
	})
}

// It waits: for its event, and no longer than its context.
func TestE9_projectWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		at := h.append(t, "l/1/0", "order-7", "placed")
		leaf := request("l/1/1", project("list", pack.AppendUint(nil, at)))

		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := events.Handlers(h.Config)[abi.KindProject].Do(ctx, leaf)
			done <- err
		}()
		synctest.Wait()
		require.Empty(t, done)
		gone := errors.New("the host stops")
		cancel(gone)
		require.ErrorIs(t, <-done, gone)

		go func() {
			_, err := events.Handlers(h.Config)[abi.KindProject].Do(t.Context(), leaf)
			done <- err
		}()
		synctest.Wait()
		require.Empty(t, done)
		h.run(t)
		require.NoError(t, <-done)
	})
}

func TestProject_refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.run(t)
		_, err := h.Store.Append(t.Context(), "other/order-7", eventstore.Any, []eventstore.Event{{ID: "x", Type: "placed", Data: []byte{0xc0}}})
		require.NoError(t, err)
		h.append(t, "l/1/0", "order-7", "bad")
		after := h.append(t, "l/2/0", "order-7", "placed")
		for name, c := range map[string]struct {
			projection string
			body       []byte
			code       string
			permanent  bool
		}{
			"an event":           {"list", packed(object{"type": "placed"}), "invalid", true},
			"more than a number": {"list", []byte{1, 1}, "invalid", true},
			"a bad name":         {strings.Repeat("x", 193), []byte{1}, "invalid", true},
			"no projection":      {"lists", []byte{2}, "unknown_projection", true},
			"nothing before all": {"list", []byte{0}, "not_found", true},
			"nothing yet":        {"list", []byte{4}, "not_found", true},
			"another tenant's":   {"list", []byte{1}, "not_found", true},
			"failed":             {"list", pack.AppendUint(nil, after), "projection_failed", false},
		} {
			action, err := fail(t, h.Config, request("l/3/0", project(c.projection, c.body)))
			require.Equal(t, c.code, action["code"], name)
			require.Equal(t, c.permanent, retry.IsPermanent(err), name)
			if name == "failed" {
				require.EqualValues(t, 2, action["position"], "where it stopped")
				require.Equal(t, "list", action["projection"])
			}
		}
	})
}

func TestOf_name(t *testing.T) {
	_, err := events.Of("ACME", list{})
	require.ErrorIs(t, err, events.ErrName)
}

// gap is a store whose position 1 is one of those left out for ever.
type gap struct{ eventstore.Store }

func (g gap) All(ctx context.Context, after uint64, limit int) ([]eventstore.Event, error) {
	return g.Store.All(ctx, max(after, 1), limit)
}

func TestProject_gap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.append(t, "l/1/0", "order-7", "placed")
		h.append(t, "l/2/0", "order-7", "paid")
		h.run(t)
		h.Store = gap{h.Store}
		action, err := fail(t, h.Config, request("l/3/0", project("list", []byte{1})))
		require.Equal(t, "not_found", action["code"])
		require.True(t, retry.IsPermanent(err))
	})
}
