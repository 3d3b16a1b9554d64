package meter

import "crypto/sha256"

// Version is part of the key of everything derived from metered bytes. It changes with the cost table and with any change in the bytes.
const Version = 2

// The exported names of the two counters. A guest that exports one of them is refused.
const (
	FuelGlobal  = "cr_fuel"
	DepthGlobal = "cr_depth"
)

// What a host function charges for a call: HostCallCost, and 1 for each HostBytesPerFuel bytes it handles.
const (
	HostCallCost     = 200
	HostBytesPerFuel = 8
)

// What memory.grow costs beyond the instruction: for the call, and for each page of 64 KiB asked for.
const (
	growCost     = 1_000
	growPageCost = 8_192
)

// Module is a metered module. Its bytes belong to the caller.
type Module struct {
	Bytes   []byte
	Digest  [32]byte // SHA-256 of Bytes
	Imports []Import // functions, in the order of their indices
	Exports []Export // the guest's own, without the counters
	Start   bool     // has a start function, which instantiation runs on Limits.StartFuel

	HasMemory            bool
	MemoryMin, MemoryMax uint32 // pages of 64 KiB
	Depth                int64  // what DepthGlobal is to be set to before each call
	Chain                int64  // units of the deepest chain of functions outside of cycles; at most Depth
}

// Import is a function that the module wants from its host. Value types are those of the binary format.
type Import struct {
	Module, Name    string
	Kind            byte // always KindFunction
	Params, Results []byte
}

// Export is what the module offers.
type Export struct {
	Name            string
	Kind            byte
	Index           uint32
	Params, Results []byte // of a function; the one result of a global is its type
}

// Rewrite bounds and meters a module. The error is a *BoundError, *MalformedError or *FeatureError, one sentence each.
// It takes time and memory linear in len(wasm), which it neither changes nor keeps.
func Rewrite(wasm []byte, l Limits) (*Module, error) {
	s, err := parse(wasm, l.withDefaults())
	if err != nil {
		return nil, err
	}
	c, err := s.scan()
	if err != nil {
		return nil, err
	}
	chain := c.measure(s)
	if chain > s.limits.Depth {
		return nil, &BoundError{What: "units of depth in a chain of calls", Where: "module", Have: uint64(chain), Limit: uint64(s.limits.Depth)}
	}
	out, err := s.rewrite(c)
	if err != nil {
		return nil, err
	}
	m := &Module{
		Bytes: out, Digest: sha256.Sum256(out),
		Imports: s.imports, Exports: s.exports, Start: s.hasStart,
		Depth: s.limits.Depth, Chain: chain,
	}
	if s.memory != nil {
		m.HasMemory, m.MemoryMin, m.MemoryMax = true, s.memory.min, s.memory.max
	}
	return m, nil
}
