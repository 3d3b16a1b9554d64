// Package main is a guest that describes the effects that its action names, and keeps a log of what is fed back: for tests of effects.
package main

import (
	"time"

	"github.com/crhost/crhost/sdk"
)

// State is a log, and what to do with feedback.
type State struct {
	Log    []string `msgpack:"log"`
	Reject bool     `msgpack:"reject"`
	Trap   bool     `msgpack:"trap"`
}

// Do holds effects to be described.
type Do struct {
	Effects []Node `msgpack:"effects"`
	Note    string `msgpack:"note"` // put into the log
}

// Node is an effect, in the words of the contract.
type Node struct {
	Kind     string    `msgpack:"kind"`
	ID       string    `msgpack:"id"`
	Target   string    `msgpack:"target"`
	OK       string    `msgpack:"ok"`
	Err      string    `msgpack:"err"`
	Retry    string    `msgpack:"retry"`
	Timeout  int64     `msgpack:"timeout"`
	After    int64     `msgpack:"after"`
	Body     sdk.Raw   `msgpack:"body"`
	Events   []sdk.Raw `msgpack:"events"`
	Children []Node    `msgpack:"children"`
}

// Set says what to do with what is fed back.
type Set struct {
	Reject bool `msgpack:"reject"`
	Trap   bool `msgpack:"trap"`
}

// Fed is what is fed back.
type Fed struct {
	ID   string `msgpack:"id"`
	Note string `msgpack:"note"`
	Code string `msgpack:"code"`
	Do   []Node `msgpack:"do"`
}

var _ = sdk.Register(sdk.Reducer[State]{
	Name: "script",
	Actions: []sdk.Action[State]{
		sdk.On("do", do), sdk.On("set", set),
		sdk.On("ok", fed("ok")).Internal(), sdk.On("err", fed("err")).Internal(), sdk.On("tick", fed("tick")).Internal(),
		sdk.On("loop", loop).Internal(),
	},
	Effects: []sdk.Grant{
		{Kind: sdk.KindCall, Targets: []string{"*"}}, {Kind: sdk.KindDelay}, {Kind: sdk.KindPublish, Targets: []string{"*"}},
		{Kind: sdk.KindAppend, Targets: []string{"*"}}, {Kind: sdk.KindDispatch, Targets: []string{"*"}}, {Kind: sdk.KindCancel},
	},
})

func main() {}

func do(s *State, a Do, _ *sdk.Env) (sdk.Effects, error) {
	if a.Note != "" {
		s.Log = append(s.Log, "do "+a.Note)
	}
	return effects(a.Effects), nil
}

func set(s *State, a Set, _ *sdk.Env) (sdk.Effects, error) {
	s.Reject, s.Trap = a.Reject, a.Trap
	return nil, nil
}

func fed(typ string) func(*State, Fed, *sdk.Env) (sdk.Effects, error) {
	return func(s *State, a Fed, _ *sdk.Env) (sdk.Effects, error) {
		if s.Trap {
			panic("told to")
		}
		if s.Reject {
			return nil, sdk.Reject("told_to", "no")
		}
		text := typ
		for _, part := range []string{a.ID, a.Note, a.Code} {
			if part != "" {
				text += " " + part
			}
		}
		s.Log = append(s.Log, text)
		return effects(a.Do), nil
	}
}

func loop(s *State, _ Fed, _ *sdk.Env) (sdk.Effects, error) {
	s.Log = append(s.Log[:0], "loop")
	return sdk.Effects{sdk.Call("echo", struct{}{}).OK("loop")}, nil
}

func effects(nodes []Node) sdk.Effects {
	var list sdk.Effects
	for i := range nodes {
		list = append(list, effect(&nodes[i]))
	}
	return list
}

func effect(n *Node) sdk.Effect {
	var e sdk.Effect
	switch n.Kind {
	case "call":
		e = sdk.Call(n.Target, n.Body)
	case "delay":
		e = sdk.Delay(time.Duration(n.After), "tick", map[string]string{"note": n.Target})
	case "publish":
		e = sdk.Publish(n.Target, n.Body)
	case "append":
		e = sdk.Append(n.Target, n.Events...)
	case "dispatch":
		e = sdk.Dispatch(n.Target, "do", map[string]string{"note": n.ID})
	case "cancel":
		return sdk.Cancel(n.ID).OK(n.OK)
	case "parallel":
		return sdk.Parallel(effects(n.Children)...)
	case "sequential":
		return sdk.Sequential(effects(n.Children)...)
	}
	return e.ID(n.ID).OK(n.OK).Err(n.Err).Retry(n.Retry).Timeout(time.Duration(n.Timeout))
}
