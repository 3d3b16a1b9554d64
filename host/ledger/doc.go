// Package ledger is what one store has asked for and not yet got: the effects of its accepted actions that are not done.
//
// A [Ledger] stands as of the newest reduced action, and belongs to its shard's lock like the state does. Each change of it appends what makes
// the change durable to a batch, which goes into the batch of the action that caused it, and answers with [Moves]: what is to be started and
// stopped once that batch is durable. So an effect is known exactly when its action is, a leaf is done exactly when its feedback is recorded
// (SEMANTICS E2), and what a failed batch takes back was never begun.
//
//	         accepted               turn comes            feedback reduced or refused
//	action ------------> open, held ----------> open, ran ---------------------------> done
//	                        |                      |  ^ redrive      given up
//	                        | cancel               |  +------------ dead, with its letter
//	                        +----------+-----------+
//	                                   v
//	                               cancelled, feeds nothing back
//
// # Promise
//
//   - Ids are per store: a delay takes the place of the delay that has its id; any other effect with an id in use refuses its action (E8).
//   - A cancel outside of a sequential takes effect at its action's place in the order; in one, when its turn comes.
//   - A leaf that is redriven after later ones of its sequential have run is apart from it: they neither wait for it nor end with it.
//   - The letter of a dead publish or append is marked as overtaken once a later one of its lane was done (E6).
//   - An effect whose leaves are all finished, none with a dead letter, is forgotten.
//
// # Concurrency
//
// A Ledger is used under its shard's lock. Moves go where they are wanted; the leaves that start belong to whoever is told of them.
package ledger
