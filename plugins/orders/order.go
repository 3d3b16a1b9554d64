package main

import (
	"strconv"
	"time"

	"github.com/crhost/crhost/sdk"
)

const (
	topic      = "orders"             // where events are published, with the order as key
	byCustomer = "orders_by_customer" // the projection that is to have seen an event before its action is done
)

// The events of an order. The action that says that one is stored has its type.
const (
	orderPlaced    = "order_placed"
	orderPaid      = "order_paid"
	orderCancelled = "order_cancelled"
	orderShipped   = "order_shipped"
)

// What an order can be. A new one is "".
const (
	placed    = "placed"
	paid      = "paid"
	cancelled = "cancelled"
	shipped   = "shipped"
)

// State is an order.
type State struct {
	Status   string `msgpack:"status"`
	Customer string `msgpack:"customer"`
	Items    []Item `msgpack:"items"`
	Total    int64  `msgpack:"total"` // cents
	Tracking string `msgpack:"tracking"`
	Reason   string `msgpack:"reason"`  // why it is cancelled, or about to be
	Version  int64  `msgpack:"version"` // of the event stream, as far as it is applied

	Payment string   `msgpack:"payment"` // see payment.go
	Pending *Pending `msgpack:"pending"` // the event that is being stored, or may be, if one is
	Loading bool     `msgpack:"loading"` // events that the order does not know are being loaded
	Failure string   `msgpack:"failure"` // why the last event could not be stored, or others loaded; empty again with the next one
}

// Clone makes rejections cheap: items and a pending event are never changed, only replaced.
func (s State) Clone() State { return s }

// Item is a line of an order.
type Item struct {
	Product  string `msgpack:"product"`
	Name     string `msgpack:"name"`
	Quantity uint32 `msgpack:"quantity"`
	Price    int64  `msgpack:"price"` // of one, cents
}

// Event is what happened to an order. Order and Customer are in each, so that readers need no other event to know whose it is.
type Event struct {
	Type     string    `msgpack:"type"`
	Order    string    `msgpack:"order"`
	Customer string    `msgpack:"customer"`
	At       time.Time `msgpack:"at"`
	Items    []Item    `msgpack:"items,omitempty"`    // of order_placed
	Total    int64     `msgpack:"total,omitempty"`    // of order_placed
	Reason   string    `msgpack:"reason,omitempty"`   // of order_cancelled
	Tracking string    `msgpack:"tracking,omitempty"` // of order_shipped
}

// Pending is an event on its way to the stream.
type Pending struct {
	ID    string `msgpack:"id"` // of the effect that stores it
	Event Event  `msgpack:"event"`
	Own   bool   `msgpack:"own"` // the order did it by itself
}

// busy reports whether the order waits for its stream.
func (s *State) busy() bool { return s.Pending != nil || s.Loading }

// apply makes the state what it is after an event.
func (s *State) apply(e Event, version int64) {
	s.Version = version
	switch e.Type {
	case orderPlaced:
		s.Status, s.Customer, s.Items, s.Total = placed, e.Customer, e.Items, e.Total
	case orderPaid:
		s.Status, s.Payment = paid, paymentMade
	case orderCancelled:
		s.Status, s.Reason = cancelled, e.Reason
	case orderShipped:
		s.Status, s.Tracking = shipped, e.Tracking
	}
}

// advance is what an order does by itself.
func (s *State) advance(env *sdk.Env) sdk.Effects {
	switch {
	case s.busy():
	case s.Status == placed && s.Payment == "":
		s.Payment = paymentAsked
		return s.charge(env)
	case s.Status == placed && s.Payment == paymentMade:
		return s.store(Event{Type: orderPaid}, true, env)
	case s.Status == placed && s.Payment == paymentFailed:
		return s.store(Event{Type: orderCancelled, Reason: s.Reason}, true, env)
	case s.Status == cancelled && (s.Payment == paymentMade || s.Payment == paymentFailed):
		s.Payment = paymentReturned
		return s.refund(env)
	}
	return nil
}

// store asks for an event to be stored, behind all that the order knows.
func (s *State) store(e Event, own bool, env *sdk.Env) sdk.Effects {
	e.Order, e.At = env.Store().Key, env.Now()
	if e.Customer == "" {
		e.Customer = s.Customer
	}
	id := "store-" + strconv.FormatUint(env.Seq(), 10)
	s.Pending, s.Failure = &Pending{ID: id, Event: e, Own: own}, ""
	return sdk.Effects{sdk.Append(stream(env), e).Expect(s.Version).ID(id).OK(e.Type).Err("not_stored")}
}

// load asks for the events that the order does not know.
func (s *State) load(env *sdk.Env) sdk.Effects {
	s.Loading = true
	return sdk.Effects{sdk.Load(stream(env), uint64(s.Version)+1).OK("loaded").Err("not_loaded")}
}

// announce tells everybody of an event that is stored.
func announce(e Event, position uint64) sdk.Effects {
	return sdk.Effects{sdk.Publish(topic, e).Key(e.Order), sdk.Project(byCustomer, position)}
}

func stream(env *sdk.Env) string { return "order-" + env.Store().Key }
