// Package main is a guest that sleeps during an action, which the contract forbids.
package main

import (
	"time"

	"github.com/crhost/crhost/sdk"
)

// State counts.
type State struct {
	Count int64 `msgpack:"count"`
}

var _ = sdk.Register(sdk.Reducer[State]{
	Name:    "sleep",
	Actions: []sdk.Action[State]{sdk.On("increment", increment), sdk.On("sleep", sleep)},
})

func main() {}

func increment(s *State, _ struct{}, _ *sdk.Env) (sdk.Effects, error) {
	s.Count++
	return nil, nil
}

func sleep(s *State, _ struct{}, _ *sdk.Env) (sdk.Effects, error) {
	time.Sleep(time.Minute)
	s.Count++
	return nil, nil
}
