package shard

import (
	"context"
	"sort"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
)

// Metrics are a store's counts since it was loaded.
type Metrics struct {
	Accepted, Refused uint64
	Reducing          time.Duration // in total, of all of them

	Attempts, Failures uint64        // at its effects
	Attempting         time.Duration // in total, of all of them
	Letters            int
}

// Metrics returns the counts of a store. Errors are *abi.Error.
func (s *Shard) Metrics(ctx context.Context, key string) (Metrics, error) {
	st, _, err := s.enter(ctx, key)
	if err != nil {
		return Metrics{}, err
	}
	defer s.leave(st)
	if !st.exists {
		return Metrics{}, s.notFound(key)
	}
	m := st.counts
	m.Attempts, m.Failures, m.Attempting = st.attempts.Load(), st.failures.Load(), time.Duration(st.attempting.Load())
	m.Letters = st.ledger.Letters()
	return m, nil
}

// Info describes a store.
type Info struct {
	Key      string
	Life     journal.Incarnation
	Seq      uint64 // durable
	Revision string // that made its last state
	Halted   *abi.Error
	Resident bool
}

// Info describes a store. Errors are *abi.Error; CodeNotFound for a store that has no actions.
func (s *Shard) Info(ctx context.Context, key string) (Info, error) {
	st, _, err := s.enter(ctx, key)
	if err != nil {
		return Info{}, err
	}
	if !st.exists {
		pos := st.pos
		s.leave(st)
		return Info{}, s.answer(ctx, pos, s.notFound(key))
	}
	defer s.leave(st)
	return s.info(st), nil
}

func (s *Shard) info(st *store) Info {
	i := Info{Key: st.key, Life: st.life, Seq: st.durable.Load(), Revision: s.revisionID(st.revision), Resident: st.cell.Set() != nil}
	if err, ok := st.halted().(*abi.Error); ok {
		i.Halted = err
	}
	return i
}

// Halts describes the stores that are halted, in the order of their keys; of those that are not in memory no more than the key, the life and the halt.
func (s *Shard) Halts() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	var halted []Info
	for _, st := range s.dir {
		if st.exists && !st.stale && st.halted() != nil {
			halted = append(halted, s.info(st))
		}
	}
	for key, row := range s.asleep {
		if err := s.stopped(&row); err != nil {
			halted = append(halted, Info{Key: key, Life: row.Life, Halted: err})
		}
	}
	sort.Slice(halted, func(i, j int) bool { return halted[i].Key < halted[j].Key })
	return halted
}

// Err is why the shard's journal takes nothing any more, for good, or nil.
func (s *Shard) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recover()
}

// Belonging counts the stores in memory that belong to a revision.
func (s *Shard) Belonging(revision uint64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, st := range s.dir {
		if st.exists && st.revision == revision {
			n++
		}
	}
	return n
}

// Stats adds the shard's gauges to m.
func (s *Shard) Stats(m *observe.ModuleStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.Shards++
	for _, st := range s.dir {
		m.QueueDepth += int64(st.waiting.Load())
		m.WatermarkLag += st.reduced.Load() - min(st.reduced.Load(), st.durable.Load())
		if f := st.feed.Load(); f != nil {
			m.Subscribers += f.Cursors()
		}
		if st.exists {
			m.Stores++
			if !st.stale && st.halted() != nil {
				m.Halted++
			}
		}
	}
	for _, row := range s.asleep {
		if s.stopped(&row) != nil {
			m.Halted++
		}
	}
	for _, g := range append([]*generation{s.active}, s.draining...) {
		if g.set != nil {
			m.Residents += g.set.Len()
			m.GuestMemoryBytes += int64(g.instance.MemoryBytes())
		}
	}
}
