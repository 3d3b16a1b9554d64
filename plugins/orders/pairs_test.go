package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/sdk"
	"github.com/crhost/crhost/sdk/sdktest"
)

var update = flag.Bool("update", false, "write testdata/pairs.txt")

// pending is an event that is being stored by effect store-1.
func pending(typ string, own bool) *Pending {
	return &Pending{ID: "store-1", Event: Event{Type: typ, Order: "7", Customer: "ann", Items: tea, Total: 2000, At: at(1), Reason: "r", Tracking: "T"}, Own: own}
}

// order is a state of an order of ann's.
func order(status, payment string, version int64, p *Pending) State {
	return State{Status: status, Customer: "ann", Items: tea, Total: 2000, Version: version, Payment: payment, Pending: p}
}

func loading(s State) State { s.Loading = true; return s }

// Every action in every state: the table in testdata says what comes of it, and a few rules hold for all of it.
func TestPairs(t *testing.T) {
	configure(t, bank)
	states := []struct {
		name  string
		state State
	}{
		{"new", State{}},
		{"being placed", State{Pending: pending(orderPlaced, false)}},
		{"placed", order(placed, paymentAsked, 1, nil)},
		{"placed, being cancelled", order(placed, paymentAsked, 1, pending(orderCancelled, false))},
		{"placed, being cancelled, money in", order(placed, paymentMade, 1, pending(orderCancelled, false))},
		{"placed, payment made, being paid", order(placed, paymentMade, 1, pending(orderPaid, true))},
		{"placed, payment made, not stored", order(placed, paymentMade, 1, nil)},
		{"placed, payment failed, being cancelled", order(placed, paymentFailed, 1, pending(orderCancelled, true))},
		{"placed, loading", loading(order(placed, paymentAsked, 1, nil))},
		{"placed, payment made, loading", loading(order(placed, paymentMade, 1, nil))},
		{"placed, payment made, loading for a cancel", loading(order(placed, paymentMade, 1, pending(orderCancelled, false)))},
		{"placed, payment made, loading for order_paid", loading(order(placed, paymentMade, 1, pending(orderPaid, true)))},
		{"paid", order(paid, paymentMade, 2, nil)},
		{"paid, being shipped", order(paid, paymentMade, 2, pending(orderShipped, false))},
		{"paid, being cancelled", order(paid, paymentMade, 2, pending(orderCancelled, false))},
		{"shipped", order(shipped, paymentMade, 3, nil)},
		{"cancelled, payment under way", order(cancelled, paymentAsked, 2, nil)},
		{"cancelled", order(cancelled, paymentReturned, 2, nil)},
	}
	var text strings.Builder
	for _, c := range states {
		fmt.Fprintf(&text, "%s\n", c.name)
		for _, a := range actions(c.state) {
			after, effects, code, unchanged := reduce(t, c.state, 9, sdk.PackAction(a.typ, a.fields))
			outcome := "rejected: " + code
			if code == "" {
				outcome = fmt.Sprintf("%s > %s", tellState(after), tell(t, effects))
			}
			if unchanged {
				outcome = "-"
			}
			fmt.Fprintf(&text, "    %-24s %s\n", a.name, strings.TrimSuffix(outcome, " > "))
			checkRules(t, c.state, a.typ, after, tell(t, effects), c.name+": "+a.name)

			s := sdktest.Given(t, orders, c.state).Of("acme/orders/7").When(a.typ, a.fields) // for the laws that it checks
			if code != "" {
				s.Rejected(code)
			}
		}
	}
	if *update {
		require.NoError(t, os.WriteFile("testdata/pairs.txt", []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile("testdata/pairs.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())
}

type sent struct {
	name, typ string
	fields    any
}

// actions are all that may come: of feedback, what is waited for and what is late.
func actions(s State) []sent {
	typ := orderPaid
	if s.Pending != nil {
		typ = s.Pending.Event.Type
	}
	next := LoadedEvent{Type: orderCancelled, Version: s.Version + 1, Position: 8, Data: Event{Order: "7", Customer: "ann", Reason: "else"}}
	return []sent{
		{"place", "place", Place{"ann", tea}},
		{"cancel", "cancel", Cancel{"changed my mind"}},
		{"ship", "ship", Ship{"T-2"}},
		{"stored", typ, Stored{"store-1", s.Version + 1, 7}},
		{"stored, by a redrive", typ, Stored{"store-0", s.Version + 1, 7}},
		{"stored, far ahead", typ, Stored{"store-1", s.Version + 2, 7}},
		{"stored, known", typ, Stored{"store-0", s.Version, 7}},
		{"conflict", "not_stored", Failed{"store-1", "version_conflict", "m", s.Version + 1}},
		{"conflict, by a redrive", "not_stored", Failed{"store-0", "version_conflict", "m", s.Version + 1}},
		{"conflict, known", "not_stored", Failed{"store-0", "version_conflict", "m", s.Version}},
		{"not stored", "not_stored", Failed{"store-1", "failed", "m", 0}},
		{"not stored, by a redrive", "not_stored", Failed{"store-0", "failed", "m", 0}},
		{"loaded", "loaded", Loaded{[]LoadedEvent{next}, false}},
		{"loaded, and more", "loaded", Loaded{[]LoadedEvent{next}, true}},
		{"loaded what is known", "loaded", Loaded{[]LoadedEvent{{Type: orderShipped, Version: s.Version, Position: 7}}, false}},
		{"loaded nothing", "loaded", Loaded{}},
		{"not loaded", "not_loaded", Failed{"", "failed", "m", 0}},
		{"payment ok", "payment_ok", struct{}{}},
		{"payment failed", "payment_failed", Failed{"payment", "http_status", "m", 0}},
		{"payment timed out", "payment_timed_out", struct{}{}},
	}
}

func tellState(s State) string {
	text := s.Status
	if text == "" {
		text = "new"
	}
	text += fmt.Sprintf(" %d", s.Version)
	if s.Payment != "" {
		text += ", payment " + s.Payment
	}
	if s.Reason != "" {
		text += ", reason " + s.Reason
	}
	if s.Pending != nil {
		text += ", storing " + s.Pending.Event.Type
	}
	if s.Loading {
		text += ", loading"
	}
	if s.Failure != "" {
		text += ", failure " + s.Failure
	}
	return text
}

// checkRules are what has to be true whatever the pair.
func checkRules(t *testing.T, before State, typ string, after State, effects, pair string) {
	if after.Status != before.Status || after.Version != before.Version {
		require.Greater(t, after.Version, before.Version, pair)
		require.True(t, strings.HasPrefix(typ, "order_") || typ == "loaded", "%s: the state changes only with an event", pair)
		require.Contains(t, effects, "publish", pair)
	}
	require.LessOrEqual(t, strings.Count(effects, "append")+strings.Count(effects, "load"), 1, pair)
	if strings.Contains(effects, "append") {
		ended := strings.HasPrefix(typ, "order_") || typ == "not_stored" || typ == "loaded"
		require.True(t, !before.busy() || ended, "%s: one event at a time", pair)
		require.Contains(t, effects, fmt.Sprintf("at %d", after.Version), pair)
		require.NotNil(t, after.Pending, pair)
	}
	if strings.Contains(effects, "refund") {
		require.Equal(t, cancelled, after.Status, pair)
	}
	if strings.Contains(effects, "charge") {
		require.Equal(t, placed, after.Status, pair)
		require.Empty(t, before.Payment, "%s: once", pair)
	}
	if after.Status == cancelled && !after.busy() {
		require.NotContains(t, []string{paymentMade, paymentFailed}, after.Payment, "%s: money may be left at the bank", pair)
	}
	if before.Status == shipped && typ != "loaded" {
		require.Equal(t, shipped, after.Status, pair)
	}
}
