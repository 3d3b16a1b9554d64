// Package sdk makes a guest of a Go program: a reducer, compiled to WebAssembly.
package sdk
