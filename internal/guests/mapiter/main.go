// Package main is a guest whose result depends on the order of a map, which differs from call to call: it breaks the residency law.
package main

import "github.com/crhost/crhost/sdk"

// State is a set of names, and the one that came first in the map's own order.
type State struct {
	Names map[string]bool `msgpack:"names"`
	First string          `msgpack:"first"`
}

var _ = sdk.Register(sdk.Reducer[State]{
	Name:    "mapiter",
	Initial: State{Names: map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": true, "f": true, "g": true}},
	Actions: []sdk.Action[State]{sdk.On("pick", pick)},
})

func main() {}

func pick(s *State, _ struct{}, _ *sdk.Env) (sdk.Effects, error) {
	for name := range s.Names {
		s.First = name
		break
	}
	return nil, nil
}
