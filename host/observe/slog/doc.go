// Package slog writes what a host reports to a log/slog logger: one line for each thing that an operator would want to read about.
//
// # Lines
//
//	level  message            when
//	INFO   module loaded      a module is ready to take actions
//	INFO   module unloaded
//	INFO   deploy             it ended; WARN when it was refused
//	INFO   compile            a module was compiled, DEBUG when the cache had it, WARN when it could not be
//	WARN   trap               an instance trapped and was poisoned
//	ERROR  store halted
//	INFO   store resumed
//	ERROR  commit             a batch of records did not become durable
//	WARN   subscriber gap     a subscriber missed actions
//	DEBUG  rebuild            a store's state was rebuilt
//	DEBUG  swap               a shard flipped to another revision
//	WARN   effect             an attempt at a leaf failed
//	ERROR  dead letter        a leaf was given up, or what it fed back was not taken; with the reason
//	INFO   dead letter redriven
//	INFO   dead letter discarded
//	WARN   breaker            a circuit breaker opened; INFO when it closed, or lets probes through
//	       guest log          a guest wrote a line, whose level it chose
//	DEBUG  send               an action was answered; nothing at all is reported for one unless the logger takes DEBUG when the module is loaded
//
// # Keys
//
// tenant, module, key (the store's), revision, digest, action, seq, code, reason, cause, message, fuel, from, to, leaf, actions,
// bytes, metered_bytes, lag, cached, replayed, shard, outcome, duration, lock_wait, reduce, commit, correlation_id, text, error, target
// (EFFECT=TARGET), drive, attempt, fed (the reducer was told), was, state, manual, trace_id. One key has one meaning in all lines; they do not change.
//
// trace_id is there when the action at work was traced, also in lines that are written long after. Lines about a send or an attempt are handed
// to the handler with its context, so that one that knows spans can say more.
//
// # Refusals
//
// What a guest or a caller wrote never forges a line or drives a terminal: control characters and what is not UTF-8 are escaped, and
// texts are cut at MaxText bytes. Nothing is logged for an accepted action, unless the logger takes DEBUG.
//
// # Concurrency and failure
//
// The observer is as safe and as quick as the logger's handler, which runs on the goroutine that does the work: give it one that does not
// block. What a handler returns as its error is lost, as with every slog.Logger.
package slog
