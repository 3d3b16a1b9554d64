// Package main is a guest without the SDK whose one export does nothing: what a call into a guest made by the Go compiler costs at least.
package main

func main() {}

//lint:ignore U1000 the host calls it
//go:wasmexport f
func f(int32) int64 { return 0x2000000020 }
