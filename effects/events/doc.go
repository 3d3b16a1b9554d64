// Package events performs the leaves that are about events: append and load on an event store, publish on an event bus, project through the
// runner of a projection.
//
//	append   target (stream), events, expect   --> {stream, version, position} of the last of them
//	load     target (stream), from             --> {stream, version, events, more}
//	publish  target (topic), body, key         --> {topic}
//	project  target (projection), body         --> {projection, position}, when readers of the projection see the event
//
// # Events
//
// An event of an append is a msgpack map with strings for keys. Two of them are its envelope's and are taken out, type (str, needed) and schema
// (uint of 32 bits, 0 when absent); the map of the others is the event's data, in their order and byte for byte. It is appended with
//
//	id         the leaf's key for the first event, key:n for event n of the leaf, n from 1. A key has no colon, so it is no other leaf's, and
//	           no emission's, whose key ends in .n (SEMANTICS E1)
//	time       when the attempt was made that appended it
//	metadata   a map: store (the address), correlation, causation (the leaf's key)
//
// A published message has the leaf's key as its id, the effect's body as it is, the time of the attempt, and the same metadata.
//
// A load answers with arrays of maps, from the first version that was asked for:
//
//	type str, schema uint, version uint, position uint, time timestamp, data any (what an append made of it: a map)
//
// It is a page: at most Config.LoadEvents events and about Config.LoadBytes bytes, but one event at least. With more: true there are others, to be
// loaded from version + 1 on. version is that of the last event in the page; in an empty page it is that before the first one asked for, so that for
// a load from the start it is 0 and can be expected of an append.
//
// The body of a project is a uint, the position of an event in the event store, as append and load answer it: the event is there already, the
// projection comes to it by itself (SEMANTICS E9), and the leaf is done when it has. An event in the body is refused: appended for the projection
// alone it would be one that no stream has, and appended to a stream it could be there twice.
//
// # Tenants
//
// All tenants share the store, the bus and the read models. What goes in is called tenant/name ([Scope]), what comes out has its name back ([Split],
// [Of]): no name of one tenant is another's, as tenants have no / in theirs. A name has at most [MaxNameBytes], for every tenant the same, and no
// control characters.
//
// # When it fails
//
// With these codes (*: permanent), and any other error of store, bus or runner as failed, to be tried again:
//
//	version_conflict *    the stream has another version; with stream, want and have. Nothing was appended: an answer, not a failure (SEMANTICS E7)
//	invalid *             an event, a name, a body or a size that nobody takes
//	event_id_reused *     the leaf appended something else before
//	topic_full            a group of subscribers has no room; tried again not before [FullWait]; with topic
//	unknown_projection *  the tenant has no such projection
//	not_found *           no event of the tenant is at that position
//	projection_failed     the projection does not go on before somebody says so; with projection and position (of the event that it stopped at)
//
// An append is exactly once, by its ids. A publish is once within the window of the bus. Load and project change nothing.
//
// # Concurrency
//
// Handlers may be used from many goroutines. A project waits, and only its context ends that.
package events
