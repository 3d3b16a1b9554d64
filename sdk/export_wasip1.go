package sdk

import (
	"runtime"
	"unsafe"

	"github.com/crhost/crhost/abi"
)

// input is the buffer that cr1_buffer gave out last.
var input []byte

// goroutines is their number during the first call: no more may outlive a call.
var goroutines int

//go:wasmexport cr1_buffer
func exportBuffer(size int32) unsafe.Pointer {
	input = module().Buffer(int(uint32(size)))
	return unsafe.Pointer(unsafe.SliceData(input))
}

//go:wasmexport cr1_describe
func exportDescribe() int64 { return answer(module().Describe()) }

//go:wasmexport cr1_configure
func exportConfigure(n int32) int64 { return answer(module().Configure(input[:uint32(n)])) }

//go:wasmexport cr1_reduce
func exportReduce(n int32) int64 { return answer(registered.Reduce(input[:uint32(n)])) }

//go:wasmexport cr1_state
func exportState(slot int32, ticket int64) int64 {
	return answer(registered.State(uint32(slot), uint64(ticket)))
}

//go:wasmexport cr1_evict
func exportEvict(slot int32, ticket int64) { module().Evict(uint32(slot), uint64(ticket)) }

//go:wasmexport cr1_idle
func exportIdle(int64) {
	module().Idle()
	runtime.GC()
}

// module is the registered module. The calls that a host makes before any other go through it.
func module() *Guest {
	if registered == nil {
		panic("sdk: the module registers no reducer: call sdk.Register from a package variable of main")
	}
	if goroutines == 0 {
		goroutines = runtime.NumGoroutine()
	}
	return registered
}

// answer hands an output frame to the host.
func answer(frame []byte) int64 {
	if runtime.NumGoroutine() > goroutines {
		panic("sdk: goroutines outlive the call that started them")
	}
	return int64(abi.Span(uint32(uintptr(unsafe.Pointer(unsafe.SliceData(frame)))), uint32(len(frame))))
}
