// Package main is the counter: the smallest module that is worth copying.
package main

import "github.com/crhost/crhost/sdk"

// State is what a counter remembers.
type State struct {
	Count int64 `msgpack:"count"`
}

// Step is how far an increment or decrement goes.
type Step struct {
	By int64 `msgpack:"by" default:"1"`
}

var counter = sdk.Register(sdk.Reducer[State]{
	Name:    "counter",
	Version: "1.0.0",
	Actions: []sdk.Action[State]{
		sdk.On("increment", increment).Doc("Add by, or 1."),
		sdk.On("decrement", decrement).Doc("Subtract by, or 1."),
		sdk.On("reset", reset).Doc("Go back to 0."),
	},
})

var errOverflow = sdk.Reject("overflow", "the count would leave the range of 64 bits")

func main() {}

func increment(s *State, a Step, _ *sdk.Env) (sdk.Effects, error) {
	sum := s.Count + a.By
	if (sum > s.Count) != (a.By > 0) {
		return nil, errOverflow
	}
	s.Count = sum
	return nil, nil
}

func decrement(s *State, a Step, _ *sdk.Env) (sdk.Effects, error) {
	difference := s.Count - a.By
	if (difference < s.Count) != (a.By > 0) {
		return nil, errOverflow
	}
	s.Count = difference
	return nil, nil
}

func reset(s *State, _ struct{}, _ *sdk.Env) (sdk.Effects, error) {
	s.Count = 0
	return nil, nil
}
