// Package journal says what must survive, and since when it does.
//
// It is three things, one on top of the other:
//
//	Record, Checkpoint, Store, ...   the schema: what is written, byte by byte
//	Committer                        the fence: when a shard may answer
//	Backend                          the seam: atomic batch, range scan, snapshot
//
// A technology (memory, Pebble) implements Backend and nothing else; the schema and the fence are written once, here.
//
// # What is kept
//
// Records lie in logs, one log for each life of a store, addressed by the life's [Incarnation] and a seq that starts at 1 and has no
// gaps. Everything else is rows under ordered keys. Keys start with one letter:
//
//	c  life                          Checkpoint: the newest state written of a life
//	m  tenant 00 module 00           Module: the active revision and the last number given
//	r  tenant 00 module 00 number    Revision: digest, config, grants, manifest
//	s  tenant 00 module 00 key       Store: the life of a key, halted or parked
//	w  digest                        the bytes of a module, by SHA-256
//	l  life seq                      kept for backends that store logs among their rows
//	o  tenant 00 module 00 life seq  Effect, Standing: what an action described, and how far it is
//	d  tenant 00 module 00 life seq index   DeadLetter: a leaf that was given up
//	h  tenant 00 module 00 key       a store that is halted or parked, by its row: to find those few among all
//	k  tenant 00 module 00 life k key   Keyed: the action to which its caller gave this key
//	k  tenant 00 module 00 life s seq   the key of that action
//	t                                kept for timers
//
// Others live in the same rows, and have their own formats and golden files. Their packages know nothing of a journal; the host gives them its rows. Package
// effects/eventstore/rows has
//
//	e a position                     an event
//	e s stream 00 version            the position of that version
//	e h stream                       the stream's newest version
//	e n stream                       the stream's snapshot
//	e k stream                       the version of that snapshot
//	i id                             where the event with that id is
//
// and package effects/projection/rows
//
//	p m name                         a read model: its builds and their checkpoints
//	p r name 00 build key            a row of a build
//	p d name 00 build                a build whose rows are being removed
//
// Numbers in keys are big-endian, so that keys sort as they count. Tenant, module and key are text without control characters: a zero
// byte ends them and sorts before everything they may hold. Values are little-endian, start with a format version and end with an
// XXH64 of all bytes before it. A reader refuses versions it does not know ([ErrFormat]) and bytes that do not add up ([ErrCorrupt]);
// it never guesses.
//
// # What it promises
//
//   - A batch is durable whole or not at all, and durable when [Backend.Apply] returns nil.
//   - A position is durable, with all before it that have not failed, when [Committer.Watermark] has reached it. Nobody who waits is told so
//     earlier, nor without it.
//   - What a shard enqueued is committed in that order, and its owners hear of it in that order, before the watermark moves.
//   - After a failed batch nothing enqueued later becomes durable until the shard has taken back its state and called
//     [Committer.Recover]: what was computed on a lost record is lost with it.
//
// # When it fails
//
//	  Enqueue, Wait                 backend refuses a batch
//	+--------------+              +-------------------------+
//	|              v              |                         v
//	+---------- running ----------+                      failing   every position from the failed batch on: ErrBatchFailed
//	            |  ^                                      |
//	            |  +---------------- Recover -------------+
//	            |
//	            +-- any other error, or Close --> ended            pending positions: ErrOutcomeUnknown (ErrClosed), for good
//
// A batch that is refused ([ErrRefused]) is known not to be written; the shard rolls back and goes on. After any other error nobody knows what the
// disk holds: pending callers are told exactly that, and the process is expected to end and read its journal again.
//
// # Concurrency
//
// A Backend and a Committer may be used by many goroutines. There is one Committer for each shard, so shards share nothing above the
// backend. Committing needs no goroutine of its own: the first caller that has to wait commits for all that have enqueued.
package journal
