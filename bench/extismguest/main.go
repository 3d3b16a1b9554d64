//go:build wasip1

// Package main is the counter as an Extism plug-in. It imports the host functions of Extism directly, as Extism's PDK for Go does inside.
//
// The state stays in the guest between calls, so that the peer pays for no encoding that ours does not pay for either, and the outcome is the
// result of the call, so that no output has to be allocated and copied.
package main

import (
	"encoding/binary"

	"github.com/crhost/crhost/bench/counter"
)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u64
func inputLoad64(offset uint64) uint64

//go:wasmimport extism:host/env input_load_u8
func inputLoad8(offset uint64) uint32

//go:wasmimport extism:host/env alloc
func alloc(n uint64) uint64

//go:wasmimport extism:host/env store_u8
func store8(offset uint64, v uint32)

//go:wasmimport extism:host/env output_set
func outputSet(offset, n uint64)

// The results of calls.
const (
	done     = 0
	refused  = 1
	tooLarge = 2
)

var (
	state  counter.Counter
	buffer [256]byte
)

func main() {}

// reduce loads its input as the PDK does: eight bytes at a time, and the rest byte by byte.
//
//go:wasmexport reduce
func reduce() int32 {
	n := inputLength()
	if n > uint64(len(buffer)) {
		return tooLarge
	}
	at := uint64(0)
	for ; at+8 <= n; at += 8 {
		binary.LittleEndian.PutUint64(buffer[at:], inputLoad64(at))
	}
	for ; at < n; at++ {
		buffer[at] = byte(inputLoad8(at))
	}
	return apply(buffer[:n])
}

// lean loads its input in as few calls as can be: words only, the last of them past the input's end. Nothing promises that this may be
// done; it is what is left of a call when everything is left out.
//
//go:wasmexport lean
func lean() int32 {
	n := inputLength()
	if n > uint64(len(buffer)) {
		return tooLarge
	}
	for at := uint64(0); at < n; at += 8 {
		binary.LittleEndian.PutUint64(buffer[at:], inputLoad64(at))
	}
	return apply(buffer[:n])
}

func apply(action []byte) int32 {
	if state.Reduce(action) != nil {
		return refused
	}
	return done
}

// read gives the encoded state as its output. It is not measured.
//
//go:wasmexport read
func read() int32 {
	b := state.Append(buffer[:0])
	p := alloc(uint64(len(b)))
	for i, c := range b {
		store8(p+uint64(i), uint32(c))
	}
	outputSet(p, uint64(len(b)))
	return done
}
