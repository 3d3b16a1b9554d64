package sdk

import (
	"runtime"
	"runtime/metrics"
	"unsafe"

	"github.com/crhost/crhost/abi"
)

// input is the buffer that cr1_buffer gave out last.
var input []byte

// goroutines is their number during the first call. accepted is the place of the answer that is kept ready.
var (
	goroutines int
	accepted   int64
)

//go:wasmexport cr1_buffer
func exportBuffer(size int32) unsafe.Pointer {
	input = module().Buffer(int(uint32(size)))
	return unsafe.Pointer(unsafe.SliceData(input))
}

//go:wasmexport cr1_describe
func exportDescribe() int64 { return span(module().Describe()) }

//go:wasmexport cr1_configure
func exportConfigure(n int32) int64 {
	frame := module().Configure(input[:uint32(n)])
	checkGoroutines(goroutines)
	return span(frame)
}

// Goroutines are counted around every 16th action of a store, from its first. Counting takes a sixth of a small reduce, and a goroutine that is left
// behind cannot run before a later call blocks or collects garbage. Only those of this action count: others may be another store's, whose fault must
// not show in this one's answers.
//
//go:wasmexport cr1_reduce
func exportReduce(n int32) int64 {
	if input[seqAt]&15 == 1 {
		return countedReduce(n)
	}
	if registered.reduce(input[:uint32(n)]) {
		return accepted
	}
	return span(registered.out)
}

func countedReduce(n int32) int64 {
	before := runtime.NumGoroutine()
	answer := accepted
	if !registered.reduce(input[:uint32(n)]) {
		answer = span(registered.out)
	}
	checkGoroutines(before)
	return answer
}

// seqAt is where the lowest byte of the seq is in a reduce frame.
const seqAt = 24

//go:wasmexport cr1_state
func exportState(slot int32, ticket int64) int64 {
	return span(registered.State(uint32(slot), uint64(ticket)))
}

//go:wasmexport cr1_evict
func exportEvict(slot int32, ticket int64) { module().Evict(uint32(slot), uint64(ticket)) }

//go:wasmexport cr1_idle
func exportIdle(budget int64) {
	module().Idle()
	checkGoroutines(goroutines) // before a collection lets them run; that idling traps costs a host the instance and no store anything
	metrics.Read(heap[:])
	allocated, live := heap[0].Value.Uint64(), heap[1].Value.Uint64()
	if garbage := allocated - collected; garbage >= collectBytes && budget/collectFuel >= int64(live+garbage) {
		runtime.GC()
		collected = allocated
	}
}

// The collector never gets to run during a call, so that it has to be called here; but it costs a call some 150 us, which is wasted when
// there is hardly any garbage.
const (
	collectBytes = 512 << 10 // of garbage, from which on it is worth it
	collectFuel  = 16        // for each byte of heap: what it may cost
)

// heap is what is read of the runtime's figures; collected is the first of them at the last collection.
var (
	heap      = [...]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	collected uint64
)

// module is the registered module. The calls that a host makes before any other go through it.
func module() *Guest {
	if registered == nil {
		panic("sdk: the module registers no reducer: call sdk.Register from a package variable of main")
	}
	if goroutines == 0 {
		goroutines, accepted = runtime.NumGoroutine(), span(registered.accepted)
	}
	return registered
}

// span hands an output frame to the host.
func span(frame []byte) int64 {
	return int64(abi.Span(uint32(uintptr(unsafe.Pointer(unsafe.SliceData(frame)))), uint32(len(frame))))
}

func checkGoroutines(before int) {
	if runtime.NumGoroutine() > before {
		panic("sdk: goroutines outlive the call that started them")
	}
}
