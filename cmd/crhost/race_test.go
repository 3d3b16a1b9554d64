//go:build race

package main

// raced: compiling a Go guest takes most of a minute under the race detector, and finds no race that a small one does not.
const raced = true
