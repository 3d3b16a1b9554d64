// Package main is a guest with the state of the script guest that knows none of the actions that are fed back: for tests of deploys under open effects.
package main

import "github.com/crhost/crhost/sdk"

// State is the script guest's, as far as it matters here.
type State struct {
	Log []string `msgpack:"log"`
}

// Set has nothing to say.
type Set struct{}

var _ = sdk.Register(sdk.Reducer[State]{
	Name:    "script",
	Actions: []sdk.Action[State]{sdk.On("set", func(*State, Set, *sdk.Env) (sdk.Effects, error) { return nil, nil })},
})

func main() {}
