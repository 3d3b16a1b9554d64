package main

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/events"
	"github.com/crhost/crhost/effects/eventstore"
	eventmemory "github.com/crhost/crhost/effects/eventstore/memory"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/memory"
	readmodel "github.com/crhost/crhost/effects/projection/orders"
	"github.com/crhost/crhost/sdk"
)

// leaf is an effect that waits to be performed.
type leaf struct {
	key    string
	effect abi.Effect
	asked  bool // it stores what somebody asked for: the order does not need it
}

// world is order 7 and what its effects meet: the event store as it is, and a bank. It performs effects in any order, as a host may.
type world struct {
	t     *rapid.T
	log   *eventmemory.Store
	kinds map[abi.Kind]effects.Handler

	state   State
	seq     uint64
	waiting []leaf
	dead    []leaf // failed for good; may be redriven, and what nobody needs discarded
	foreign int    // events that somebody else appended

	charged bool // the bank has the money
}

func newWorld(t *rapid.T) *world {
	w := &world{t: t, log: eventmemory.New()}
	w.kinds = events.Handlers(events.Config{Store: w.log})
	return w
}

// send has the order reduce an action, and takes its effects.
func (w *world) send(action []byte) {
	w.seq++
	after, list, _, _ := reduce(w.t, w.state, w.seq, action)
	w.state = after
	for i, e := range list {
		if e.Kind == abi.KindCancel {
			w.cancel(e.ID)
			continue
		}
		for _, l := range w.waiting {
			require.False(w.t, e.ID != "" && e.ID == l.effect.ID, "id %s is in use: the host would refuse the action", e.ID)
		}
		asked := e.Kind == abi.KindAppend && !after.Pending.Own && after.Status != ""
		w.waiting = append(w.waiting, leaf{effects.Key([16]byte{}, w.seq, i), e, asked})
	}
}

// cancel ends an effect; a call that is cancelled may have been made, or not.
func (w *world) cancel(id string) {
	for i, l := range w.waiting {
		if l.effect.ID != id {
			continue
		}
		if l.effect.Kind == abi.KindCall && rapid.Bool().Draw(w.t, "made before it was cancelled") {
			w.bank(l.effect)
		}
		w.waiting = slices.Delete(w.waiting, i, i+1)
		return
	}
}

// bank does what a call asks for; more than once is as good as once.
func (w *world) bank(e abi.Effect) {
	var r request
	require.NoError(w.t, sdk.Unpack(e.Body, &r))
	require.Contains(w.t, r.Body, `"order":"7"`)
	w.charged = strings.Contains(r.Body, `"do":"charge"`)
}

// perform ends effect i: done, failed before it was done, or done and failed on the way back.
func (w *world) perform(i int, how string) {
	l := w.waiting[i]
	w.waiting = slices.Delete(w.waiting, i, i+1)
	var result []byte
	var err error
	if how != "fails" {
		result, err = w.do(l)
	}
	if how != "done" && err == nil {
		err = &effects.Error{Code: effects.CodeFailed, Message: "given up"}
	}
	var action []byte
	if err == nil {
		if l.effect.Kind == abi.KindDelay {
			action = l.effect.Body
		} else {
			action, err = effects.Completed(&l.effect, result, abi.DefaultActionBytes)
			require.NoError(w.t, err)
		}
	} else {
		w.dead = append(w.dead, l)
		var fault error
		action, fault = effects.Failed(&l.effect, err, 6, abi.DefaultActionBytes)
		require.NoError(w.t, fault)
	}
	if action != nil {
		w.send(action)
	}
}

func (w *world) do(l leaf) ([]byte, error) {
	switch l.effect.Kind {
	case abi.KindCall:
		w.bank(l.effect)
	case abi.KindAppend, abi.KindLoad:
		address := abi.Address{Tenant: "acme", Module: "orders", Key: "7"}
		return w.kinds[l.effect.Kind].Do(context.Background(), &effects.Request{Key: l.key, Store: address, Effect: &l.effect})
	}
	return nil, nil
}

// append is somebody else's event in the stream.
func (w *world) append() {
	w.foreign++
	e := eventstore.Event{ID: "foreign-" + strconv.Itoa(w.foreign), Type: "order_noted", Data: sdk.Pack(map[string]string{"order": "7"})}
	_, err := w.log.Append(context.Background(), "acme/order-7", eventstore.Any, []eventstore.Event{e})
	require.NoError(w.t, err)
}

// redrive has a dead effect performed again.
func (w *world) redrive(i int) {
	l := w.dead[i]
	if slices.ContainsFunc(w.waiting, func(o leaf) bool { return l.effect.ID != "" && o.effect.ID == l.effect.ID }) {
		return // refused while the id is in use
	}
	w.dead = slices.Delete(w.dead, i, i+1)
	w.waiting = append(w.waiting, l)
}

// settle performs all that there is, and redrives what was given up, or discards, until nothing is left to do. A conflict is let go: it is one for ever.
func (w *world) settle() {
	for range 200 {
		switch {
		case len(w.waiting) > 0:
			before := len(w.dead)
			w.perform(0, "done")
			w.dead = w.dead[:before] // it was a conflict
		case len(w.dead) > 0 && w.dead[0].asked && rapid.Bool().Draw(w.t, "discarded"):
			w.dead = w.dead[1:]
		case len(w.dead) > 0:
			w.redrive(0)
		default:
			return
		}
	}
	w.t.Fatalf("the order does not come to rest: %s", tellState(w.state))
}

// stream is what the stream says up to a version: the state that it folds to. What is behind must be somebody else's, who told nobody.
func (w *world) stream(version int64) (s State) {
	list, err := w.log.Load(context.Background(), "acme/order-7", 1, 1000)
	require.NoError(w.t, err)
	for _, e := range list {
		if int64(e.Version) > version {
			require.Equal(w.t, "order_noted", e.Type, "an event of the order's own that it does not know")
			continue
		}
		var data Event
		require.NoError(w.t, sdk.Unpack(e.Data, &data))
		data.Type = e.Type
		s.apply(data, int64(e.Version))
	}
	return s
}

// Whatever fails, comes late, is redriven or gets in between: the order is what its stream says, and the bank has the money of an order that is
// not cancelled, and of no other.
func TestOrder_anything(t *testing.T) {
	configure(t, bank)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		commands := [][]byte{
			sdk.PackAction("place", Place{"ann", tea}), sdk.PackAction("cancel", Cancel{"r"}), sdk.PackAction("ship", Ship{"T"}),
		}
		w.send(commands[0])
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			switch step := rapid.IntRange(0, 9).Draw(t, "step"); {
			case step == 0:
				w.append()
			case step == 1 && len(w.dead) > 0:
				w.redrive(rapid.IntRange(0, len(w.dead)-1).Draw(t, "redriven"))
			case step <= 3:
				w.send(rapid.SampledFrom(commands).Draw(t, "command"))
			case len(w.waiting) > 0:
				how := rapid.SampledFrom([]string{"done", "done", "done", "fails", "done and lost"})
				w.perform(rapid.IntRange(0, len(w.waiting)-1).Draw(t, "leaf"), how.Draw(t, "how"))
			}
		}
		w.settle()
		s := w.state
		require.False(t, s.busy(), "%s", tellState(s))
		require.Equal(t, tellFold(w.stream(s.Version)), tellFold(s))
		require.NotEqual(t, placed, s.Status, "its payment is made or given up: %s", tellState(s))
		require.Equal(t, s.Status == paid || s.Status == shipped, w.charged, "the bank and the order: %s", tellState(s))
	})
}

// tellFold is what of a state the stream says.
func tellFold(s State) string {
	return strings.Join([]string{s.Status, s.Customer, s.Tracking, strconv.FormatInt(s.Total, 10), strconv.FormatInt(s.Version, 10)}, "|")
}

// The events of an order are those that the read model knows.
func TestOrder_byCustomer(t *testing.T) {
	configure(t, bank)
	log, models := eventmemory.New(), memory.New()
	kinds := events.Handlers(events.Config{Store: log})
	model, err := events.Of("acme", readmodel.ByCustomer{})
	require.NoError(t, err)
	require.Equal(t, byCustomer, readmodel.Name)
	ctx, cancel := context.WithCancel(t.Context())
	runner, err := projection.New(log, models, model, projection.Config{Attempts: 1})
	require.NoError(t, err)
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()

	state := State{}
	show := func() string {
		head, err := log.Head(ctx)
		require.NoError(t, err)
		require.NoError(t, runner.Wait(ctx, head))
		value, err := models.Get(ctx, model.Name(), readmodel.Key("ann", "7"))
		require.NoError(t, err)
		var o readmodel.Order
		require.NoError(t, o.Decode(value))
		return o.Customer + " " + o.Key + " " + o.Status + " " + strconv.FormatInt(o.Total, 10)
	}
	for i, c := range []struct {
		action []byte
		want   string
	}{
		{sdk.PackAction("place", Place{"ann", tea}), "ann 7 placed 2000"},
		{sdk.PackAction("payment_ok", struct{}{}), "ann 7 paid 2000"},
		{sdk.PackAction("ship", Ship{"T"}), "ann 7 shipped 2000"},
	} {
		var list []abi.Effect
		state, list, _, _ = reduce(t, state, uint64(2*i+1), c.action)
		e := list[len(list)-1]
		require.Equal(t, abi.KindAppend, e.Kind)
		result, err := kinds[e.Kind].Do(ctx, &effects.Request{Key: strconv.Itoa(i), Store: abi.Address{Tenant: "acme", Module: "orders", Key: "7"}, Effect: &e})
		require.NoError(t, err)
		require.Equal(t, c.want, show())
		action, err := effects.Completed(&e, result, abi.DefaultActionBytes)
		require.NoError(t, err)
		state, _, _, _ = reduce(t, state, uint64(2*i+2), action)
	}
	require.Equal(t, shipped, state.Status)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}
