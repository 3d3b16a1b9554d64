// Package outbox drives committed effects to completion.
//
// What a store asked for, and how far that is, is in its ledger, which belongs to the store's shard and is durable with its actions (package
// ledger). This package is told which leaves have their turn, and brings back what became of them: it decides when an attempt is made, by whom, how
// often, and when it is given up. What it knows is lost in a crash, and told again at the next start.
//
//	  Moved           a slot is free           handler returns        delivered
//	---------> ready ---------------> running ---------------> feeding ---------> gone
//	  |          ^ ^                     |  failed, again         |  ^
//	  | delay,   | |  time               v                        v  | store halted, reducer trapped, journal refused
//	  +---> timed +-+-------------- timed (retry)               timed
//	             | breaker closes
//	           parked: the queue of a target whose breaker is open, or whose module is not loaded
//
// # Promise
//
//   - A leaf is attempted only after its action is durable, and what it feeds back is delivered until its store has taken or refused it.
//   - Attempts are bounded per host, tenant and target, and fair between tenants, and between the targets of one. Nothing that waits has a goroutine.
//   - publish and append of one store to one target run one at a time, in commit order (SEMANTICS E6).
//   - A handler that panics, exits or never heeds its context ends no host and no other leaf.
//
// # Refusal
//
// A leaf that nobody performs is dead at once, with reason invalid. Close lets running leaves finish, starts none, and leaves the rest to the next start.
//
// # Concurrency
//
// An Outbox is used by any goroutine. One lock guards all queues; it is never held while a handler, a store or the journal works. What runs has a worker, a
// goroutine that then takes the next task, or waits for one with a few others.
package outbox
