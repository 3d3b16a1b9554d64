// Package peers runs one counter on crhost and on its neighbours, in one process and in turns, and compares what an action costs.
//
//	ours            a reduce in an instance of the engine, state resident: metered, checked, housekept
//	ours-send       Store.Send of a host in memory: locked, recorded, journaled, counted
//	extism          a call of Extism's go-sdk, input as its PDK takes it
//	extism-timeout  the same, with the timeout that ends an endless loop
//	extism-lean     a call with everything left out that can be, and some that should not
//	go-plugin       a gRPC call to a process of hashicorp/go-plugin
//
// # What it promises
//
// Every side applies the same msgpack action to the same state, which stays where the side keeps it. The sides take turns, in an order
// that moves on each round, each after a garbage collection: what disturbs the machine disturbs them all, and none pays for another's
// garbage. A side's figure is its median over the rounds. A side whose count is not the sum of what it was sent fails the run.
//
// # What it needs
//
// The go command, and the bench module around the working directory: guests and the plug-in process are built anew in a directory of
// their own. Close ends the process and removes the directory.
//
// # Concurrency
//
// A Field belongs to one goroutine.
package peers
