package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/sdk"
	"github.com/crhost/crhost/sdk/sdktest"
)

var (
	bank = Config{PaymentURL: "https://bank.example/pay", PaymentSeconds: 30}
	tea  = []Item{{Product: "t1", Name: "tea", Quantity: 2, Price: 450}, {Product: "c1", Name: "cup", Quantity: 1, Price: 1100}}
)

// at is the time of action n of a scenario, from 1.
func at(n int) time.Time { return sdktest.Start.Add(time.Duration(n-1) * time.Second) }

// scenario is order 7.
func scenario(t *testing.T, config Config) *sdktest.Scenario[State] {
	return sdktest.Fresh(t, orders).Configured(sdk.Pack(config)).Of("acme/orders/7")
}

func ask(do string) sdk.Effect {
	return sdk.Call("http:bank.example", request{
		Method: "POST", URL: "https://bank.example/pay", Headers: map[string]string{"content-type": "application/json"},
		Body: `{"do":"` + do + `","order":"7","customer":"ann","cents":2000}`,
	})
}

func storing(e Event, version int64, id string) sdk.Effect {
	return sdk.Append("order-7", e).Expect(version).ID(id).OK(e.Type).Err("not_stored")
}

// From place to shipped. The state changes when an event is stored, and not before; what is published is stored.
func TestOrder(t *testing.T) {
	first := Event{Type: orderPlaced, Order: "7", Customer: "ann", At: at(1), Items: tea, Total: 2000}
	want := State{Pending: &Pending{ID: "store-1", Event: first}}
	s := scenario(t, bank).When("place", Place{Customer: "ann", Items: tea}).Then(want, storing(first, 0, "store-1"))

	want = State{Status: placed, Customer: "ann", Items: tea, Total: 2000, Version: 1, Payment: paymentAsked}
	s.When("order_placed", Stored{ID: "store-1", Version: 1, Position: 40}).Then(want,
		sdk.Publish("orders", first).Key("7"), sdk.Project("orders_by_customer", 40),
		ask("charge").ID("payment").OK("payment_ok").Err("payment_failed"),
		sdk.Delay(30*time.Second, "payment_timed_out", struct{}{}).ID("payment_timeout"))

	second := Event{Type: orderPaid, Order: "7", Customer: "ann", At: at(3)}
	want.Payment, want.Pending = paymentMade, &Pending{ID: "store-3", Event: second, Own: true}
	s.When("payment_ok", nil).Then(want, sdk.Cancel("payment_timeout"), storing(second, 1, "store-3"))

	want.Status, want.Version, want.Pending = paid, 2, nil
	s.When("order_paid", Stored{ID: "store-3", Version: 2, Position: 41}).Then(want,
		sdk.Publish("orders", second).Key("7"), sdk.Project("orders_by_customer", 41))

	third := Event{Type: orderShipped, Order: "7", Customer: "ann", At: at(5), Tracking: "T-1"}
	want.Pending = &Pending{ID: "store-5", Event: third}
	s.When("ship", Ship{Tracking: "T-1"}).Then(want, storing(third, 2, "store-5"))

	want.Status, want.Tracking, want.Version, want.Pending = shipped, "T-1", 3, nil
	s.When("order_shipped", Stored{ID: "store-5", Version: 3, Position: 42}).Then(want,
		sdk.Publish("orders", third).Key("7"), sdk.Project("orders_by_customer", 42))
}

// When the payment fails, or does not end, the order is cancelled and the bank told to give back what it may have taken.
func TestOrder_compensates(t *testing.T) {
	for action, c := range map[string]struct {
		fields any
		reason string
		cancel string
	}{
		"payment_failed":    {Failed{Code: "http_status", Message: "402"}, "payment failed: http_status", "payment_timeout"},
		"payment_timed_out": {nil, "payment timed out", "payment"},
	} {
		given := State{Status: placed, Customer: "ann", Items: tea, Total: 2000, Version: 1, Payment: paymentAsked}
		s := sdktest.Given(t, orders, given).Configured(sdk.Pack(bank)).Of("acme/orders/7")
		e := Event{Type: orderCancelled, Order: "7", Customer: "ann", At: at(1), Reason: c.reason}
		want := given
		want.Payment, want.Reason, want.Pending = paymentFailed, c.reason, &Pending{ID: "store-1", Event: e, Own: true}
		s.When(action, c.fields).Then(want, sdk.Cancel(c.cancel), storing(e, 1, "store-1"))

		want.Status, want.Version, want.Payment, want.Pending = cancelled, 2, paymentReturned, nil
		s.When("order_cancelled", Stored{ID: "store-1", Version: 2, Position: 9}).Then(want,
			sdk.Publish("orders", e).Key("7"), sdk.Project("orders_by_customer", 9), ask("refund"))

		// The bank has charged after all: the answer was late, or somebody has redriven the call.
		s.When("payment_ok", nil).Then(want, sdk.Cancel("payment_timeout"), ask("refund"))
	}
}

// A conflict is no end: the order reads what it has missed and goes on from there.
func TestOrder_conflict(t *testing.T) {
	given := State{Status: placed, Customer: "ann", Items: tea, Total: 2000, Version: 1, Payment: paymentMade,
		Pending: &Pending{ID: "store-3", Event: Event{Type: orderPaid}, Own: true}}
	s := sdktest.Given(t, orders, given).Configured(sdk.Pack(bank)).Of("acme/orders/7")
	want := given
	want.Loading, want.Failure = true, "version_conflict: order-7"
	s.When("not_stored", Failed{ID: "store-3", Code: "version_conflict", Message: "order-7"}).Then(want,
		sdk.Load("order-7", 2).OK("loaded").Err("not_loaded"))
	s.When("cancel", nil).Rejected("busy")

	noted, gone := Event{Type: "order_noted", Order: "7"}, Event{Type: orderCancelled, Order: "7", Customer: "ann", Reason: "by hand"}
	want.Version = 2
	s.When("loaded", Loaded{[]LoadedEvent{{noted.Type, 2, 50, noted}}, true}).Then(want,
		sdk.Publish("orders", noted).Key("7"), sdk.Project("orders_by_customer", 50),
		sdk.Load("order-7", 3).OK("loaded").Err("not_loaded"))

	want.Status, want.Reason, want.Version, want.Payment, want.Loading, want.Pending = cancelled, "by hand", 3, paymentReturned, false, nil
	s.When("loaded", Loaded{[]LoadedEvent{{gone.Type, 3, 52, gone}}, false}).Then(want,
		sdk.Publish("orders", gone).Key("7"), sdk.Project("orders_by_customer", 52), ask("refund"))
}

// The store was deleted, and its stream is still there: placing the order again finds what has become of it.
func TestOrder_newLife(t *testing.T) {
	events := []LoadedEvent{
		{orderPlaced, 1, 50, Event{Order: "7", Customer: "ann", Items: tea, Total: 2000}}, {orderPaid, 2, 51, Event{Order: "7", Customer: "ann"}},
	}
	for n, want := range map[int]State{1: order(placed, paymentAsked, 1, nil), 2: order(paid, paymentMade, 2, nil)} {
		var effects []sdk.Effect
		want.Failure = "version_conflict: "
		for _, e := range events[:n] {
			e.Data.Type = e.Type
			effects = append(effects, sdk.Publish("orders", e.Data).Key("7"), sdk.Project("orders_by_customer", e.Position))
		}
		if n == 1 {
			effects = append(effects, ask("charge").ID("payment").OK("payment_ok").Err("payment_failed"),
				sdk.Delay(30*time.Second, "payment_timed_out", struct{}{}).ID("payment_timeout"))
		}
		s := scenario(t, bank).When("place", Place{"ann", tea}).
			When("not_stored", Failed{ID: "store-1", Code: "version_conflict", Have: int64(n)}).
			When("loaded", Loaded{events[:n], false}).Then(want, effects...)
		if n == 2 {
			e := Event{Type: orderCancelled, Order: "7", Customer: "ann", At: at(4), Reason: "r"}
			want.Status, want.Reason, want.Version, want.Payment, want.Failure = cancelled, "r", 3, paymentReturned, ""
			s.When("cancel", Cancel{"r"}).When("order_cancelled", Stored{ID: "store-4", Version: 3, Position: 60}).
				Then(want, sdk.Publish("orders", e).Key("7"), sdk.Project("orders_by_customer", 60), ask("refund"))
		}
	}
}

func TestPlace_refused(t *testing.T) {
	item := func(quantity uint32, price int64) Item {
		return Item{Product: "p", Name: "n", Quantity: quantity, Price: price}
	}
	for name, c := range map[string]struct {
		place Place
		code  string
	}{
		"nobody's":      {Place{"", tea}, "bad_customer"},
		"long customer": {Place{strings.Repeat("x", 201), tea}, "bad_customer"},
		"no items":      {Place{"ann", nil}, "no_items"},
		"zero quantity": {Place{"ann", []Item{item(1, 1), item(0, 1)}}, "zero_quantity"},
		"free":          {Place{"ann", []Item{item(1, 0)}}, "bad_price"},
		"negative":      {Place{"ann", []Item{item(1, -5)}}, "bad_price"},
		"large product": {Place{"ann", []Item{item(2, 1<<62)}}, "overflow"},
		"large sum":     {Place{"ann", []Item{item(1, 1<<62), item(1, 1<<62)}}, "overflow"},
	} {
		t.Run(name, func(t *testing.T) { scenario(t, bank).When("place", c.place).Rejected(c.code) })
	}
	sum, err := total([]Item{item(1<<31, 1<<32-1), item(1, 1<<31)}) // 2^63 is one too many
	require.ErrorIs(t, err, errOverflow)
	require.Zero(t, sum)
	sum, err = total([]Item{item(1<<31, 1<<32-1), item(1, 1<<31-1)})
	require.NoError(t, err)
	require.EqualValues(t, 1<<63-1, sum)
}

func TestPlace_notConfigured(t *testing.T) {
	scenario(t, Config{PaymentSeconds: 30}).When("place", Place{Customer: "ann", Items: tea}).Rejected("not_configured")
}

// What people write with a mistake in it is no action.
func TestPlace_unknownField(t *testing.T) {
	scenario(t, bank).When("place", map[string]string{"costumer": "ann"}).BadAction()
}

func TestShip_noTracking(t *testing.T) {
	sdktest.Given(t, orders, State{Status: paid}).When("ship", Ship{Tracking: " \t"}).Rejected("no_tracking")
}

func TestManifest(t *testing.T) {
	m := orders.Manifest()
	require.True(t, m.Allows(abi.KindCall, "http:bank.example:8080"))
	require.False(t, m.Allows(abi.KindCall, "https"))
	commands := 0
	for _, a := range m.Actions {
		if a.Kind == abi.Command {
			commands++
		}
	}
	require.Equal(t, 3, commands, "feedback comes from effects only")
}
