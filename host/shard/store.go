package shard

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/shard/feed"
	"github.com/crhost/crhost/host/shard/resident"
)

// State is an encoded state.
type State struct {
	Seq      uint64
	Revision string // that made it
	Body     []byte // msgpack; shared and immutable
}

// store is one keyed state machine, during one life.
//
// Invariants:
//
//	T1  cell.Seq() is the seq of the last accepted action, durable or pending; reduced follows it, durable is what the journal has.
//	T2  revision is the number of the revision that made the cell's tail or, when that is empty, that the base belongs to.
//	T3  once gone, it is in no directory and nothing is enqueued for it.
//	T4  while stale, only the journal knows the state: restore comes before any other use.
type store struct {
	shard   *Shard
	key     string
	life    journal.Incarnation
	meta    []byte // the encoded meta up to and including the address, in room if that is large enough
	room    [56]byte
	waiting atomic.Int32

	reduced  atomic.Uint64
	durable  atomic.Uint64
	snapshot atomic.Pointer[State] // newest encoded state, if that is as of reduced
	feed     atomic.Pointer[feed.Feed]

	// Attempts at its effects.
	attempts, failures atomic.Uint64
	attempting         atomic.Int64 // in total, ns

	// Guarded by Shard.mu.
	counts   Metrics
	place    journal.Place // the backend's
	cell     resident.Cell
	ledger   *ledger.Ledger // as of the last accepted action; nil when it has nothing to do
	keyed    keyed
	settled  *State // the newest state known to be encoded and durable, when that is asked for; see Stale
	revision uint64
	schema   uint32           // of the states that revision makes
	now      int64            // of the last accepted action, unix ns
	pos      journal.Position // of the last thing enqueued that an answer can stand on
	saved    journal.Position // of the last checkpoint enqueued: it adds nothing to what is known, so that nobody's answer stands on it
	row      journal.Store
	exists   bool // it has an accepted action, durable or pending
	gone     bool
	shut     bool // it takes no commands until it is resumed
	skipping bool // the next feedback that traps becomes a dead letter
	stale    bool
	since    int    // bytes of records since the last checkpoint
	fuel     uint64 // of the records of the tail
	trapped  time.Time
}

func (s *Shard) newStore(key string) *store {
	st := &store{shard: s, key: key}
	st.cell.Key = key
	_, _ = rand.Read(st.life[:]) // never fails
	st.meta = pack.AppendString(pack.AppendArrayLen(st.room[:0], 5), s.id(key).String())
	return st
}

func (s *Shard) id(key string) journal.StoreID {
	return journal.StoreID{Tenant: s.config.Module.Tenant, Module: s.config.Module.Module, Key: key}
}

// Durable publishes an action; see journal.Owner.
func (st *store) Durable(seq uint64) {
	st.durable.Store(seq)
	f := st.feed.Load()
	if f == nil || !f.Listened() {
		return
	}
	e := journal.Entry{Seq: seq} // what came in the batch may have left history in it, too
	for found, err := range st.shard.config.Backend.Records(st.life, seq, seq) {
		if err == nil {
			e = found
		}
	}
	f.Publish(e)
}

// Lost takes an action back; see journal.Owner.
func (st *store) Lost(uint64) { st.forget() }

// forget gives up what is known of the state in favour of what the journal has.
//
// REQUIRES: Shard.mu is held.
func (st *store) forget() {
	st.cell.Drop()
	st.settle(st.snapshot.Swap(nil))
	st.stale, st.pos = true, 0
	st.keyed.lose()
}

// settle keeps a state for those who take a stale one, if it is durable and newer than what they get now: what is stale must not go back in time.
//
// REQUIRES: Shard.mu is held.
func (st *store) settle(snap *State) {
	if snap != nil && snap.Seq <= st.durable.Load() && (st.settled == nil || snap.Seq > st.settled.Seq) {
		st.settled = snap
	}
}

// restore reads the store from the journal: its row, its checkpoint and the records after it.
//
// REQUIRES: Shard.mu is held, or nobody else knows the store. Errors are *abi.Error.
func (st *store) restore() error {
	s := st.shard
	row, err := journal.ReadStore(s.config.Backend, s.id(st.key))
	switch {
	case errors.Is(err, journal.ErrNotFound):
		st.become(journal.Store{Life: st.life}, false)
		st.ledger = nil
		st.set(resident.Base{}, nil, &journal.Record{})
		return nil
	case err != nil:
		return st.unreadable(err)
	}
	if st.life != row.Life { // else subscribers may be reading it
		st.life, st.place = row.Life, journal.Place{}
	}
	base, made := resident.Base{}, journal.Record{}
	switch c, err := journal.ReadCheckpoint(s.config.Backend, row.Life); {
	case err == nil:
		base, made = resident.Base{Seq: c.Seq, State: c.State}, journal.Record{Revision: c.Revision, Schema: c.Schema, Time: c.Time}
	case !errors.Is(err, journal.ErrNotFound):
		return st.unreadable(err)
	}
	var tail [][]byte
	var fuel uint64
	next := base.Seq + 1
	for e, err := range s.config.Backend.Records(row.Life, next, math.MaxUint64) {
		if err != nil {
			return st.unreadable(err)
		}
		var r journal.Record
		if err := r.Decode(row.Life, e.Seq, e.Bytes); err != nil {
			return st.unreadable(err)
		}
		if e.Seq != next {
			return st.unreadable(&journal.CorruptError{What: "log", Life: row.Life, Seq: next, Reason: fmt.Sprintf("followed by seq %d", e.Seq)})
		}
		if r.Kind == journal.KindAdopt { // its state is as good as a checkpoint, and a tail never crosses a revision
			base, tail, fuel = resident.Base{Seq: e.Seq - 1, State: r.State}, nil, 0
		}
		tail = append(tail, e.Bytes)
		made, next = r, next+1
		fuel += r.Fuel
	}
	book, err := ledger.Load(s.config.Backend, s.id(st.key), row.Life)
	if err != nil {
		return st.unreadable(err)
	}
	st.become(row, true)
	st.set(base, tail, &made)
	st.ledger = book
	st.fuel = fuel
	return nil
}

func (st *store) unreadable(err error) error {
	return &abi.Error{Code: abi.CodeInternal, Text: "read store " + st.shard.id(st.key).String() + " from the journal", Err: err}
}

func (st *store) become(row journal.Store, exists bool) {
	st.row, st.exists, st.stale = row, exists, false
}

// set makes base and tail the state, as it is durable; made says by what revision and when.
func (st *store) set(base resident.Base, tail [][]byte, made *journal.Record) {
	st.cell.Restore(base, tail)
	st.revision, st.schema, st.now = made.Revision, made.Schema, made.Time
	st.fuel, st.since = 0, st.cell.TailBytes()
	st.durable.Store(st.cell.Seq())
	st.reduced.Store(st.cell.Seq())
	st.snapshot.Store(nil)
}

// halted says why the store takes no actions, or nil.
//
// REQUIRES: Shard.mu is held.
func (st *store) halted() error {
	if st.shut {
		return &abi.Error{Code: abi.CodeShuttingDown, Text: "the store was shut down"}
	}
	if err := st.shard.stopped(&st.row); err != nil { // and not an error that holds none
		return err
	}
	return nil
}
