// Package eventstore is the contract of what keeps events: facts appended to streams, read by stream or all in one order.
//
// package memory implements it, package eventstoretest checks an implementation against these sentences.
//
//	stream "order-7"     version   1    2         3
//	stream "order-8"     version        1    2
//	all                  position  1    2    3    4   -->  Wait, All
//	                               |    |    |
//	                               +----+----+-- ids: an event is appended once, however often it is asked for
//
// # What it promises
//
//   - The events of a stream have versions 1, 2, 3, ... without gaps. Events of one [Store.Append] are appended together or not at all.
//   - All events of the store have positions from 1, ascending in the order in which they are committed. What a reader sees of them only grows
//     at its end: behind a position that it has read nothing appears later. Positions may leave numbers out for ever.
//   - When Append has returned, every reader sees the events; nobody sees what is not durable, as far as the implementation is.
//   - An append that asks for a version of its stream happens at that version or not at all ([ConflictError]).
//   - Appending the same events again, told by their ids, changes nothing and answers what it answered the first time, also when the version
//     that was asked for has passed since. So whoever does not know how an append ended just repeats it (SEMANTICS E1, E2).
//
// # What it refuses
//
// Events are never changed or removed, and there are no transactions over streams. What is over a bound, or is not what [Check] takes, is
// refused whole with an [InvalidError]. Ids are remembered for ever.
//
// # Concurrency
//
// A Store may be used by many goroutines. Appends to one stream are one after the other; which of two comes first is not said.
//
// # When it fails
//
//	ErrConflict   the stream has another version; nothing was appended. An answer, not a failure: the caller reads and decides anew
//	ErrReused     an id was used for something else; nothing was appended. Never right to repeat
//	ErrInvalid    the request cannot be right; nothing was appended. Never right to repeat
//	ErrNotFound   there is no snapshot
//	ErrClosed     the store was closed before
//	others        it is not known whether the events were appended; repeat with the same ids
//
// # Joining another's batch
//
// A store that lives in the same database as its caller may be a [Joiner]: an append then becomes part of the caller's own batch, durable with
// it and only with it, so that an effect and its completion cannot come apart.
package eventstore
