// Package main is a guest whose state can be made any size: for benchmarks of what an action costs by the size of its state.
package main

import "github.com/crhost/crhost/sdk"

type state struct {
	Data  []byte `msgpack:"data"`
	Count int64  `msgpack:"count"`
}

type fill struct {
	Size int64 `msgpack:"size"`
}

var _ = sdk.Register(sdk.Reducer[state]{
	Name:    "blob",
	Version: "1.0.0",
	Actions: []sdk.Action[state]{
		sdk.On("fill", func(s *state, a fill, _ *sdk.Env) (sdk.Effects, error) {
			s.Data = make([]byte, a.Size)
			return nil, nil
		}),
		sdk.On("increment", func(s *state, _ struct{}, _ *sdk.Env) (sdk.Effects, error) {
			s.Count++
			return nil, nil
		}),
	},
})

func main() {}
