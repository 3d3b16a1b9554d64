// Package main is a guest that asks for as little as it can: for benchmarks of effects.
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
		sdk.On("done", func(s *State, _ None, _ *sdk.Env) (sdk.Effects, error) { s.Done++; return nil, nil }).Internal(),
	},
	Effects: []sdk.Grant{{Kind: sdk.KindCall, Targets: []string{"echo"}}, {Kind: sdk.KindDelay}},
})

func main() {}
