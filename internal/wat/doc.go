// Package wat assembles WebAssembly text into WebAssembly binary, so that tests can state a guest or a hostile module in the
// notation that everybody reads instead of in bytes.
//
// It is test support. Production code never imports it.
//
// # What it promises
//
// [Compile] understands modules in the text format of WebAssembly 1.0 with sign extension, saturating conversions, bulk memory,
// reference types, multiple values, several tables and tail calls; folded and flat instructions; names and abbreviations (inline exports and
// imports, segments inside a table or memory). It adds a name section with the names of functions, so that a trap can be told by name.
// An error says the line it was found on. The same text gives the same bytes.
//
// # What it refuses
//
// SIMD, threads, exceptions, typed references, the binary and quote forms of scripts: an unknown word is an error, never a guess.
//
// It does not validate. Types, limits, alignments and duplicate exports go into the binary as written, since modules that must
// be refused are half of what it is for. Only a name that is not defined is an error, as there is no number for it.
//
// Compile keeps no state between calls and is safe for concurrent use.
package wat
