// Package main is a guest that asks for as little as it can, and once (pay) for what others ask for: for benchmarks of effects.
package main

import (
	"time"

	"github.com/crhost/crhost/sdk"
)

// State counts what was fed back.
type State struct {
	Done int64 `msgpack:"done"`
}

// None has no fields.
type None struct{}

// Order is what pay sends.
type Order struct {
	Number   int64  `msgpack:"number"`
	Customer string `msgpack:"customer"`
	Cents    int64  `msgpack:"cents"`
	Currency string `msgpack:"currency"`
}

var _ = sdk.Register(sdk.Reducer[State]{
	Name: "caller",
	Actions: []sdk.Action[State]{
		sdk.On("plain", func(s *State, _ None, _ *sdk.Env) (sdk.Effects, error) { s.Done++; return nil, nil }),
		sdk.On("call", func(*State, None, *sdk.Env) (sdk.Effects, error) {
			return sdk.Effects{sdk.Call("echo", None{}).OK("done")}, nil
		}),
		sdk.On("wait", func(*State, None, *sdk.Env) (sdk.Effects, error) {
			return sdk.Effects{sdk.Delay(time.Hour, "done", None{})}, nil
		}),
		sdk.On("pay", func(*State, None, *sdk.Env) (sdk.Effects, error) {
			order := Order{Number: 1234, Customer: "c-17", Cents: 9990, Currency: "EUR"}
			return sdk.Effects{sdk.Call("echo", order).ID("pay").OK("done").Err("done").Retry("slow").Timeout(time.Minute)}, nil
		}),
		sdk.On("done", func(s *State, _ None, _ *sdk.Env) (sdk.Effects, error) { s.Done++; return nil, nil }).Internal(),
	},
	Effects: []sdk.Grant{{Kind: sdk.KindCall, Targets: []string{"echo"}}, {Kind: sdk.KindDelay}},
})

func main() {}
