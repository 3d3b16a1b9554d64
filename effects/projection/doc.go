// Package projection keeps read models: what queries ask for, made of the events of an event store and of nothing else.
//
// A [Projection] says what one event changes. A [Runner] feeds it all events in the order of their positions: first those that are there, then
// each as it comes. A [Store] keeps the rows together with the checkpoint, the position up to which they have been applied (SEMANTICS E9).
//
//	event store --All, Wait--> Runner --Update(rows + checkpoint)--> live build  <-- readers
//	                             |
//	                             +------Update-----------------> next build      (only while rebuilding)
//
// # What it promises
//
//   - A build's rows are what Apply made of every event up to its checkpoint, each applied once and in order, whatever failed, stopped or was
//     repeated meanwhile: rows and checkpoint are committed together, and only on top of the checkpoint that they were computed from.
//   - No event is skipped. One that cannot be applied is tried again and then ends the build's progress as failed, with the reason; its rows stay
//     readable as they were.
//   - A rebuild makes a new build from position 0 beside the live one, which goes on. Readers see the old one until the new one has reached its
//     checkpoint; then they see the new one, all at once. What they see never goes back to an earlier position.
//   - When [Runner.Wait] has returned for a position, readers see what its event changed.
//
// # What it refuses
//
// Apply may write to its transaction and to nothing else: the same event is applied again after a failure, after a crash and in every
// rebuild. Two runners on one projection do no harm, but each undoes the other's work: run one.
//
// # When it fails
//
//	          event cannot be applied        Attempts used up
//	running ---------------------> retrying ----------------> failed    until Resume, Rebuild, or the next Run
//	   ^                               |                         |
//	   +--------- applied -------------+---------Resume----------+
//
// When the event store or the read models fail, that is nobody's event: the runner tries again for ever, at most Config.MaxDelay apart, and
// [Status] says why.
//
// # Concurrency
//
// A Runner is one goroutine, that of Run, for live build and rebuild alike. Its other methods may be called from any.
package projection
