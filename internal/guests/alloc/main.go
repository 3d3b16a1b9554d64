// Package main is a guest whose every action leaves garbage: for tests of flat memory.
package main

import "github.com/crhost/crhost/sdk"

// State is a list that is replaced by every action.
type State struct {
	Count int64   `msgpack:"count"`
	Items []*Item `msgpack:"items"`
}

// Item is an object of its own on the heap.
type Item struct {
	Text string `msgpack:"text"`
}

// Fill says how many items to make.
type Fill struct {
	Items int    `msgpack:"items" default:"4"`
	Text  string `msgpack:"text" default:"garbage"`
}

var _ = sdk.Register(sdk.Reducer[State]{
	Name:    "alloc",
	Actions: []sdk.Action[State]{sdk.On("fill", fill), sdk.On("increment", fill)},
})

func main() {}

func fill(s *State, a Fill, _ *sdk.Env) (sdk.Effects, error) {
	s.Items = make([]*Item, 0, a.Items)
	for range a.Items {
		s.Items = append(s.Items, &Item{Text: a.Text + " "})
	}
	s.Count++
	return nil, nil
}
