//go:build wasip1

// A guest in Go without the SDK: it uses what reducers use of the standard library, so that a test sees what such guests import, and does
// on demand what goes wrong in Go.
package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sort"
	"strconv"
	"time"
	"unsafe"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

var (
	input []byte
	frame []byte
	state []byte
	hoard [][]byte

	garbage []byte
)

func main() {}

func bytesAt(n int) []byte {
	b := make([]byte, n+8)
	for uintptr(unsafe.Pointer(&b[0]))%8 != 0 {
		b = b[1:]
	}
	return b[:n:n]
}

func span(out *abi.Output) int64 {
	frame = out.Append(bytesAt(out.Size())[:0])
	return int64(abi.Span(uint32(uintptr(unsafe.Pointer(&frame[0]))), uint32(len(frame))))
}

//go:wasmexport cr1_buffer
func buffer(size int32) int32 {
	input = bytesAt(int(size))
	return int32(uintptr(unsafe.Pointer(&input[0])))
}

//go:wasmexport cr1_describe
func describe() int64 {
	m := abi.Manifest{Name: "goguest", Version: "1", Schema: 1, Residency: abi.ResidencyNone}
	for _, typ := range []string{"print", "panic", "exhaust", "allocate", "clock", "random", "sleep"} {
		m.Actions = append(m.Actions, abi.Action{Type: typ, Kind: abi.Command})
	}
	return span(&abi.Output{Body: m.Append(nil)})
}

//go:wasmexport cr1_reduce
func reduce(n int32) int64 {
	var in abi.ReduceInput
	if err := in.Decode(input[:n]); err != nil {
		panic(err)
	}
	var say string
	switch in.Action {
	case 0:
		say = printing(int(in.Seq))
		fmt.Println("printed", say)
	case 1:
		panic(errors.New("the sky fell on " + strconv.Itoa(int(in.Seq))))
	case 2:
		for {
			hoard = append(hoard, make([]byte, 1<<20))
		}
	case 3:
		for range 500 {
			garbage = make([]byte, 4096)
		}
	case 4:
		say = fmt.Sprint(time.Now().UnixNano(), time.Since(time.Now()))
	case 5:
		say = strconv.FormatUint(rand.Uint64(), 16)
	case 6:
		time.Sleep(time.Hour)
	}
	state = pack.AppendString(nil, say)
	return span(&abi.Output{Flags: abi.StateChanged})
}

func printing(n int) string {
	words := map[string]int{"one": 1, "two": 2, "three": 3}
	var names []string
	for name := range words {
		names = append(names, name)
	}
	sort.Strings(names)
	_, err := strconv.Atoi("x")
	return fmt.Sprint(names, n, errors.Is(err, strconv.ErrSyntax), time.Duration(n))
}

//go:wasmexport cr1_state
func encode(int32, int64) int64 { return span(&abi.Output{Body: state}) }

//go:wasmexport cr1_evict
func evict(int32, int64) {}

//go:wasmexport cr1_idle
func idle(int64) { runtime.GC() }
