// Package rows keeps events in a database of somebody else, given as an ordered, durable key space (package keyspace): the host's journal, for one.
//
// # What is kept
//
//	e a position           an event, whole
//	e s stream 00 version  the position of that version
//	e h stream             the stream's newest version
//	e n stream             the stream's snapshot
//	e k stream             the version of that snapshot
//	i id                   where the event with that id is: position, version, stream
//
// Numbers in keys are big-endian. Values are as package keyspace has them; testdata/v1.txtar has one of each.
//
// # What it promises
//
// What package eventstore says, and that whoever reads sees only what is durable. The database may show a batch earlier: readers are cut at a position
// that moves when a batch has been made durable, and so does the answer to who appended.
//
// Opening takes some 64 looks into the database, however much there is.
//
// # Group commit
//
//	Append --look--> queue --+                     +--> durable moves --> answers
//	Append --look--> queue --+--> one batch: Apply-+
//	Append --look--> queue --+          (the next ones gather meanwhile)
//
// Appends look up their ids and their stream at the same time, each for itself. One goroutine, which is there while there is something to do, then takes
// all that wait, answers each on top of what is durable and of those before it in the batch, and applies one batch. Answers that refuse wait as well:
// a conflict may be with an append of the same batch.
//
// # When it fails
//
// A batch that the database refuses (keyspace.ErrRefused) never was: its appends fail, and versions and positions go on where they were. After any
// other error nobody knows: all appends fail from then on, readers go on seeing what was durable before, and the next Open reads what there is.
//
// Damage is never guessed at. A position or version that is missing, or a value that does not add up, is an error that is keyspace.ErrCorrupt for who
// reads there, and for nobody else.
//
// # What it does not do
//
// It is no eventstore.Joiner. Joining needs appends to wait, at positions given to them, for batches that end in any order or not at all: readers would wait for
// the slowest of them. An effect's append is its own batch; ids make it happen once (SEMANTICS E2).
package rows
