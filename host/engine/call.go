package engine

import (
	"errors"
	"fmt"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/tetratelabs/wazero/api"
)

// The fuel of calls other than cr1_reduce. What is not listed has meter's StartFuel: _initialize, cr1_describe, cr1_configure, cr1_evict and
// cr1_buffer.
const (
	// StateFuel and StateFuelPerByte (of the limit on states) are for cr1_state and the migrations.
	StateFuel        = 1_000_000_000
	StateFuelPerByte = 64
	// IdleFuel and IdleFuelPerByte (of guest memory) are for cr1_idle: a collector walks what is alive.
	IdleFuel        = 1_000_000_000
	IdleFuelPerByte = 16
)

// firstBuffer is the size of the first input buffer.
const firstBuffer = 4 << 10

func (i *Instance) stateFuel() int64 {
	return StateFuel + StateFuelPerByte*int64(i.code.limits.StateBytes)
}

func (i *Instance) idleFuel() int64 { return IdleFuel + IdleFuelPerByte*int64(i.memory.Size()) }

// stateOf checks a state that the guest gave.
func (i *Instance) stateOf(call string, out *abi.Output) ([]byte, error) {
	if uint64(len(out.Body)) > i.code.limits.StateBytes {
		return nil, i.badOutput(call, fmt.Sprintf("output: a state of %d bytes, the limit is %d", len(out.Body), i.code.limits.StateBytes))
	}
	if err := pack.Valid(out.Body); err != nil {
		return nil, i.badOutput(call, "output: the state is not one msgpack value: "+err.Error())
	}
	return out.Body, nil
}

// bytesCall runs a call that takes a bytes frame.
func (i *Instance) bytesCall(name string, function api.Function, in *abi.BytesInput, fuel int64, out *abi.Output) error {
	frame, err := i.frame(in.Size())
	if err != nil {
		return err
	}
	i.stack[0] = uint64(in.Encode(frame))
	i.env.nowhere()
	if trap := i.call(name, function, fuel); trap != nil {
		return trap
	}
	if trap := i.output(name, out); trap != nil {
		return trap
	}
	return nil
}

// frame is room for an input frame of n bytes in the guest's memory.
func (i *Instance) frame(n int) ([]byte, error) {
	if i.poisoned {
		return nil, ErrPoisoned
	}
	if uint64(n) > uint64(i.inputSize) {
		if trap := i.growInput(n); trap != nil {
			return nil, trap
		}
	}
	frame, ok := i.memory.Read(i.input, uint32(n))
	if !ok { // memory never shrinks
		return nil, i.badOutput(exportBuffer, "output: the buffer left memory")
	}
	return frame, nil
}

// growInput asks for a larger buffer, with room to spare, so that a state that grows does not ask each time.
func (i *Instance) growInput(n int) *Trap {
	size := uint64(max(firstBuffer, (n+n/4+firstBuffer-1)/firstBuffer*firstBuffer))
	if size > uint64(i.MemoryLimit()) {
		return i.badOutput(exportBuffer, fmt.Sprintf("an input of %d bytes does not fit memory of at most %d", n, i.MemoryLimit()))
	}
	i.stack[0] = size
	i.env.nowhere()
	if trap := i.call(exportBuffer, i.buffer, i.code.startFuel); trap != nil {
		return trap
	}
	ptr := uint32(i.stack[0])
	if ptr%8 != 0 {
		return i.badOutput(exportBuffer, fmt.Sprintf("output: the buffer at %#x is not 8-aligned", ptr))
	}
	if end := uint64(ptr) + size; end > uint64(i.memory.Size()) {
		return i.badOutput(exportBuffer, fmt.Sprintf("output: the buffer [%d, %d) is outside memory of %d bytes", ptr, end, i.memory.Size()))
	}
	i.input, i.inputSize = ptr, uint32(size)
	return nil
}

// call runs an export on fuel of its own; parameters and result are in i.stack.
//
// REQUIRES: not poisoned; i.env set for this call.
func (i *Instance) call(name string, function api.Function, fuel int64) *Trap {
	i.limit = fuel
	i.fuel.Set(uint64(fuel))
	err := function.CallWithStack(&i.env, i.stack[:])
	left := int64(i.fuel.Get())
	i.used = fuel - left
	if err == nil && left >= 0 {
		if !i.env.quiet() {
			i.env.flush()
		}
		return nil
	}
	if err == nil {
		err = errPastFuel
	}
	i.poisoned = true
	trap := i.explain(name, err)
	i.env.flush()
	return trap
}

// errPastFuel ends a call that used its last fuel in the straight line before its return, where nothing looks at the counter.
var errPastFuel = errors.New("the call returned with its fuel overdrawn")

// output reads the frame that the last call answered.
func (i *Instance) output(call string, out *abi.Output) *Trap {
	ptr, n := abi.SpanOf(i.stack[0])
	if ptr%8 != 0 {
		return i.badOutput(call, fmt.Sprintf("output: the frame at %#x is not 8-aligned", ptr))
	}
	frame, ok := i.memory.Read(ptr, n)
	if !ok {
		return i.badOutput(call, fmt.Sprintf("output: the frame [%d, %d) is outside memory of %d bytes", ptr, uint64(ptr)+uint64(n), i.memory.Size()))
	}
	if err := out.Decode(frame); err != nil {
		return i.badOutput(call, err.Error())
	}
	switch {
	case len(out.Text) > abi.MaxTextBytes:
		return i.badOutput(call, fmt.Sprintf("output: a text of %d bytes, the limit is %d", len(out.Text), abi.MaxTextBytes))
	case out.Status == abi.Rejected && !abi.ValidCode(out.Code):
		return i.badOutput(call, fmt.Sprintf("output: rejection code %q is not 1 to %d of a-z, 0-9, _ and .", clipName(string(out.Code)), abi.MaxNameBytes))
	}
	return nil
}

// badOutput poisons the instance for what it answered.
func (i *Instance) badOutput(call, what string) *Trap {
	i.poisoned = true
	return &Trap{Call: call, Cause: CauseOutput, What: what, Fuel: i.used}
}
