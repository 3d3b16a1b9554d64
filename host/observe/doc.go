// Package observe is how a host tells what it does: one struct of callbacks that metrics, traces, logs and tests implement.
//
// # Promise
//
// Watching costs nothing when nobody watches. Every callback may be nil, a nil *Observer or *ModuleHooks means that nobody listens, and
// whoever reports an event checks for nil before it gathers the event's fields. An observer is asked once per loaded module which hooks it
// wants, before the module takes its first action, so it can resolve labels and create series with value 0 off the hot path.
// Several observers become one with [Tee], whose field is nil when none of them sets it.
//
// # Order
//
// For one module: ModuleLoaded, then any number of the other hooks, then Unloaded. For one send: SendStarted, then exactly one Sent, whose
// ctx is the one that SendStarted returned. A send is any action on its way through a store: a command, and what an effect feeds back or
// sends to another store, which the context of its attempt comes along with. For one attempt at a leaf: EffectStarted, then exactly one
// Performed, likewise; what the leaf feeds back when it is done is sent after that. Hooks of different stores, and of one store from different
// callers, run concurrently and in no order between them: order actions by Sent.Seq, never by arrival.
//
// # What an observer may do
//
// Hooks run on the goroutine that does the work, some of them (Rebuilt, Trapped, Halted, Swapped, Log, Traceparent) with the lock of a shard
// held. An observer must be safe for concurrent use, must return quickly, must not call back into the host, and owns nothing it is handed: a pointer
// to an event, and what it points to, is valid only during the call. [Module.Stats] is the exception: it may be called at any time from any
// goroutine, but not from inside a hook.
//
// # Failure
//
// A callback returns no error, for there is nothing that the host could do about it; an observer keeps its own troubles. A panic in a
// callback is the observer's bug and is not recovered.
//
// # Refusals
//
// The package holds no registry, no global and no implementation. Sub-packages implement it: prometheus, otel and slog.
package observe
