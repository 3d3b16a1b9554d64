// Package main is a guest that leaves a goroutine behind, which the contract forbids.
package main

import "github.com/crhost/crhost/sdk"

// State counts.
type State struct {
	Count int64 `msgpack:"count"`
}

var never = make(chan struct{})

var _ = sdk.Register(sdk.Reducer[State]{
	Name: "goroutine",
	Actions: []sdk.Action[State]{
		sdk.On("increment", increment),
		sdk.On("leave", leave).Doc("Leave a goroutine that waits for ever."),
		sdk.On("finish", finish).Doc("Wait for a goroutine to end, which is allowed."),
	},
})

func main() {}

func increment(s *State, _ struct{}, _ *sdk.Env) (sdk.Effects, error) {
	s.Count++
	return nil, nil
}

func leave(s *State, _ struct{}, _ *sdk.Env) (sdk.Effects, error) {
	s.Count++
	go func() { <-never }()
	return nil, nil
}

func finish(s *State, _ struct{}, _ *sdk.Env) (sdk.Effects, error) {
	done := make(chan int64)
	go func() { done <- s.Count + 1 }()
	s.Count = <-done
	return nil, nil
}
