package orders_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/events"
	eventmemory "github.com/crhost/crhost/effects/eventstore/memory"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/memory"
	"github.com/crhost/crhost/effects/projection/orders"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type object = map[string]any

// shop is an event store, appended to as reducers of a tenant do, and acme's read model. To be used in a bubble.
type shop struct {
	events.Config
	models *memory.Store
	runner *projection.Runner
	seq    uint64
}

func newShop(t *testing.T) *shop {
	s := &shop{Config: events.Config{Store: eventmemory.New()}, models: memory.New()}
	p, err := events.Of("acme", orders.ByCustomer{})
	require.NoError(t, err)
	s.runner, err = projection.New(s.Store, s.models, p, projection.Config{Attempts: 1})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.runner.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	return s
}

// append has a tenant's reducer append an event to a stream, and returns its position.
func (s *shop) append(t *testing.T, tenant, stream string, event object) uint64 {
	s.seq++
	b, err := msgpack.Marshal(event)
	require.NoError(t, err)
	result, err := events.Handlers(s.Config)[abi.KindAppend].Do(t.Context(), &effects.Request{
		Key: effects.Key([16]byte{}, s.seq, 0), Store: abi.Address{Tenant: tenant, Module: "orders", Key: "x"},
		Effect: &abi.Effect{Kind: abi.KindAppend, Target: stream, Events: [][]byte{b}},
	})
	require.NoError(t, err)
	var at struct {
		Position uint64 `msgpack:"position"`
	}
	require.NoError(t, msgpack.Unmarshal(result, &at))
	return at.Position
}

// rows are the orders of a customer, as their keys and what is in them.
func (s *shop) rows(t *testing.T, customer string) (rows []string) {
	page, err := s.models.List(t.Context(), "acme/"+orders.Name, orders.Prefix(customer), "", 100)
	require.NoError(t, err)
	for _, row := range page.Rows {
		var o orders.Order
		require.NoError(t, o.Decode(row.Value))
		rows = append(rows, fmt.Sprintf("%s: %s of %s is %s, %d", row.Key, o.Key, o.Customer, o.Status, o.Total))
	}
	return rows
}

// E9: a fold of what is appended, which can be made anew.
func TestE9_byCustomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		s.append(t, "acme", "order-1", object{"type": "order_placed", "order": "1", "customer": "ann", "total": 500, "items": []any{object{}}})
		s.append(t, "acme", "order-2", object{"type": "order_placed", "customer": "ann", "total": 700})
		s.append(t, "acme", "order-3", object{"type": "order_placed", "customer": "ann/2", "total": 900})
		s.append(t, "acme", "order-1", object{"type": "order_paid", "customer": "ann"})
		s.append(t, "acme", "order-1", object{"type": "order_noted", "text": "nothing to it"})
		s.append(t, "acme", "invoice-1", object{"type": "order_placed"})
		s.append(t, "other", "order-2", object{"type": "order_cancelled", "customer": "ann"})
		s.append(t, "acme", "order-1", object{"type": "order_shipped", "customer": "ann", "tracking": "T"})
		last := s.append(t, "acme", "order-3", object{"type": "order_cancelled", "customer": "ann/2", "reason": "r"})

		check := func() {
			require.Equal(t, []string{"ann/1: 1 of ann is shipped, 500", "ann/2: 2 of ann is placed, 700"}, s.rows(t, "ann"))
			require.Equal(t, []string{"ann%2F2/3: 3 of ann/2 is cancelled, 900"}, s.rows(t, "ann/2"))
			require.Empty(t, s.rows(t, "an"))
		}
		require.NoError(t, s.runner.Wait(t.Context(), last))
		check()
		build, err := s.runner.Rebuild(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.runner.WaitBuild(t.Context(), build))
		require.Equal(t, build, s.runner.Status().Live.ID)
		check()
	})
}

// What others write to the streams of orders is not passed over in silence.
func TestByCustomer_strangeEvents(t *testing.T) {
	for name, c := range map[string]struct {
		event object
		fault string
	}{
		"no customer":    {object{"type": "order_placed", "total": 1}, "event: no customer"},
		"not placed":     {object{"type": "order_paid", "customer": "ann"}, "order_paid of an order 1 of ann that was not placed"},
		"no number":      {object{"type": "order_placed", "customer": "ann", "total": "1"}, "event: msgpack at byte"},
		"large customer": {object{"type": "order_placed", "customer": strings.Repeat("/", 400)}, "a key of 1202 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShop(t)
				err := s.runner.Wait(t.Context(), s.append(t, "acme", "order-1", c.event))
				require.ErrorIs(t, err, projection.ErrFailed)
				require.ErrorContains(t, err, c.fault)
			})
		})
	}
}

// The largest names that there are have room in a key.
func TestKey_fits(t *testing.T) {
	require.LessOrEqual(t, len(orders.Key(strings.Repeat("/", 255), strings.Repeat("k", abi.MaxKeyBytes))), projection.MaxKeyBytes)
}

func ExampleByCustomer() {
	ctx, cancel := context.WithCancel(context.Background())
	store, models := eventmemory.New(), memory.New()
	acmes, _ := events.Of("acme", orders.ByCustomer{})
	runner, _ := projection.New(store, models, acmes, projection.Config{})
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()

	event, _ := msgpack.Marshal(object{"type": "order_placed", "customer": "ann", "total": 500})
	leaf := &abi.Effect{Kind: abi.KindAppend, Target: "order-7", Events: [][]byte{event}}
	events.Handlers(events.Config{Store: store})[abi.KindAppend].Do(ctx, &effects.Request{Key: "l/1/0", Store: abi.Address{Tenant: "acme", Module: "orders", Key: "7"}, Effect: leaf})

	head, _ := store.Head(ctx)
	runner.Wait(ctx, head)
	page, _ := models.List(ctx, acmes.Name(), orders.Prefix("ann"), "", 10)
	for _, row := range page.Rows {
		var o orders.Order
		o.Decode(row.Value)
		fmt.Println(o.Key, o.Status, o.Total)
	}
	cancel()
	<-done
	// Output: 7 placed 500
}

// Whatever is in a row or an event, reading it ends, and what was read is written the same.
func FuzzOrder(f *testing.F) {
	o := orders.Order{Key: "7", Customer: "ann", Status: "placed", Total: 5}
	f.Add(o.Append(nil))
	f.Add([]byte("\x82\xa8customer\xa3ann\xa5total\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var o, again orders.Order
		if o.Decode(b) == nil {
			require.NoError(t, again.Decode(o.Append(nil)))
			require.Equal(t, o, again)
		}
	})
}
