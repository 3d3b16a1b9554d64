package meter

import "cmp"

// The defaults of Limits. Each holds in the metered module.
const (
	DefaultModuleBytes    = 64 << 20
	DefaultLocals         = 10_000
	DefaultLocalsTotal    = 4_000_000
	DefaultParams         = 100
	DefaultFunctions      = 100_000
	DefaultTypes          = 10_000
	DefaultTables         = 100
	DefaultTableEntries   = 100_000
	DefaultElementEntries = 200_000
	DefaultSegments       = 110_000 // Go's linker makes up to 100,000 data segments and one of elements
	DefaultBrTargets      = 10_000
	DefaultBrTargetsTotal = 1_000_000
	DefaultBodyBytes      = 1 << 20
	DefaultNameBytes      = 1 << 10
	DefaultExports        = 1_000
	DefaultGlobals        = 10_000
	DefaultControlDepth   = 5_000 // Go nests a block for each place a function can resume at: 550 in a program that uses fmt
	DefaultBlocks         = 5_000
	DefaultValues         = 200_000
	DefaultValuesTotal    = 10_000_000
	DefaultMerges         = 5_000_000
	DefaultMergesTotal    = 50_000_000
	DefaultFlowTotal      = 500_000_000
	DefaultMemoryPages    = 1_024 // 64 MiB
	DefaultDepth          = 10_000
	DefaultStartFuel      = 2_000_000_000
)

// Limits bound a module before a compiler sees it, so that compiling and instantiating it takes bounded time and memory.
// All counts hold in the metered module, that is, with what metering adds. A zero field means its Default constant.
type Limits struct {
	ModuleBytes    int
	Locals         int // parameters and locals of a function, counted singly
	LocalsTotal    int // of all functions: the compiler keeps 8 bytes for each
	Params         int // parameters, and results, of a type
	Functions      int // with imports
	Types          int
	Tables         int
	TableEntries   int // the maxima of all tables together
	ElementEntries int // entries of all element segments together
	Segments       int // element and data segments together
	BrTargets      int // br_table targets of a function; a target counts once more for each value it carries
	BrTargetsTotal int
	BodyBytes      int
	NameBytes      int
	Exports        int
	Globals        int
	ControlDepth   int // nested blocks of a function
	Blocks         int // blocks, ifs and memory.grow of a function, and as many loops and instructions charged by length, which compile to loops

	// Values bounds what branches carry and calls return in a function; a call also counts once for each mutable global,
	// which the compiler reads again after it.
	Values, ValuesTotal int
	// Merges bounds the values that may have to be merged where control flow joins: locals and mutable globals times blocks, ifs and loops.
	Merges, MergesTotal int
	// FlowTotal bounds the sum of (blocks + 10 loops) * (blocks + loops) over all functions: the compiler's time grows with the square of both.
	FlowTotal int

	MemoryPages uint32 // of 64 KiB; written into the module as its memory's maximum
	Depth       int64  // units of call depth
	StartFuel   int64  // for instantiation: start function and, unless the host sets another, the first call
}

// withDefaults replaces zeros.
func (l Limits) withDefaults() Limits {
	return Limits{
		ModuleBytes:    cmp.Or(l.ModuleBytes, DefaultModuleBytes),
		Locals:         cmp.Or(l.Locals, DefaultLocals),
		LocalsTotal:    cmp.Or(l.LocalsTotal, DefaultLocalsTotal),
		Params:         cmp.Or(l.Params, DefaultParams),
		Functions:      cmp.Or(l.Functions, DefaultFunctions),
		Types:          cmp.Or(l.Types, DefaultTypes),
		Tables:         cmp.Or(l.Tables, DefaultTables),
		TableEntries:   cmp.Or(l.TableEntries, DefaultTableEntries),
		ElementEntries: cmp.Or(l.ElementEntries, DefaultElementEntries),
		Segments:       cmp.Or(l.Segments, DefaultSegments),
		BrTargets:      cmp.Or(l.BrTargets, DefaultBrTargets),
		BrTargetsTotal: cmp.Or(l.BrTargetsTotal, DefaultBrTargetsTotal),
		BodyBytes:      cmp.Or(l.BodyBytes, DefaultBodyBytes),
		NameBytes:      cmp.Or(l.NameBytes, DefaultNameBytes),
		Exports:        cmp.Or(l.Exports, DefaultExports),
		Globals:        cmp.Or(l.Globals, DefaultGlobals),
		ControlDepth:   cmp.Or(l.ControlDepth, DefaultControlDepth),
		Blocks:         cmp.Or(l.Blocks, DefaultBlocks),
		Values:         cmp.Or(l.Values, DefaultValues),
		ValuesTotal:    cmp.Or(l.ValuesTotal, DefaultValuesTotal),
		Merges:         cmp.Or(l.Merges, DefaultMerges),
		MergesTotal:    cmp.Or(l.MergesTotal, DefaultMergesTotal),
		FlowTotal:      cmp.Or(l.FlowTotal, DefaultFlowTotal),
		MemoryPages:    cmp.Or(l.MemoryPages, DefaultMemoryPages),
		Depth:          cmp.Or(l.Depth, DefaultDepth),
		StartFuel:      cmp.Or(l.StartFuel, DefaultStartFuel),
	}
}
