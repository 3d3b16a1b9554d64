package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine/meter"
	"github.com/tetratelabs/wazero/api"
)

// HousekeepingCalls is after how many reduces Housekeep runs cr1_idle even if memory has not grown.
const HousekeepingCalls = 1000

var (
	// ErrPoisoned is answered by every call after one that trapped.
	ErrPoisoned = errors.New("engine: the instance is poisoned by an earlier trap")
	// ErrNoSuchSlot says that the slot does not hold a state under the ticket. Nothing was changed.
	ErrNoSuchSlot = errors.New("engine: the slot does not hold the ticket")
	// ErrNoMigration says that the module does not migrate in this direction.
	ErrNoMigration = errors.New("engine: the module does not migrate this way")
)

// An Instance is a guest in memory of its own. It belongs to one goroutine at a time; Close too. Only MemoryLimit and
// OnLog's function are free of that.
//
// Invariants:
//
//	I1  once poisoned, the guest is not called again
//	I2  input is written only between calls, and output read only after them: views of memory are taken anew each time, since it may move
//	I3  every call runs with fuel of its own, and with all of the depth: a call that returns has given back what it took
type Instance struct {
	code   *code
	module api.Module
	memory api.Memory
	fuel   api.MutableGlobal
	depth  api.MutableGlobal

	// The exports that are called again and again, each with a stack of its own; idle is nil when the guest has none. The others are looked
	// up when they are needed.
	buffer, reduce, state, evict, idle api.Function

	env   environment
	stack [2]uint64 // parameters and result of the call
	limit int64     // fuel of the call
	used  int64     // fuel used by the last call

	input, inputSize uint32 // the guest's input buffer
	calls            int    // reduces since the last cr1_idle
	idleMemory       uint32 // size of memory after it
	poisoned         bool
}

// newInstance instantiates a module and runs _initialize.
func newInstance(c *code) (*Instance, error) {
	// The context has no end and no values of the caller's: the engine underneath changes its behaviour on both.
	module, err := c.domain.runtime.InstantiateModule(context.Background(), c.compiled, c.domain.config)
	if err != nil {
		return nil, fmt.Errorf("instantiate: %w", err)
	}
	i := &Instance{
		code: c, module: module, memory: module.Memory(),
		fuel:  module.ExportedGlobal(meter.FuelGlobal).(api.MutableGlobal),
		depth: module.ExportedGlobal(meter.DepthGlobal).(api.MutableGlobal),
	}
	i.lookUp()
	i.env.instance, i.env.monotonic, i.env.level = i, 1, levelInfo
	i.depth.Set(uint64(c.depth))
	if initialize := module.ExportedFunction(exportInitialize); initialize != nil {
		i.env.nowhere()
		if trap := i.call(exportInitialize, initialize, i.code.startFuel); trap != nil {
			return nil, errors.Join(trap, module.Close(context.Background()))
		}
	}
	i.idleMemory = i.memory.Size()
	return i, nil
}

// lookUp takes the exports anew. The engine underneath keeps a stack with each, which grows with the deepest nesting and never shrinks.
func (i *Instance) lookUp() {
	i.buffer, i.reduce = i.module.ExportedFunction(exportBuffer), i.module.ExportedFunction(exportReduce)
	i.state, i.evict = i.module.ExportedFunction(exportState), i.module.ExportedFunction(exportEvict)
	i.idle = i.module.ExportedFunction(exportIdle)
}

// Reduce runs one action. fuel bounds it; Fuel tells what it used. out aliases guest memory: it is valid until the next call.
//
// A rejection is an answer (out.Status) and not an error. Every error is a *Trap or ErrPoisoned.
func (i *Instance) Reduce(in *abi.ReduceInput, fuel int64, out *abi.Output) error {
	frame, err := i.frame(in.Size())
	if err != nil {
		return err
	}
	i.stack[0] = uint64(in.Encode(frame))
	i.env.at(in.Now, &in.Seed)
	i.calls++
	if trap := i.call(exportReduce, i.reduce, fuel); trap != nil {
		return trap
	}
	if trap := i.output(exportReduce, out); trap != nil {
		return trap
	}
	switch {
	case out.Status == abi.NoSuchSlot && in.Mode != abi.Resident:
		return i.badOutput(exportReduce, fmt.Sprintf("output: status %s in answer to mode %s", out.Status, in.Mode))
	case uint64(len(out.Body)) > i.code.limits.EffectsBytes:
		return i.badOutput(exportReduce, fmt.Sprintf("output: effects of %d bytes, the limit is %d", len(out.Body), i.code.limits.EffectsBytes))
	}
	return nil
}

// State encodes the state of a slot. The bytes alias guest memory: they are valid until the next call. They are one well-formed msgpack
// value within the limit on states. Errors: ErrNoSuchSlot, *Trap, ErrPoisoned.
func (i *Instance) State(slot uint32, ticket uint64) ([]byte, error) {
	if i.poisoned {
		return nil, ErrPoisoned
	}
	i.stack = [2]uint64{uint64(slot), ticket}
	i.env.nowhere()
	if trap := i.call(exportState, i.state, i.stateFuel()); trap != nil {
		return nil, trap
	}
	var out abi.Output
	if trap := i.output(exportState, &out); trap != nil {
		return nil, trap
	}
	switch out.Status {
	case abi.NoSuchSlot:
		return nil, ErrNoSuchSlot
	case abi.OK:
		return i.stateOf(exportState, &out)
	}
	return nil, i.badOutput(exportState, fmt.Sprintf("output: status %s", out.Status))
}

// Evict makes the guest forget a slot; a slot that holds nothing or another ticket stays as it is. Errors: *Trap, ErrPoisoned.
func (i *Instance) Evict(slot uint32, ticket uint64) error {
	if i.poisoned {
		return ErrPoisoned
	}
	i.stack = [2]uint64{uint64(slot), ticket}
	i.env.nowhere()
	if trap := i.call(exportEvict, i.evict, i.code.startFuel); trap != nil {
		return trap
	}
	return nil
}

// Migrate turns a state of schema from into one of schema to; down says that it is an older one. The bytes alias guest memory: they
// are valid until the next call. Errors: *abi.Error (CodeStateUnreadable: BAD_STATE; CodeRejected), ErrNoMigration, *Trap, ErrPoisoned.
func (i *Instance) Migrate(from, to uint32, state []byte, down bool) ([]byte, error) {
	if i.poisoned {
		return nil, ErrPoisoned
	}
	name := exportMigrate
	if down {
		name = exportMigrateDown
	}
	function := i.module.ExportedFunction(name)
	if function == nil {
		return nil, ErrNoMigration
	}
	var out abi.Output
	if err := i.bytesCall(name, function, &abi.BytesInput{From: from, To: to, Body: state}, i.stateFuel(), &out); err != nil {
		return nil, err
	}
	switch out.Status {
	case abi.OK:
		return i.stateOf(name, &out)
	case abi.BadState:
		return nil, &abi.Error{Code: abi.CodeStateUnreadable, Text: fmt.Sprintf("migrate schema %d to %d: %s", from, to, out.Text)}
	case abi.Rejected:
		return nil, &abi.Error{Code: abi.CodeRejected, Reason: string(out.Code), Text: string(out.Text)}
	}
	return nil, i.badOutput(name, fmt.Sprintf("output: status %s", out.Status))
}

// configure gives the guest its config, if it takes one. Errors: *abi.Error (CodeRejected), *Trap.
func (i *Instance) configure(config []byte) error {
	function := i.module.ExportedFunction(exportConfigure)
	if function == nil {
		return nil
	}
	var out abi.Output
	if err := i.bytesCall(exportConfigure, function, &abi.BytesInput{Body: config}, i.code.startFuel, &out); err != nil {
		return err
	}
	switch out.Status {
	case abi.OK:
		return nil
	case abi.Rejected:
		return &abi.Error{Code: abi.CodeRejected, Reason: string(out.Code), Text: "config: " + string(out.Text)}
	}
	return i.badOutput(exportConfigure, fmt.Sprintf("output: status %s", out.Status))
}

// describe asks the guest for its manifest.
func (i *Instance) describe() (*abi.Manifest, error) {
	i.env.nowhere()
	if trap := i.call(exportDescribe, i.module.ExportedFunction(exportDescribe), i.code.startFuel); trap != nil {
		return nil, trap
	}
	var out abi.Output
	if trap := i.output(exportDescribe, &out); trap != nil {
		return nil, trap
	}
	if out.Status != abi.OK {
		return nil, i.badOutput(exportDescribe, fmt.Sprintf("output: status %s", out.Status))
	}
	m := new(abi.Manifest)
	if err := m.Decode(out.Body); err != nil {
		return nil, err
	}
	return m, nil
}

// Housekeep lets the guest run its own housekeeping (cr1_idle) when its memory has grown or HousekeepingCalls reduces have passed since
// it last did; otherwise it does next to nothing. It ends the life of every output. Errors: *Trap, ErrPoisoned.
func (i *Instance) Housekeep() error {
	size := i.memory.Size()
	if i.calls < HousekeepingCalls && size == i.idleMemory {
		return nil
	}
	if i.poisoned {
		return ErrPoisoned
	}
	i.calls = 0
	i.lookUp()
	if i.idle != nil {
		budget := i.idleFuel()
		i.stack[0] = uint64(budget)
		i.env.nowhere()
		if trap := i.call(exportIdle, i.idle, budget); trap != nil {
			return trap
		}
	}
	i.idleMemory = i.memory.Size()
	return nil
}

// Fuel is what the last call used.
func (i *Instance) Fuel() int64 { return i.used }

// MemoryBytes is the size of the guest's memory. It never shrinks.
func (i *Instance) MemoryBytes() int { return int(i.memory.Size()) }

// MemoryLimit is how far MemoryBytes can grow.
func (i *Instance) MemoryLimit() int { return int(i.code.limits.MemoryPages) * abi.PageBytes }

// Poisoned reports whether a call trapped.
func (i *Instance) Poisoned() bool { return i.poisoned }

// OnLog sets who is told what the guest logs and prints, line by line, during the call: level 0 debug, 1 info, 2 warn, 3 error; the text is
// any bytes at all. nil, as it is at first, drops it.
func (i *Instance) OnLog(log func(level int, text string)) { i.env.onLog = log }

// Close frees the guest's memory. The instance and every output of it end here; a second Close does nothing.
func (i *Instance) Close() error {
	if i.module == nil {
		return nil
	}
	i.poisoned = true
	err := i.module.Close(context.Background())
	i.module = nil
	i.code.release()
	return err
}
