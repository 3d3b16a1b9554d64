// Package pack reads and writes the msgpack of the contract between host and guest.
//
// It promises one encoding for each value (the shortest form, one NaN), reading without allocation, and that no input, however
// hostile, makes it panic, recurse without bound or allocate more than the input's own size. It does not know Go types: codecs
// of structs are built on it, by package sdk for guests and by hand for the frames of package abi.
//
// The format is that of https://github.com/msgpack/msgpack/blob/master/spec.md, the timestamp extension included.
// A Reader belongs to one goroutine; the Append functions are as safe as append.
package pack
