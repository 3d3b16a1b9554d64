package orders

import (
	"errors"
	"fmt"

	"github.com/crhost/crhost/abi/pack"
)

// Order is a row of the read model.
type Order struct {
	Key      string // of its store
	Customer string
	Status   string // placed, paid, shipped or cancelled
	Total    int64  // cents
}

// Append appends the value of o's row.
func (o *Order) Append(b []byte) []byte {
	b = pack.AppendMapLen(b, 4)
	b = pack.AppendString(pack.AppendString(b, "order"), o.Key)
	b = pack.AppendString(pack.AppendString(b, "customer"), o.Customer)
	b = pack.AppendString(pack.AppendString(b, "status"), o.Status)
	return pack.AppendInt(pack.AppendString(b, "total"), o.Total)
}

// Decode reads the value of a row. Errors are *pack.SyntaxError, wrapped.
func (o *Order) Decode(b []byte) error {
	*o = Order{}
	return o.read("row", b)
}

// readEvent reads what the data of an event says of its order.
func (o *Order) readEvent(b []byte) error {
	if err := o.read("event", b); err != nil {
		return err
	}
	if o.Customer == "" {
		return errors.New("event: no customer")
	}
	return nil
}

func (o *Order) read(what string, b []byte) error {
	r := pack.NewReader(b)
	for n := r.MapLen(); n > 0 && r.OK(); n-- {
		switch string(r.Str()) {
		case "order":
			o.Key = string(r.Str())
		case "customer":
			o.Customer = string(r.Str())
		case "status":
			o.Status = string(r.Str())
		case "total":
			o.Total = r.Int()
		default:
			r.Skip()
		}
	}
	if r.End(); !r.OK() {
		return fmt.Errorf("%s: %w", what, r.Err())
	}
	return nil
}
