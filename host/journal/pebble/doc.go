// Package pebble keeps a journal on disk, in one Pebble.
//
// # What is kept
//
// The journal's logs and rows share one ordered key space:
//
//	l             the version of this layout
//	l life seq    a record; seq is big-endian
//	anything else a row, under its own key
//
// The letter l belongs to this package: a batch with a row under it is refused. A layout of a newer version is refused by Open
// (journal.ErrFormat), as is a directory that holds a Pebble of somebody else.
//
// Values are the bytes that package journal made, unchanged. Every one of them is checked end to end by it: records and rows end with an XXH64,
// the bytes of modules lie under their digest. Pebble adds checksums of its blocks and of its log, which the end-to-end ones do not rely on.
//
// # What it promises
//
// A batch is in Pebble's log, and the log is synced, when Apply returns nil. Batches of concurrent callers share a sync. A batch is visible before it is
// synced: who reads for others cuts at the watermark (see journal.Reader).
//
// Releasing history does nothing: all of it is kept until somebody trims the log.
//
// # When it fails
//
//	                log or manifest cannot be written or synced, or no table for long,
//	                Pebble calls Fatalf, a record does not follow
//	        Apply   +---------------------------------------------+
//	       +-----+  |                                             v
//	open --+     +--+                                           dead   Apply: why it died, for good; reads go on
//	       +-----+  |                                             |
//	                +------------------ Close --------------------+---> closed
//
// After such a failure nobody knows what the disk holds. So nothing more is written: a gate between Pebble and its file system cuts it off,
// which also keeps Pebble from the places where it would panic or spin. Apply returns at once with an error that is never journal.ErrRefused,
// even for batches that hang in Pebble; Config.OnFatal is told; nobody ends the process but the caller. SEMANTICS S14.
//
// Only what is seen before Pebble gets the batch is journal.ErrRefused: a batch that is too large, a row under l. A full disk is not: part
// of the batch may have reached the log. Who wants to refuse for lack of space does it before he enqueues.
//
// A flush or compaction that fails loses nothing: Pebble tries again for ever, here with a pause, and Config.OnError is told. While it cannot
// flush, its memory fills up, and then Apply waits. When it waits and flushes go on failing for some seconds, that is the end as well.
//
// # What is found after a crash
//
// The last log may end in the middle of a batch that was never acknowledged: that end is cut, and [Backend.Recovered] says so. Damage before
// a place that is known to have been synced is no such end: Open fails with journal.ErrCorrupt, the file and the offset. Pebble by itself
// would cut there in silence when the damage lies in the last 32 KiB, and at some single bits anywhere; so this package reads the logs
// before Pebble does. What cannot be told from a torn end is damage in the last three syncs of the log: nothing written later vouches for
// them. It is cut and said, but for damage to the header of the very last record, which looks like what an older log left in the file.
//
// Damage in a table shows when it is read: the reader gets journal.ErrCorrupt with the record or row it was looking for. Nothing else stops.
package pebble
