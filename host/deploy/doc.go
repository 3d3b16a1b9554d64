// Package deploy keeps what modules a host has, and replaces a module's revision while it serves.
//
//	Deploy: verify, compile, describe -> prepare an instance per shard -> record (durable) -> flip each shard -> drain
//	        `------------------ the running revision is not touched ------------------'       `- cannot fail -'
//
// A [Registry] holds the [Module]s of a host; a module holds its shards and the revisions that are open. A revision is bytes, config and grants,
// switched together; those that are not given are inherited from the active one. A failed deploy leaves everything as it was; a crash after the
// record starts on the new revision.
//
// Deploys of one module come one after the other; different modules do not wait for each other. Everything is safe from any goroutine.
package deploy
