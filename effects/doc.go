// Package effects does what reducers describe, one leaf at a time.
//
// It has no queue, no clock and no memory: which leaf runs when, again or never is decided by who calls it, from what it computes.
//
//	tree.go       which leaves of an effect tree may run now, which never will: pure
//	key.go        the idempotency keys of leaves
//	handler.go    what performs a leaf: one attempt of it
//	registry.go   handlers by name
//	feedback.go   the actions that tell the reducer how it went
//
// # What it promises
//
//   - [Runnable] and its kin are functions of a tree and of how its leaves stand, and of nothing else. They allocate nothing but their answer.
//   - A handler in [Safely] ends: with a result or an error, and never with the host. What it may not do is listed there.
//   - An action composed here has the type that the effect named and none that a handler or peer chose, and is never over its bound.
//
// # What it refuses
//
// Results that are not a map with strings for keys, or that have a key of the host's ([Completed]). Kinds that no handler does: the combinators,
// delay, dispatch and cancel are for the outbox ([Registry.Handler]).
//
// # When it fails
//
// Whether an attempt that failed is made again is in its error: see package retry. Package breaker says when to stop trying a target.
//
// # Concurrency
//
// Everything may be called from many goroutines. A [Request] belongs to its attempt; the tree that it points into is shared and read only.
package effects
