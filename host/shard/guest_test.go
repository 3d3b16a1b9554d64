package shard_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The actions of the guest of these tests. Its state is one integer.
var actionTypes = []string{
	"add",       // adds 1
	"reject",    // changes the state, then rejects
	"clean",     // rejects, CLEAN, having changed nothing
	"lie",       // rejects, CLEAN, having changed the state
	"trap",      // changes the state, then traps
	"junk",      // answers effects that are none
	"emit",      // asks for an effect that the manifest does not declare
	"huge",      // hints at a state over the limit
	"unencoded", // makes a state that cannot be encoded
	"forget",    // the guest loses the slot before the action, once
	"random",    // adds a number made of the seed and of now
	"internal",  // not a command
}

var errTrap = errors.New("trap")

// guest is a guest natively.
type guest struct {
	world    *world
	slots    map[uint32]*slot
	last     uint32 // slot, of a guest that keeps no state
	fuel     int64
	poisoned bool
	forgot   bool
	out      []byte
}

type slot struct {
	ticket  uint64
	value   int64
	unreads bool
}

// world is what the guests of one test share, and how the test reaches them.
type world struct {
	residency abi.Residency
	made      atomic.Int64 // instances
	open      atomic.Int64 // instances not closed
	states    atomic.Int64 // calls of State
	reduces   atomic.Int64
	memory    atomic.Int64 // size to report; 0 = small
	refuse    atomic.Bool  // answer BAD_STATE to any state
	diverge   atomic.Bool  // emit other effects than before
}

func (w *world) manifest() *abi.Manifest {
	m := &abi.Manifest{Name: "test", Schema: 1, Residency: w.residency}
	for _, typ := range actionTypes {
		kind := abi.Command
		if typ == "internal" {
			kind = abi.Internal
		}
		m.Actions = append(m.Actions, abi.Action{Type: typ, Kind: kind})
	}
	return m
}

func (w *world) revision(number uint64, hooks *observe.ModuleHooks) *shard.Revision {
	return shard.NewRevision(number, fmt.Sprintf("r%d", number), w.manifest(), hooks, func() (shard.Guest, error) {
		w.made.Add(1)
		w.open.Add(1)
		return &guest{world: w, slots: make(map[uint32]*slot)}, nil
	})
}

func (g *guest) Reduce(in *abi.ReduceInput, fuel int64, out *abi.Output) error {
	if g.poisoned {
		panic("a poisoned instance was called")
	}
	g.world.reduces.Add(1)
	g.fuel = 100
	*out = abi.Output{}
	typ := actionTypes[in.Action]
	if typ == "forget" && !g.forgot {
		g.forgot = true
		delete(g.slots, in.Slot)
	}
	s := g.slots[in.Slot]
	switch in.Mode {
	case abi.Resident:
		if g.world.residency == abi.ResidencyNone {
			panic("RESIDENT to a guest without residency")
		}
		if s == nil || s.ticket != in.Ticket {
			out.Status = abi.NoSuchSlot
			return nil
		}
	case abi.Fresh:
		s = &slot{ticket: in.Ticket}
	case abi.WithState:
		if g.world.refuse.Load() {
			out.Status, out.Text = abi.BadState, []byte("refused")
			return nil
		}
		s = &slot{ticket: in.Ticket, value: int64(binary.BigEndian.Uint64(in.State[1:]))}
	}
	g.slots[in.Slot], g.last = s, in.Slot
	before := s.value
	switch typ {
	case "add", "forget":
		s.value++
	case "reject", "lie", "trap":
		s.value += 1000
	case "unencoded":
		s.value++
		s.unreads = true
	case "random":
		s.value += int64(binary.LittleEndian.Uint64(in.Seed[:])) ^ in.Now
	}
	switch typ {
	case "reject":
		out.Status, out.Code, out.Text = abi.Rejected, []byte("no"), []byte("said no")
	case "clean", "lie":
		out.Status, out.Flags, out.Code = abi.Rejected, abi.Clean, []byte("no")
	case "trap":
		g.poisoned = true
		return errTrap
	case "junk":
		out.Body = []byte{0xc1}
	case "emit":
		out.Body = abi.AppendEffects(nil, []abi.Effect{{Kind: abi.KindCall, Target: "http:example.com"}})
	case "huge":
		out.SizeHint = 1 << 40
	}
	if out.Status == abi.OK && s.value != before && typ != "emit" && typ != "junk" {
		out.Flags |= abi.StateChanged
		g.out = abi.AppendEffects(g.out[:0], []abi.Effect{{Kind: abi.KindNone}})
		if g.world.diverge.Load() {
			g.out = abi.AppendEffects(g.out[:0], []abi.Effect{{Kind: abi.KindNone}, {Kind: abi.KindNone}})
		}
		out.Body = g.out
	}
	return nil
}

func (g *guest) State(n uint32, ticket uint64) ([]byte, error) {
	g.world.states.Add(1)
	s := g.slots[n]
	switch {
	case g.poisoned:
		panic("a poisoned instance was called")
	case s == nil || s.ticket != ticket:
		return nil, errors.New("no such slot")
	case g.world.residency == abi.ResidencyNone && g.last != n:
		return nil, errors.New("not the state reduced last")
	case s.unreads:
		g.poisoned = true
		return nil, errTrap
	}
	g.out = binary.BigEndian.AppendUint64(append(g.out[:0], 0xd3), uint64(s.value))
	return g.out, nil
}

func (g *guest) Evict(n uint32, ticket uint64) error {
	if s := g.slots[n]; s != nil && s.ticket == ticket {
		delete(g.slots, n)
	}
	return nil
}

func (g *guest) Poisoned() bool          { return g.poisoned }
func (g *guest) Housekeep() error        { return nil }
func (g *guest) Fuel() int64             { return g.fuel }
func (g *guest) MemoryLimit() int        { return 1000 }
func (g *guest) OnLog(func(int, string)) {}
func (g *guest) MemoryBytes() int        { return int(g.world.memory.Load()) }
func (g *guest) Close() error            { g.world.open.Add(-1); return nil }

// fixture is a shard on a memory journal.
type fixture struct {
	*shard.Shard
	world   *world
	backend journal.Backend
	config  shard.Config
	opened  atomic.Int64 // earlier revisions
}

func newFixture(t *testing.T, backend *memory.Backend, config shard.Config) *fixture {
	f := &fixture{world: &world{residency: abi.ResidencySlots}, backend: backend}
	t.Cleanup(func() { require.Zero(t, f.world.open.Load(), "instances that were not closed") })
	config.Module, config.Backend = journal.ModuleID{Tenant: "default", Module: "test"}, backend
	f.config = config
	f.start(t, 1, nil)
	t.Cleanup(func() {
		_ = f.Close(context.Background(), &abi.Error{Code: abi.CodeShuttingDown}) // fails where the test has broken the journal
	})
	return f
}

// start makes another shard on the journal, as after a restart.
func (f *fixture) start(t *testing.T, revision uint64, hooks *observe.ModuleHooks) {
	r := f.world.revision(revision, hooks)
	f.config.RevisionID = func(number uint64) string { return fmt.Sprintf("r%d", number) }
	f.config.Revision = func(_ context.Context, number uint64) (*shard.Revision, error) {
		f.opened.Add(1)
		old := f.world.revision(number, nil)
		t.Cleanup(old.Retire)
		return old, nil
	}
	f.Shard = shard.New(0, f.config, r)
	t.Cleanup(r.Retire)
}

func action(typ string) shard.Command {
	return shard.Command{Body: pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 1), "type"), typ)}
}

func (f *fixture) send(t *testing.T, key, typ string) uint64 {
	t.Helper()
	r, err := f.Send(context.Background(), key, action(typ))
	require.NoError(t, err)
	return r.Seq
}

func (f *fixture) refused(t *testing.T, key, typ string, code abi.Code) {
	t.Helper()
	_, err := f.Send(context.Background(), key, action(typ))
	require.ErrorIs(t, err, &abi.Error{Code: code})
}

// value reads the state.
func (f *fixture) value(t *testing.T, key string) (value int64, seq uint64) {
	t.Helper()
	s, err := f.State(context.Background(), key)
	require.NoError(t, err)
	return decode(s), s.Seq
}

func decode(s *shard.State) int64 { return int64(binary.BigEndian.Uint64(s.Body[1:])) }

func (f *fixture) requireValue(t *testing.T, key string, want int64) {
	t.Helper()
	got, _ := f.value(t, key)
	require.Equal(t, want, got)
}

// Send and State find the store anew each time, so that tests meet the directory too.
func (f *fixture) Send(ctx context.Context, key string, c shard.Command) (shard.Receipt, error) {
	return f.Shard.Send(ctx, &shard.Ref{Key: key}, c)
}

func (f *fixture) State(ctx context.Context, key string) (*shard.State, error) {
	return f.Shard.State(ctx, &shard.Ref{Key: key})
}
