package abi

// Default and hard limits. A manifest may ask for less than the default or, up to the hard limit, for more.
const (
	DefaultModuleBytes = 64 << 20 // of the module, before metering

	DefaultActionBytes = 64 << 10
	HardActionBytes    = 4 << 20

	DefaultEffectsBytes = 256 << 10
	HardEffectsBytes    = 4 << 20
	MaxLeaves           = 256
	MaxEffectDepth      = 16

	DefaultStateBytes = 16 << 20
	HardStateBytes    = 256 << 20

	MaxMetaBytes   = 4 << 10
	MaxConfigBytes = 64 << 10
	MaxTextBytes   = 1 << 10
	MaxNameBytes   = 64
	MaxActions     = 1000

	PageBytes          = 64 << 10
	DefaultMemoryPages = 64 << 20 / PageBytes
	HardMemoryPages    = 1 << 30 / PageBytes

	DefaultFuel = 250_000_000 // per action: about 50 ms at 5 fuel per ns
	HardFuel    = 5_000_000_000
)

// Limits are what a revision may use. A zero field is the default.
type Limits struct {
	ActionBytes  uint64 // of one action's msgpack
	EffectsBytes uint64 // of the effects of one action
	StateBytes   uint64 // of one store's encoded state
	MemoryPages  uint64 // of one instance, 64 KiB each; written into the module's memory maximum
	Fuel         uint64 // of one action
}

// OrDefault fills the zero fields of l.
func (l Limits) OrDefault() Limits {
	fill := func(v *uint64, def uint64) {
		if *v == 0 {
			*v = def
		}
	}
	fill(&l.ActionBytes, DefaultActionBytes)
	fill(&l.EffectsBytes, DefaultEffectsBytes)
	fill(&l.StateBytes, DefaultStateBytes)
	fill(&l.MemoryPages, DefaultMemoryPages)
	fill(&l.Fuel, DefaultFuel)
	return l
}
