// Package engine runs guests: it bounds, meters, compiles, instantiates and calls them, and poisons an instance that trapped. It is the
// only importer of wazero.
//
//	bytes --Load--> Module --Instantiate--> Instance --Reduce, State, Evict, Migrate, Housekeep--> answers
//	                                            |
//	                                            +-- *Trap: poisoned, never called again; make another one
//
// # What it promises
//
// A guest reaches nothing but what the ABI offers: no files, sockets, environment, real time, randomness or other guests. Every call
// ends: fuel, depth and memory are bounded by code that package meter adds before the module is compiled, so that the bounds are an
// exact function of the module and of the calls made, the same on every machine. There is no timeout; the engine underneath is never told
// to watch a context.
//
// Whatever an instance answers was checked: frames lie in memory and are well formed, statuses fit the question, sizes are within the
// limits of the manifest, states are msgpack. What the answers mean (effects, above all) is for the caller to judge.
//
// Compiled code is counted: equal bytes loaded twice in a domain share it, and it is freed with the last handle or instance. Domains are
// for guests that distrust each other: they share no runtime, only the cache of compiled code, whose key is the content.
//
// # What it refuses
//
// Load answers a [LoadError]: one sentence that names the offending thing and, where there is one, the limit. A module is parsed, bounded and
// compared with the ABI by our own code before a compiler sees it, and describes itself in an instance that is thrown away.
//
// # Concurrency
//
// Engine and Module are safe from any goroutine. Load takes as long as compiling does, one at a time: call it in the background. An Instance
// belongs to one goroutine at a time, and what it answers aliases guest memory until its next call.
//
// # Failure
//
// A [Trap] says why a call ended, in the guest's own words where it left any. It costs the instance and nothing else. After it every
// call answers [ErrPoisoned].
package engine
