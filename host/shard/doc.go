// Package shard makes the order of things: one lock, the stores hashed to it, and a guest for each live revision.
//
// An action enters under the lock, is reduced on the state that sits in the guest's slot, becomes a record in the journal's queue, and its
// sender waits outside the lock until that record is durable:
//
//	Send -> queue -> [ lock: find, adopt?, seat, reduce, check, record ] -> wait for the watermark -> receipt
//	                          |            |                  |                     |
//	                    resident.Set   engine (guest)   journal.Committer         feed
//
// So reducing runs ahead of the disk, and everything that leaves a shard, refusals included, waits for the position it was computed on.
//
// What it promises (the sentences are those of SEMANTICS): accepted actions of a store have seq 1, 2, 3, ... (S1); nobody outside sees what a crash can
// take back (S2); a refused, trapped or failed action leaves no trace in any state (S5); a store is taken over by another revision at its next action, and never
// in the middle of one (D3).
//
// A [Shard] is safe from any goroutine. Lock order: Shard.mu, then Shard.dirMu, then the committer's and the feed's own.
//
// When a batch fails the committer says so at the next step; the shard then takes back what was lost by reading the stores concerned
// from the journal again. When the journal's outcome is unknown, the shard refuses everything for good.
package shard
