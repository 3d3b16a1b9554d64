// Package abi is the contract between host and guest, version 1.
//
// This text is normative: a guest can be written from it alone, in any language that compiles to WebAssembly. The package holds the
// encoders and decoders of both sides; package pack has the msgpack that they use, package abitest checks a guest against the contract.
// Everything here is a pure function of bytes, safe from any goroutine, and bounded by the size of its input. The words MUST and MAY
// are meant as in RFC 2119.
//
// # What a guest is
//
// A guest is a WebAssembly module (core features 2.0, tail calls, extended constant expressions; no threads, exceptions or typed
// references) with one memory, 32-bit. It holds one reducer: a pure function (state, action, env) -> (state', effects). The host
// instantiates it any number of times; an instance serves one call at a time, and many stores.
//
// # Exports
//
//	memory                                     the memory that all pointers are into
//	_initialize       ()                       optional: called once, before anything else
//	cr1_buffer        (size i32) -> ptr i32    the input buffer: at least size bytes, 8-aligned, valid until the next cr1_buffer;
//	                                           it traps when there is no memory for them
//	cr1_describe      () -> i64                the manifest
//	cr1_configure     (len i32) -> i64         optional: the revision's config, at most once per instance, before the first reduce
//	cr1_reduce        (len i32) -> i64         one action
//	cr1_state         (slot i32, ticket i64) -> i64   the encoded state of a slot
//	cr1_evict         (slot i32, ticket i64)   forget a slot
//	cr1_migrate       (len i32) -> i64         optional: a state of an older schema, in a newer one
//	cr1_migrate_down  (len i32) -> i64         optional: a state of a newer schema, in an older one
//	cr1_idle          (budget i64)             optional: housekeeping
//	cr1_query                                  reserved: MUST NOT be exported
//
// The prefix is the major version; a module may export more than one, and other names beside them, but for cr_fuel and cr_depth. A start
// section is refused: what has to run first runs in _initialize. Calls take an input frame of len bytes that the host wrote to the start of
// the input buffer. An i64 result is ptr<<32 | len of an output frame; ptr MUST be 8-aligned.
//
// The host asks for a buffer before its first frame and whenever a frame does not fit the last one; it may ask for more than it needs, and
// it does not rely on what an earlier buffer held. cr1_describe is called in an instance of its own, which is then thrown away: after
// _initialize and no other call, before the host knows the manifest, and so within the default limits. In other instances _initialize comes
// first, then cr1_configure if the revision has a config, then everything else in any order.
//
// Ownership: input is written by the host between calls and belongs to the guest from call to return. Output belongs to the host until
// its next call into the instance; it may alias the input. The guest MUST NOT keep pointers into the input buffer across calls.
//
// # Imports
//
//	crhost.log  (level i32, ptr i32, len i32)   a line of UTF-8 text; level 0 debug, 1 info, 2 warn, 3 and all others error
//
// and from wasi_snapshot_preview1, with the types and error numbers that it has there:
//
//	args_get, args_sizes_get, environ_get, environ_sizes_get   there are none: 0 and 0
//	clock_time_get         clocks 0 (realtime) and 1 (monotonic), in ns; EINVAL for others
//	clock_res_get          1 ns
//	random_get             see below
//	fd_write               1 is logged as info, 2 as warn, line by line; EBADF for others
//	fd_fdstat_get          0, 1 and 2 are character devices that can be written to; EBADF for others
//	fd_fdstat_set_flags, fd_close   no effect on 0, 1 and 2; EBADF for others
//	fd_seek                ESPIPE for 0, 1 and 2; EBADF for others
//	fd_read, fd_filestat_get, fd_prestat_get, fd_prestat_dir_name   EBADF
//	poll_oneoff            see below
//	sched_yield            no effect
//	proc_exit              ends the call: a trap
//
// Anything else is refused at load, by name. An import never calls the guest. There are no files, sockets, environment, threads or real
// time. Pointers outside memory are EFAULT, in crhost.log a trap. More than 64 KiB written in one call, to fd 1 and 2 and with crhost.log (a
// line counts its length and 1) together, is a trap. A log is for people: it is dropped in replays, and no part of an answer.
//
// In cr1_reduce realtime is the frame's now, and random_get gives the bytes of chacha8rand (https://c2sp.org/chacha8rand) under the key seed,
// 16 bytes, followed by 16 zero bytes; the stream starts anew in each call. Every other call (_initialize, cr1_buffer, cr1_describe,
// cr1_configure, cr1_state, cr1_evict, cr1_migrate, cr1_migrate_down, cr1_idle) has no time and no seed: realtime is 0 and the
// seed 16 zero bytes, so the same random bytes each time. Monotonic is the latest now that the instance has seen, from 1, and never goes
// back; it depends on what else the instance has served, so it MUST NOT reach a result.
//
// poll_oneoff takes exactly one subscription, to a relative timer of at most 1 ms, and answers it at once, with monotonic moved on as if it
// had been waited for. Everything else is a wish to sleep: a trap.
//
// # Frames
//
// All header fields are little-endian; offsets and lengths are in bytes; a frame starts 8-aligned. Each frame starts with its version,
// which is 1, and the length of its header, a multiple of 8: readers skip header fields beyond those they know, writers zero what is
// reserved. Sections follow the header in the order of their lengths, without gaps. A guest MUST trap on another version, on a header
// shorter than it knows and on lengths that reach beyond len; what is left after the last section of an input it ignores.
//
// Values are msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md). An integer may come in any form that holds it, signed or
// unsigned, of any width; a string that is a key or a name is of type str. Arrays and maps nest at most 64 deep. Where a map's fields are
// listed, their order is free. nil is a value and not an absent field: in manifest, meta and effects it is an error wherever a type is
// named. In actions, states and configs, whose fields are the guest's own, that is for the guest to say.
//
// Reduce input (cr1_reduce), header_len 72:
//
//	 0        2        4    5    6        8            12           16
//	+--------+--------+----+----+--------+------------+------------+
//	| frame  | header | mo | 0  | action | flags      | slot       |
//	| version| len    | de |    | u16    | u32 (0)    | u32        |
//	+--------+--------+----+----+--------+------------+------------+
//	 16                         24                         32
//	+--------------------------+--------------------------+
//	| residency ticket u64     | seq u64                  |
//	+--------------------------+--------------------------+
//	 32                         40                                   56
//	+--------------------------+------------------------------------+
//	| now i64, unix ns         | seed, 16 bytes                     |
//	+--------------------------+------------------------------------+
//	 56           60           64           68           72
//	+------------+------------+------------+------------+-------+--------+------+
//	| state len  | action len | meta len   | reserved 0 | state | action | meta |
//	+------------+------------+------------+------------+-------+--------+------+
//
// action (at 6) is the index of the action's type in the manifest: the host has parsed it, and an unknown type never reaches the guest. The
// action section is one msgpack map, its type included, well formed and with strings for keys: the host has seen to that, and to nothing
// else. A guest does not rest its memory on it: bytes that are not one such map are BAD_ACTION too, as is a field that is not what the type
// takes. Fields that it does not know it skips or answers with BAD_ACTION, as suits the type. flags (and the byte at 5) is 0: a guest MUST
// trap on flags or a mode that it does not know.
//
// The state section may hold any bytes, since an older revision may have written them: a guest answers BAD_STATE, and does not trap, when
// they are not one value that is a state of its schema.
//
// Bytes input (cr1_configure, cr1_migrate, cr1_migrate_down), header_len 16:
//
//	 0        2        4            8            12           16
//	+--------+--------+------------+------------+------------+------+
//	| frame  | header | body len   | from u32   | to u32     | body |
//	| version| len    | u32        |            |            |      |
//	+--------+--------+------------+------------+------------+------+
//
// For cr1_configure body is the config, one msgpack value, and from and to are 0. For the migrations body is a state of schema from,
// and the answer's body is that state in schema to; steps in between are the guest's business.
//
// Output (every i64 result), header_len 32:
//
//	 0        2        4    5    6        8                         16
//	+--------+--------+----+----+--------+-------------------------+
//	| frame  | header | st | fl | 0      | state size hint u64     |
//	| version| len    | us | gs |        |                         |
//	+--------+--------+----+----+--------+-------------------------+
//	 16           20           24           28           32
//	+------------+------------+------------+------------+------+------+------+
//	| body len   | code len   | text len   | reserved 0 | body | code | text |
//	+------------+------------+------------+------------+------+------+------+
//
//	call              body on OK                    other statuses
//	cr1_describe      the manifest                  none
//	cr1_configure     empty                         REJECTED: the config cannot be used; the deploy is refused
//	cr1_reduce        effects, or empty for none    REJECTED, BAD_ACTION, BAD_STATE, NO_SUCH_SLOT
//	cr1_state         the state, one msgpack value  NO_SUCH_SLOT
//	cr1_migrate*      the state, one msgpack value  BAD_STATE, REJECTED
//
//	status  0 OK, 1 REJECTED, 2 BAD_ACTION, 3 BAD_STATE, 4 NO_SUCH_SLOT
//	flags   1 STATE_CHANGED: a hint for caches only; OK without it means that the state's bytes are as before (with FRESH it says nothing)
//	        2 CLEAN: not OK, and the slot holds exactly what it held before the call (for FRESH and STATE: what the call brought)
//
// A rejection carries a code, [a-z0-9_.]{1,64}, and may carry a text; BAD_ACTION and BAD_STATE may carry a text. Sections that the tables do
// not name are empty. State size hint is about how long the encoded state would be, 0 = unknown; a host may refuse an action whose hint is
// over the limit.
//
// Every trap poisons the instance: the action is refused, all slots of the instance count as lost, and it is never called again. So does an
// output that is not aligned, outside memory, of another version, or shorter or longer than its sections; with an unknown status or flag,
// with CLEAN and OK, or with a status that the call may not answer; a rejection whose code is no code; a text over 1 KiB; effects, or a
// state, over their limit; and a state that is not one msgpack value. Effects that are not an effect tree refuse the action only.
//
// # Modes, slots and tickets
//
//	0 FRESH     no state exists: start from the initial state, whatever the slot held
//	1 STATE     the state section replaces what the slot held
//	2 RESIDENT  the slot must hold a state under this ticket; if it does not, answer NO_SUCH_SLOT and change nothing
//
// After FRESH or STATE the slot holds the state under the ticket of the frame, also when the action was rejected. After BAD_STATE nobody
// relies on what it holds, whatever the flags. A ticket is any 64-bit number; it changes whenever the host assigns the slot. The host
// numbers slots from 0, densely, and below the manifest's slots when that is not 0; evicting a slot that holds nothing, or another ticket,
// changes nothing. NO_SUCH_SLOT in answer to FRESH or STATE is an error of the guest.
//
// After REJECTED or BAD_ACTION without CLEAN, and after BAD_STATE, the host takes the slot's state for lost: it evicts the slot or replaces
// it.
//
// Residency is an optimisation that a simple guest ignores. With residency "none" it is always given FRESH or STATE and keeps only the
// state that it reduced last, until the next cr1_reduce; the host fetches it with cr1_state, slot and ticket as in that reduce, before any
// other call. cr1_evict may then do nothing.
//
// Nothing in a frame tells a guest whether the action is live, replayed or tried out, and the guest MUST NOT depend on it: the answer is a
// function of (revision, state bytes, action, meta, seq, now, seed). The residency law: going on resident and going on from the encoded
// state give the same bytes for ever. So map order, fields that are not encoded and process-wide variables must not reach a result.
// A NaN is written as 0x7ff8000000000000, in a float 32 as 0x7fc00000.
//
// cr1_idle is called between actions, when guest memory has grown or every 1,000 calls, with a budget of fuel; a guest with a garbage
// collector runs it there. It MUST NOT change any slot's bytes. Goroutines and other threads of control do not outlive a call.
//
// # Manifest
//
// A msgpack map; a host skips keys that it does not know. All but name, schema and actions may be left out.
//
//	abi         uint    minor version that the guest needs: 0
//	name        str     [a-z0-9_.]{1,64}
//	version     str     for people: UTF-8 without control characters, at most 64 bytes
//	schema      uint    number of the state's schema, 1 or more
//	actions     array   of maps: type str [a-z0-9_.]{1,64}, kind str ("command" or "internal"), doc str, optional, like version but up to 1 KiB
//	effects     array   of maps: kind str, targets array of at most 256 str, like doc; a target may end in * (any rest)
//	residency   str     "none" (the default) or "slots"
//	slots       uint    how many slots the guest has; 0 = as many as the host likes
//	migrations  array   of maps: from uint, to uint, down bool
//	limits      map     action_bytes, effects_bytes, state_bytes, memory_pages, fuel: uint, 0 = the default
//
// 1 to 1,000 actions, types unique; at most 1,000 migrations, which need the exports that do them; each effect kind once. All leaves are
// declared, cancel included; none, parallel and sequential need not be. A kind without targets stands for effects without target. A command
// may be sent by anybody, an internal action comes only from effects. A limit called bytes is in bytes, one called pages in 64 KiB.
//
// # Meta
//
// A msgpack array; missing elements are empty, further ones are skipped:
//
//	0 store address, tenant/module/key   1 correlation id   2 causation id   3 drive, uint   4 principal name
//
// # Effects
//
// A msgpack array of effects, each a map of these fields; a field that is absent is empty or zero, an unknown one is an error:
//
//	kind str, id str, target str, ok str, err str, retry str, key str, timeout int (ns), after int (ns), expect int, from uint,
//	body any, events array of maps, children array of effects
//
//	none         nothing
//	call         target (operation), body (arguments)
//	delay        body (an action), after
//	parallel     children
//	sequential   children
//	publish      target (topic), body (event), key
//	append       target (event stream), events, expect
//	load         target (event stream), from
//	project      target (projection), body (position of an event, uint)
//	dispatch     target (address), body (an action)
//	cancel       id
//
// The fields listed are needed, but for a call's body, key, after, expect (absent = any version) and from; children may be empty, events may
// not, and are maps. Every leaf, that is all but none, parallel and sequential, may have id, ok, err (action types to feed back), timeout
// and retry (the name of a policy). Other fields of the list above mean nothing in a kind that does not name them, but for children, which
// are an error there. Texts have at most 4 KiB and durations are not negative. At most 256 leaves and 256 others, 256 effects in one list, 16 lists deep.
// An effect outside the manifest or its grants refuses the action.
//
// # Limits
//
//	                default    hard          default   hard
//	module          64 MiB     64 MiB   action     64 KiB    4 MiB
//	effects         256 KiB    4 MiB    state      16 MiB    256 MiB
//	memory          64 MiB     1 GiB    meta       4 KiB     4 KiB
//	config          64 KiB     64 KiB   error text 1 KiB     1 KiB
//	fuel an action  250,000,000         5,000,000,000
//
// Over one of the hard limits a manifest is refused. The memory limit belongs to the revision and is written into the module's memory
// maximum: results never depend on a host's setting. Input buffer, states and garbage have to fit it together.
//
// # Metering
//
// Fuel is counted by code that the host adds to the module before it compiles it (package meter): 1 for most instructions, 8 for a division
// or square root, 3 to 6 for a call, none for structure. Instructions with a length (memory.fill, memory.copy, memory.init and those of
// tables) cost length/8 more, memory.grow 1,000 and 8,192 a page. An import costs 200 and an eighth of the bytes that it is given;
// random_get 2 a byte, fd_write 1 a vector. Each call has its own, and below zero it traps:
//
//	cr1_reduce                                   the limit on fuel
//	_initialize, cr1_describe, cr1_configure,
//	cr1_buffer, cr1_evict                        2,000,000,000
//	cr1_state, cr1_migrate, cr1_migrate_down     1,000,000,000 + 64 a byte of the limit on states
//	cr1_idle                                     1,000,000,000 + 16 a byte of memory; the host passes it as budget
//
// Calls nest to 10,000 units, then they trap. A function that can be on the stack more than once takes 1 + locals/8 + body bytes/512 units;
// a module whose other functions can stack up beyond 10,000 is refused.
//
// A module is refused that has, with what metering adds (at most two of a kind), more than: 100,000 functions, 10,000 types of 100
// parameters or results, 10,000 globals, 1,000 exports, 100 tables of 100,000 entries in all, 200,000 entries of elements, 110,000 segments;
// names of 1 KiB; in a function 10,000 locals, 1 MiB of body, 5,000 blocks, 5,000 loops, 5,000 nested, 10,000 targets of br_table. Package
// meter has the bounds on whole modules and on products of these, which bound the time to compile. Tables and memory without a maximum get
// one. What compilers make of ordinary programs passes.
package abi
