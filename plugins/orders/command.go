package main

import (
	"math"
	"strings"

	"github.com/crhost/crhost/sdk"
)

// maxCustomerBytes leaves room for the customer in the keys of read models.
const maxCustomerBytes = 200

// Place is the command to order something.
type Place struct {
	Customer string `msgpack:"customer"`
	Items    []Item `msgpack:"items"`
}

// Cancel is the command to call it off.
type Cancel struct {
	Reason string `msgpack:"reason"`
}

// Ship is the command to send it.
type Ship struct {
	Tracking string `msgpack:"tracking"`
}

var (
	errBusy             = sdk.Reject("busy", "the order is being changed; try again")
	errNotConfigured    = sdk.Reject("not_configured", "the module's config has no payment_url")
	errAlreadyPlaced    = sdk.Reject("already_placed", "there is such an order already")
	errBadCustomer      = sdk.Reject("bad_customer", "an order needs a customer, of at most 200 bytes")
	errNoItems          = sdk.Reject("no_items", "an order needs an item at least")
	errOverflow         = sdk.Reject("overflow", "the total would leave the range of 64 bits")
	errNotPlaced        = sdk.Reject("not_placed", "there is no such order")
	errNotPaid          = sdk.Reject("not_paid", "the order is not paid")
	errAlreadyShipped   = sdk.Reject("already_shipped", "the order is on its way")
	errAlreadyCancelled = sdk.Reject("already_cancelled", "the order is cancelled")
	errNoTracking       = sdk.Reject("no_tracking", "the tracking number is empty")
)

func place(s *State, a Place, env *sdk.Env) (sdk.Effects, error) {
	switch {
	case s.busy():
		return nil, errBusy
	case s.Status != "":
		return nil, errAlreadyPlaced
	case sdk.Config[Config](env).PaymentURL == "":
		return nil, errNotConfigured
	case a.Customer == "" || len(a.Customer) > maxCustomerBytes:
		return nil, errBadCustomer
	}
	sum, err := total(a.Items)
	if err != nil {
		return nil, err
	}
	return s.store(Event{Type: orderPlaced, Customer: a.Customer, Items: a.Items, Total: sum}, false, env), nil
}

// total adds up the prices of items that are all right.
func total(items []Item) (sum int64, err error) {
	if len(items) == 0 {
		return 0, errNoItems
	}
	for _, i := range items {
		switch {
		case i.Quantity == 0:
			return 0, sdk.Reject("zero_quantity", "item '"+i.Name+"' has zero quantity")
		case i.Price <= 0:
			return 0, sdk.Reject("bad_price", "item '"+i.Name+"' has no price above 0")
		case i.Price > (math.MaxInt64-sum)/int64(i.Quantity):
			return 0, errOverflow
		}
		sum += i.Price * int64(i.Quantity)
	}
	return sum, nil
}

func cancel(s *State, a Cancel, env *sdk.Env) (sdk.Effects, error) {
	switch {
	case s.busy():
		return nil, errBusy
	case s.Status == "":
		return nil, errNotPlaced
	case s.Status == shipped:
		return nil, errAlreadyShipped
	case s.Status == cancelled:
		return nil, errAlreadyCancelled
	}
	return s.store(Event{Type: orderCancelled, Reason: a.Reason}, false, env), nil
}

func ship(s *State, a Ship, env *sdk.Env) (sdk.Effects, error) {
	switch {
	case s.busy():
		return nil, errBusy
	case s.Status == "":
		return nil, errNotPlaced
	case s.Status == placed:
		return nil, errNotPaid
	case s.Status == shipped:
		return nil, errAlreadyShipped
	case s.Status == cancelled:
		return nil, errAlreadyCancelled
	case strings.TrimSpace(a.Tracking) == "":
		return nil, errNoTracking
	}
	return s.store(Event{Type: orderShipped, Tracking: a.Tracking}, false, env), nil
}
