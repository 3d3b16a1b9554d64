package engine

import (
	"context"
	"encoding/binary"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/abitest"
	"github.com/tetratelabs/wazero/api"
)

// Conformance makes an instance for abitest to check: its exports as they are, without the checks of the other methods. config as in
// Instantiate; fuel bounds each reduce.
func (m *Module) Conformance(ctx context.Context, config []byte, fuel int64) (abitest.Guest, error) {
	i, err := m.Instantiate(ctx, config)
	if err != nil {
		return nil, err
	}
	return &bare{instance: i, fuel: fuel}, nil
}

// bare is an instance without checks.
type bare struct {
	instance *Instance
	fuel     int64
	input    uint32 // what cr1_buffer answered last
}

var _ abitest.Guest = (*bare)(nil)

func (b *bare) call(name string, function api.Function, fuel int64, params ...uint64) (uint64, error) {
	i := b.instance
	if i.poisoned {
		return 0, ErrPoisoned
	}
	copy(i.stack[:], params)
	if trap := i.call(name, function, fuel); trap != nil {
		return 0, trap
	}
	return i.stack[0], nil
}

func (b *bare) Buffer(size uint32) (uint32, error) {
	b.instance.env.nowhere()
	ptr, err := b.call(exportBuffer, b.instance.buffer, b.instance.code.startFuel, uint64(size))
	b.input = uint32(ptr)
	return b.input, err
}

func (b *bare) Describe() (uint64, error) {
	b.instance.env.nowhere()
	return b.call(exportDescribe, b.instance.module.ExportedFunction(exportDescribe), b.instance.code.startFuel)
}

// Reduce takes now and seed out of the frame, however broken that is.
func (b *bare) Reduce(n uint32) (uint64, error) {
	b.instance.env.nowhere()
	if h, ok := b.instance.memory.Read(b.input, abi.ReduceHeaderLen); ok && n >= abi.ReduceHeaderLen {
		b.instance.env.at(int64(binary.LittleEndian.Uint64(h[32:])), (*[16]byte)(h[40:56]))
	}
	return b.call(exportReduce, b.instance.reduce, b.fuel, uint64(n))
}

func (b *bare) State(slot uint32, ticket uint64) (uint64, error) {
	b.instance.env.nowhere()
	return b.call(exportState, b.instance.state, b.instance.stateFuel(), uint64(slot), ticket)
}

func (b *bare) Evict(slot uint32, ticket uint64) error {
	b.instance.env.nowhere()
	_, err := b.call(exportEvict, b.instance.evict, b.instance.code.startFuel, uint64(slot), ticket)
	return err
}

func (b *bare) Idle(budget int64) error {
	if b.instance.idle == nil {
		return nil
	}
	b.instance.env.nowhere()
	_, err := b.call(exportIdle, b.instance.idle, b.instance.idleFuel(), uint64(budget))
	return err
}

func (b *bare) Memory() []byte {
	memory, _ := b.instance.memory.Read(0, b.instance.memory.Size())
	return memory
}

func (b *bare) Close() error { return b.instance.Close() }
