package shard

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

// Defaults of Config.
const (
	DefaultQueueDepth  = 1024
	DefaultResidents   = 131_072
	DefaultStores      = 262_144
	DefaultTailBytes   = 64 << 10
	DefaultRebuildFuel = 1_000_000_000
	DefaultBuffer      = 1024
	DefaultTrapLimit   = 3
	DefaultMaxLetters  = 10_000
	DefaultCascade     = 100
	DefaultKeyActions  = 100_000
	DefaultKeyAge      = 24 * time.Hour
)

// Config of the shards of one module. Zero fields are the defaults.
type Config struct {
	Module  journal.ModuleID
	Backend journal.Backend
	Traps   *Traps // of the module, shared by its shards; nil = not limited

	// Revision opens an earlier revision of the module, for a store whose tail it made.
	Revision func(ctx context.Context, number uint64) (*Revision, error)

	// RevisionID names a revision that is not open.
	RevisionID func(number uint64) string

	// Moved is told what effects are to be started and stopped, once that is durable. It must be quick and must not call the shard. nil: nobody performs them.
	Moved func(journal.StoreID, journal.Incarnation, *ledger.Moves)

	// Traceparent is the traceparent of the span in a context, empty when there is none; see observe.Observer. nil: nobody traces.
	Traceparent func(context.Context) string

	// Full is why no commands are taken for want of room, until there is some; effects still finish. nil: there is room, always.
	Full *atomic.Pointer[abi.Error]

	// Letters is how many dead letters the module has, kept up to date from what it is when the shards begin. nil: nobody asks.
	Letters *atomic.Int64

	MaxLetters        int           // dead letters that the module may have; beyond, none are kept
	TrapLimit         int           // traps of the reducer on the feedback of one leaf, with which the store halts
	CascadeLimit      int           // actions that may cause one another, one after another
	QueueDepth        int           // commands that may wait for one store, and its actions that may wait for the journal
	Residents         int           // states that may sit in one instance
	Stores            int           // stores that may be in memory; idle ones beyond leave for the journal
	TailBytes         int           // size of the records after which a store is encoded anew; 4 times its last encoded size if that is more
	RebuildFuel       uint64        // fuel of the records after which a store is encoded anew
	Buffer            int           // actions that a subscriber may lag behind before it gets a gap
	KeyActions        uint64        // idempotency keys are remembered for so many actions of their store,
	KeyAge            time.Duration // and for so long, whichever ends first
	ObserveCommits    bool          // tell hooks of each batch: of no interest in memory, where each action is one
	HaltOnCommandTrap bool          // a command that traps halts its store
}

func (c Config) withDefaults() Config {
	fill := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	fill(&c.QueueDepth, DefaultQueueDepth)
	fill(&c.Residents, DefaultResidents)
	fill(&c.Stores, DefaultStores)
	fill(&c.TailBytes, DefaultTailBytes)
	fill(&c.Buffer, DefaultBuffer)
	fill(&c.TrapLimit, DefaultTrapLimit)
	fill(&c.MaxLetters, DefaultMaxLetters)
	fill(&c.CascadeLimit, DefaultCascade)
	if c.RebuildFuel == 0 {
		c.RebuildFuel = DefaultRebuildFuel
	}
	if c.KeyActions == 0 {
		c.KeyActions = DefaultKeyActions
	}
	if c.KeyAge == 0 {
		c.KeyAge = DefaultKeyAge
	}
	return c
}
