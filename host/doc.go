// Package host runs reducers compiled to WebAssembly, as a library.
//
//	h, err := host.Open(ctx, host.Config{})
//	_, err = h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: wasm})
//	store, err := h.StoreAt("counter/alice")
//	receipt, err := store.Send(ctx, action) // msgpack: {"type": "increment", "by": 3}
//	state, err := store.State(ctx)          // msgpack: {"count": 3}
//
// A reducer is a pure function (state, action, env) -> (state', effects) in a sandbox. The host owns the rest: the order of actions, keeping them,
// subscribers, and replacing a module while it serves. Each store is one keyed state machine of a module; it comes to life with its first
// accepted action.
//
// What it promises is written down sentence by sentence in the project's SEMANTICS; in short: the accepted actions of a store are numbered 1, 2, 3, ...;
// every answer, refusals included, is given when what it was computed on is kept; a reducer that refuses, traps, loops or lies
// leaves no trace in its store's state and none in anybody else's.
//
// Everything that the host refuses is an [*Error] with a code; errors.Is matches it with the sentinels of this package (ErrRejected, ErrHalted, ...).
// A Host and its Stores are safe from any goroutine. Actions and states are msgpack; [Typed] puts Go types on top.
//
// The package is wiring and the public API. The mechanisms are in the packages below it: shard (order), engine (guests), journal (keeping), deploy
// (revisions), observe (seeing).
package host
