// Command goguest is a Go program of the kind people write as reducers: allocation, maps, sorting, formatting, recursion.
package main

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

type state struct {
	count int64
	names map[string]int
	log   []string
}

var current = state{names: map[string]int{}}

//go:wasmexport increment
func increment(by int64) int64 {
	if by > 0 && current.count > (1<<62)-by {
		return -1
	}
	current.count += by
	return current.count
}

//go:wasmexport fib
func fib(n int32) int32 {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

//go:wasmexport words
func words(n int32) int64 {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d:%s ", i, strconv.Itoa(int(i*i)))
	}
	fields := strings.Fields(b.String())
	sort.Strings(fields)
	for _, f := range fields {
		current.names[f]++
	}
	var h int64
	for _, f := range fields {
		for _, c := range []byte(f) {
			h = h*31 + int64(c)
		}
	}
	return h + int64(len(current.names))
}

//go:wasmexport sieve
func sieve(n int32) int32 {
	composite := make([]bool, n+1)
	primes := int32(0)
	for i := int32(2); i <= n; i++ {
		if composite[i] {
			continue
		}
		primes++
		for j := i * 2; j <= n; j += i {
			composite[j] = true
		}
	}
	return primes
}

//go:wasmexport matrix
func matrix(n int32) float64 {
	a, b := make([]float64, n*n), make([]float64, n*n)
	for i := range a {
		a[i], b[i] = float64(i%7), float64(i%5)
	}
	var trace float64
	for i := range n {
		for j := range n {
			var sum float64
			for k := range n {
				sum += a[i*n+k] * b[k*n+j]
			}
			if i == j {
				trace += sum
			}
		}
	}
	return trace
}

//go:wasmexport fault
func fault(n int32) (result int32) {
	defer func() {
		if r := recover(); r != nil {
			result = int32(len(errors.Join(fmt.Errorf("recovered: %v", r)).Error()))
		}
	}()
	return int32([]int{1, 2, 3}[n])
}

//go:wasmexport spin
func spin() {
	for {
		current.count++
	}
}

//go:wasmexport dive
func dive(n int32) int32 {
	if n < 0 {
		return 0
	}
	return dive(n+1) + 1
}

func main() {}
