// Package orders is the read model of the example plugin orders: which orders a customer has, and how they stand. It is the projection to copy.
//
// It is made of the events order_placed, order_paid, order_shipped and order_cancelled in the streams order-KEY, of which it needs the customer, and of the
// first the total. Other streams and events are nothing to it. The rows:
//
//	CUSTOMER/KEY   {"order": str, "customer": str, "status": str, "total": int (cents)}
//
// CUSTOMER is escaped as in the path of a URL, so that the orders of ann are the rows that begin with ann/, whatever other customers are called.
//
// An event without a customer, of an order that was not placed, or with a key over projection.MaxKeyBytes (no customer of up to 255 bytes has one) cannot be
// applied, and stops the projection: somebody else writes to these streams.
package orders

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/projection"
)

// Name is the name of the projection, as the plugin has it.
const Name = "orders_by_customer"

// ByCustomer is the projection. It has no state: its zero value is ready, for any number of runners.
type ByCustomer struct{}

var _ projection.Projection = ByCustomer{}

// statuses are what orders are after the events that the projection knows.
var statuses = map[string]string{"order_placed": "placed", "order_paid": "paid", "order_shipped": "shipped", "order_cancelled": "cancelled"}

// Name is [Name].
func (ByCustomer) Name() string { return Name }

// Apply applies an event; see the package doc.
func (ByCustomer) Apply(_ context.Context, tx projection.Tx, e eventstore.Event) error {
	key, ok := strings.CutPrefix(e.Stream, "order-")
	status, known := statuses[e.Type]
	if !ok || !known {
		return nil
	}
	var order Order
	if err := order.readEvent(e.Data); err != nil {
		return err
	}
	row := Key(order.Customer, key)
	if e.Type != "order_placed" {
		before, err := tx.Get(row)
		if errors.Is(err, projection.ErrNotFound) {
			return fmt.Errorf("%s of an order %s of %s that was not placed", e.Type, key, order.Customer)
		}
		if err != nil {
			return err
		}
		if err := order.Decode(before); err != nil {
			return err
		}
	}
	order.Key, order.Status = key, status
	return tx.Set(row, order.Append(nil))
}

// Prefix is what the keys of a customer's orders begin with.
func Prefix(customer string) string { return url.PathEscape(customer) + "/" }

// Key is the key of an order's row.
func Key(customer, order string) string { return Prefix(customer) + order }
