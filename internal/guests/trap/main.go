// Package main is a guest that fails in the ways a Go program can: for tests of traps and of rejections without CLEAN.
package main

import (
	"os"

	"github.com/crhost/crhost/sdk"
)

// State has a map, so that the SDK cannot take an action back and does not answer CLEAN.
type State struct {
	Count int64            `msgpack:"count"`
	Seen  map[string]int64 `msgpack:"seen"`
}

// Name is whom to count.
type Name struct {
	Name string `msgpack:"name"`
}

var _ = sdk.Register(sdk.Reducer[State]{
	Name:    "trap",
	Initial: State{Seen: map[string]int64{}},
	Actions: []sdk.Action[State]{
		sdk.On("increment", increment),
		sdk.On("panic", trap).Doc("Change the state, then panic."),
		sdk.On("reject", reject).Doc("Change the state, then reject."),
		sdk.On("exit", exit).Doc("Change the state, then exit the process."),
		sdk.On("spin", spin).Doc("Never end."),
		sdk.On("recurse", recurse).Doc("Call oneself for ever."),
		sdk.On("grow", grow).Doc("Allocate for ever."),
	},
})

func main() {}

func increment(s *State, a Name, _ *sdk.Env) (sdk.Effects, error) {
	s.Count++
	s.Seen[a.Name]++
	return nil, nil
}

func trap(s *State, a Name, env *sdk.Env) (sdk.Effects, error) {
	_, _ = increment(s, a, env)
	panic("the reducer of " + a.Name + " gave up")
}

func reject(s *State, a Name, env *sdk.Env) (sdk.Effects, error) {
	_, _ = increment(s, a, env)
	return nil, sdk.Reject("refused", "as asked")
}

func exit(s *State, a Name, env *sdk.Env) (sdk.Effects, error) {
	_, _ = increment(s, a, env)
	os.Exit(3)
	return nil, nil
}

func spin(s *State, _ Name, _ *sdk.Env) (sdk.Effects, error) {
	for {
		s.Count++
	}
}

func recurse(s *State, _ Name, _ *sdk.Env) (sdk.Effects, error) {
	s.Count = deeper(s.Count)
	return nil, nil
}

//lint:ignore SA5007 it is here to run out of depth
func deeper(n int64) int64 { return deeper(n+1) + n }

var hoard [][]byte

func grow(*State, Name, *sdk.Env) (sdk.Effects, error) {
	for {
		hoard = append(hoard, make([]byte, 1<<20))
	}
}
