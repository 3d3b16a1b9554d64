package sdk

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/crhost/crhost/abi"
)

// Env is what a reducer may know besides the state and the action. Everything in it is part of the action's record, so that the same
// call gives the same answer whenever it is replayed. It is valid until the reducer returns.
type Env struct {
	frame  []byte // checked
	config any

	read   reads // what of the frame has been read
	meta   abi.Meta
	pcg    rand.PCG
	random *rand.Rand // reads pcg
}

// reads are the parts of a frame that are read at their first use: most actions never ask for them.
type reads uint8

const (
	readMeta reads = 1 << iota
	readSeed
)

func (env *Env) header() *abi.ReduceHeader { return (*abi.ReduceHeader)(env.frame) }

// Now is the time of the action, UTC, to the nanosecond. It never goes back within a store. Use it instead of time.Now.
func (env *Env) Now() time.Time { return time.Unix(0, env.header().Now()).UTC() }

// Seq is the number that the action has in its store if it is accepted, from 1.
func (env *Env) Seq() uint64 { return env.header().Seq() }

// Rand is a source of random numbers, seeded anew for each action and recorded with it. Use it instead of the functions of math/rand,
// whose state is the process's. It is not for secrets: who reads the record can tell the numbers.
func (env *Env) Rand() *rand.Rand {
	if env.random == nil {
		env.random = rand.New(&env.pcg)
	}
	if env.read&readSeed == 0 {
		seed := env.header().Seed()
		env.pcg.Seed(binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:]))
		env.read |= readSeed
	}
	return env.random
}

// Store is the address of the store.
func (env *Env) Store() abi.Address {
	address, err := abi.ParseAddress(env.loadMeta().Store)
	if err != nil {
		panic("sdk: the host sent the store " + err.Error())
	}
	return address
}

// Correlation is the id that everything shares which one outside action caused.
func (env *Env) Correlation() string { return env.loadMeta().Correlation }

// Causation names the effect or action that caused this one; empty for a command.
func (env *Env) Causation() string { return env.loadMeta().Causation }

// Drive is the number of the effect's run that this feedback comes from: 1 at first, more after redrives; 0 for a command.
func (env *Env) Drive() uint64 { return env.loadMeta().Drive }

// Principal names who sent the action; empty when unknown.
func (env *Env) Principal() string { return env.loadMeta().Principal }

func (env *Env) loadMeta() *abi.Meta {
	if env.read&readMeta == 0 {
		_, _, meta := env.header().Sections(env.frame)
		if err := env.meta.Decode(meta); err != nil {
			panic("sdk: the host sent a bad meta section: " + err.Error())
		}
		env.read |= readMeta
	}
	return &env.meta
}
