package sdk_test

import (
	"fmt"
	"time"

	"github.com/crhost/crhost/sdk"
)

type Order struct {
	Status string    `msgpack:"status"`
	Due    time.Time `msgpack:"due,omitempty"`
}

type Place struct {
	Days int `msgpack:"days" default:"14"`
}

func ExampleNew() {
	orders := sdk.New(sdk.Reducer[Order]{
		Name:    "orders",
		Version: "1.0.0",
		Initial: Order{Status: "new"},
		Actions: []sdk.Action[Order]{
			sdk.On("place", place).Doc("Place the order; it is due after days, or 14."),
			sdk.On("overdue", func(s *Order, _ struct{}, _ *sdk.Env) (sdk.Effects, error) {
				s.Status = "overdue"
				return nil, nil
			}).Internal(),
		},
		Effects: []sdk.Grant{{Kind: sdk.KindDelay}, {Kind: sdk.KindPublish, Targets: []string{"orders.*"}}},
	})
	for _, action := range orders.Manifest().Actions {
		fmt.Println(action.Kind, action.Type)
	}
	// Output:
	// command place
	// internal overdue
}

func place(s *Order, a Place, env *sdk.Env) (sdk.Effects, error) {
	if s.Status != "new" {
		return nil, sdk.Reject("placed_already", "the order is "+s.Status)
	}
	s.Status = "placed"
	s.Due = env.Now().AddDate(0, 0, a.Days)
	return sdk.Effects{
		sdk.Publish("orders.placed", *s).Key(env.Store().Key),
		sdk.Delay(s.Due.Sub(env.Now()), "overdue", struct{}{}).ID("due"),
	}, nil
}

func ExamplePack() {
	raw := sdk.Pack(Order{Status: "placed"})
	var back Order
	err := sdk.Unpack(raw, &back)
	fmt.Printf("%q %v %v\n", []byte(raw), back.Status, err)
	// Output: "\x81\xa6status\xa6placed" placed <nil>
}
