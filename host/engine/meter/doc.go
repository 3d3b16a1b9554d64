// Package meter rewrites a WebAssembly module so that it counts the fuel it burns and the depth of its calls.
//
// # Promise
//
// A metered module computes what the original computes until a counter falls below zero; then it traps. Fuel is an
// exact function of the metered bytes and of what the module is asked to do, the same in wazero's compiler and
// interpreter. What Rewrite returns is bounded: compiling and instantiating it takes time and memory in proportion to
// Limits. A module that is invalid before metering is invalid after.
//
// # Refusal
//
// [BoundError] for a module over a limit, [MalformedError] for bytes that are no module, [FeatureError] for a feature that
// is not offered: threads, exceptions, typed references, garbage collection, relaxed SIMD, 64-bit addresses, imports
// other than functions. Types of operands are not checked here; the compiler does that, on instructions whose meaning metering leaves alone.
//
// # Counting
//
// Two mutable i64 globals are added and exported as [FuelGlobal] and [DepthGlobal]. The host sets both before each
// call and reads them after a trap: fuel below zero means out of fuel, depth below zero means too deep, neither means that the guest
// trapped by itself.
//
// Fuel is charged by segment: the instructions from a function's entry, a loop's head, a then, an else or an end up to the next
// of these, whole and beforehand, also when a branch leaves it half-way. An if whose then holds no blocks and that has no else does not end the
// segment around it; its then is charged by itself. The counter lives in a local; it is loaded from the global at entry and after calls, stored before calls, exits
// and unreachable, and tested at entry, at loop heads and after what is charged by length (memory.fill, copy and init and
// the table instructions: 1 + n/8; memory.grow: 1,000 + 8,192 a page). A trap other than unreachable leaves the global as the last store did.
// Calls into the host are charged by the host, which may lower the global: [HostCallCost] and [HostBytesPerFuel].
//
// Depth is charged at entry of functions that are part of a cycle of calls, and given back at their exits. A unit stands for about
// 4 KiB of machine stack at worst: 1 + locals/8 + body bytes/512 a function. Functions outside of cycles are on the
// stack at most once each; the deepest chain of them is bounded by the same limit when the module is rewritten, so that all stack stays below
// twice Limits.Depth.
//
// Everything is appended (types, globals, exports, locals), so that indices, and the names of functions for stack traces, stay what they were. Debug
// information is dropped.
//
// # Concurrency
//
// Rewrite keeps nothing between calls and may be called from any goroutine. It does not change or keep its input.
package meter
