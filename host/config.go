package host

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/eventbus"
	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/host/engine/meter"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/outbox"
	"github.com/crhost/crhost/host/shard"
)

// Observer is a set of callbacks; see package observe.
type Observer = observe.Observer

// Defaults of Config.
const (
	DefaultQueueDepth       = shard.DefaultQueueDepth
	DefaultResidents        = shard.DefaultResidents
	DefaultStores           = shard.DefaultStores
	DefaultTailBytes        = shard.DefaultTailBytes
	DefaultRebuildFuel      = shard.DefaultRebuildFuel
	DefaultSubscriberBuffer = shard.DefaultBuffer
	DefaultHistory          = memory.DefaultHistory
	DefaultTrapRate         = 10.0
	DefaultTrapLimit        = shard.DefaultTrapLimit
	DefaultCascadeLimit     = shard.DefaultCascade
	DefaultKeyActions       = shard.DefaultKeyActions
	DefaultKeyAge           = shard.DefaultKeyAge
	DefaultReserveBytes     = 1 << 30
	DefaultMaxDeadLetters   = shard.DefaultMaxLetters

	DefaultHostConcurrency   = outbox.DefaultHostConcurrency
	DefaultTenantConcurrency = outbox.DefaultTenantConcurrency
)

// Config of a host. The zero value is a host in memory with the defaults.
type Config struct {
	// CacheDir keeps compiled modules between runs; it is made when it is not there. Empty means that each run compiles anew: about 1 s for a module in Go.
	CacheDir string

	// Bus and Events are where publish and append effects go. The bus defaults to one in memory, the event store to one in Journal, durable as that is, and
	// without Journal to one in memory. The host does not close what it is given.
	Bus    eventbus.Bus
	Events eventstore.Store

	// Projections are the read models that project effects name, of every tenant; Models is where they are kept, by default where events are by default. A read
	// model belongs to the events that it was made of: with Events that are fewer it stands still.
	Projections []projection.Projection
	Models      projection.Store

	// Calls perform call effects, by the name that their target begins with, up to a colon. "http" is built in; one given here takes its place. Kinds take the
	// place of what performs publish, append, load and project.
	Calls map[string]effects.Handler
	Kinds map[abi.Kind]effects.Handler

	// HostConcurrency and TenantConcurrency are how many effects are attempted at a time. Default to DefaultHostConcurrency and
	// DefaultTenantConcurrency.
	HostConcurrency, TenantConcurrency int

	// Policies are those that every tenant begins with, by name; see SetPolicy.
	Policies map[string]outbox.Policy

	// Secret is asked for the secrets that headers of http calls name. nil: there are none.
	Secret func(tenant, name string) (value string, ok bool)

	// CascadeLimit is how many actions may cause one another, one after another. Defaults to DefaultCascadeLimit.
	CascadeLimit int

	// KeyActions and KeyAge are how long a store remembers the idempotency keys of its callers: for so many of its actions and for so long, whichever ends first. Default
	// to DefaultKeyActions and DefaultKeyAge.
	KeyActions uint64
	KeyAge     time.Duration

	// ReserveBytes is how much room is left on the disk of Journal for what is under way: with less, commands are refused as storage_full, until there is more.
	// Defaults to DefaultReserveBytes or 5 % of the file system, whichever is less; below zero is none. Only with a Journal that knows its disk.
	ReserveBytes int64

	// MaxDeadLetters is how many dead letters a module may have. Beyond, effects are given up without one: that is logged as an error, with what it was, and counted.
	// Defaults to DefaultMaxDeadLetters.
	MaxDeadLetters int

	// TrapLimit is on how many traps of the reducer on one feedback, one after another, its store halts. Defaults to DefaultTrapLimit.
	TrapLimit int

	// HaltOnCommandTrap halts a store whose command trapped, until it is resumed: the seed's rule. Otherwise the command is refused and the store goes on.
	HaltOnCommandTrap bool

	// History is how many of its last actions a memory journal keeps of each store, besides those that it needs. Defaults to DefaultHistory; below
	// zero keeps none. Only without Journal.
	History int

	// Journal keeps what must survive, events and read models included unless Events and Models say otherwise. The host does not close it. Defaults to a
	// memory journal, which survives nothing.
	Journal journal.Backend

	// Meter bounds modules. Zero fields are the defaults.
	Meter meter.Limits

	// Observer hears what happens. It may be nil; observe.Tee makes one of several.
	Observer *Observer

	// QueueDepth is how many actions may wait for one store, or be on their way from it to the journal, before further ones are refused as overloaded. Defaults to
	// DefaultQueueDepth.
	QueueDepth int

	// RebuildFuel and TailBytes bound what rebuilding a store costs: when the actions since it was last encoded have used more fuel, or
	// take more bytes (or 4 times its encoded size, if that is more), it is encoded. Default to DefaultRebuildFuel and DefaultTailBytes.
	RebuildFuel uint64
	TailBytes   int

	// Residents is how many decoded states one shard's guest keeps; others are decoded at their next action. Defaults to DefaultResidents.
	Residents int

	// Shards is how many shards a module has: that many actions of it run at a time. Each has a guest of its own. Defaults to GOMAXPROCS.
	Shards int

	// Stores is how many stores a shard keeps in memory; idle ones beyond leave it, and are read from the journal when they are used. Defaults to DefaultStores.
	Stores int

	// SubscriberBuffer is how many actions a subscriber may lag behind before it gets a gap. Defaults to DefaultSubscriberBuffer.
	SubscriberBuffer int

	// TrapRate is how many traps per second a module may cause before the stores that trapped lately are refused as trapping. Defaults to DefaultTrapRate.
	TrapRate float64
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	fill := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	fill(&c.QueueDepth, DefaultQueueDepth)
	fill(&c.TrapLimit, DefaultTrapLimit)
	fill(&c.CascadeLimit, DefaultCascadeLimit)
	fill(&c.MaxDeadLetters, DefaultMaxDeadLetters)
	fill(&c.HostConcurrency, DefaultHostConcurrency)
	fill(&c.TenantConcurrency, DefaultTenantConcurrency)
	fill(&c.TailBytes, DefaultTailBytes)
	fill(&c.Residents, DefaultResidents)
	fill(&c.Stores, DefaultStores)
	fill(&c.Shards, runtime.GOMAXPROCS(0))
	fill(&c.SubscriberBuffer, DefaultSubscriberBuffer)
	fill(&c.History, DefaultHistory)
	if c.RebuildFuel == 0 {
		c.RebuildFuel = DefaultRebuildFuel
	}
	if c.KeyActions == 0 {
		c.KeyActions = DefaultKeyActions
	}
	c.KeyAge = cmp.Or(c.KeyAge, DefaultKeyAge)
	if c.TrapRate == 0 {
		c.TrapRate = DefaultTrapRate
	}
	return c
}

// Validate reports all that is wrong with the config.
func (c Config) Validate() error {
	var faults []error
	for _, f := range []struct {
		name  string
		value int
		most  int
	}{
		{"QueueDepth", c.QueueDepth, 1 << 20},
		{"TrapLimit", c.TrapLimit, 1 << 20},
		{"CascadeLimit", c.CascadeLimit, 1 << 20},
		{"MaxDeadLetters", c.MaxDeadLetters, 1 << 30},
		{"HostConcurrency", c.HostConcurrency, 1 << 20},
		{"TenantConcurrency", c.TenantConcurrency, 1 << 20},
		{"TailBytes", c.TailBytes, 1 << 30},
		{"Residents", c.Residents, 1 << 24},
		{"Shards", c.Shards, 1024},
		{"Stores", c.Stores, 1 << 24},
		{"SubscriberBuffer", c.SubscriberBuffer, 1 << 20},
	} {
		if f.value < 0 || f.value > f.most {
			faults = append(faults, fmt.Errorf("%s is %d, want 0 (the default) to %d", f.name, f.value, f.most))
		}
	}
	if c.TrapRate < 0 {
		faults = append(faults, fmt.Errorf("TrapRate is %g, want 0 (the default) or more", c.TrapRate))
	}
	if c.KeyAge < 0 {
		faults = append(faults, fmt.Errorf("KeyAge is %v, want 0 (the default) or more", c.KeyAge))
	}
	if c.History != 0 && c.Journal != nil {
		faults = append(faults, errors.New("History is for the memory journal, and Journal is set"))
	}
	return errors.Join(faults...)
}

// String is what is in force, a setting a line.
func (c Config) String() string {
	d := c.withDefaults()
	var b strings.Builder
	for _, f := range []struct {
		name  string
		value any
	}{
		{"CacheDir", d.CacheDir}, {"CascadeLimit", d.CascadeLimit}, {"HaltOnCommandTrap", d.HaltOnCommandTrap}, {"History", d.History}, {"HostConcurrency", d.HostConcurrency}, {"KeyActions", d.KeyActions}, {"KeyAge", d.KeyAge}, {"MaxDeadLetters", d.MaxDeadLetters}, {"QueueDepth", d.QueueDepth},
		{"RebuildFuel", d.RebuildFuel}, {"ReserveBytes", d.ReserveBytes}, {"Residents", d.Residents}, {"Shards", d.Shards}, {"Stores", d.Stores}, {"SubscriberBuffer", d.SubscriberBuffer},
		{"TailBytes", d.TailBytes}, {"TenantConcurrency", d.TenantConcurrency}, {"TrapLimit", d.TrapLimit}, {"TrapRate", d.TrapRate},
	} {
		fmt.Fprintf(&b, "%s=%v\n", f.name, f.value)
	}
	return b.String()
}

// DefaultShutdownTimeout is how long the command line waits for a shutdown.
const DefaultShutdownTimeout = 30 * time.Second
