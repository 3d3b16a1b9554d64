package meter

import (
	"fmt"
	"math"
)

// memoryPages is the number of pages a 32-bit memory can have at all.
const memoryPages = 1 << 16

type table struct {
	ref      byte
	min, max uint32
	hasMax   bool
}

func (s *source) readTables(r *reader) {
	n := r.count("tables", 3)
	if !r.bound("module", "tables", n, s.limits.Tables) {
		return
	}
	for i := 0; i < n && r.err == nil; i++ {
		where := fmt.Sprintf("table %d", i)
		if !r.done() && r.module[r.pos] == 0x40 {
			r.refuse(&FeatureError{Feature: "typed references", Where: where})
			return
		}
		t := table{ref: r.refType(where)}
		r.readLimits(where, &t)
		s.tables = append(s.tables, t)
	}
	s.growTables(r)
}

// growTables bounds the entries of all tables together and gives each table without a maximum an equal share of what is left.
func (s *source) growTables(r *reader) {
	var total uint64
	open := 0
	for _, t := range s.tables {
		if t.hasMax {
			total += uint64(t.max)
		} else {
			total += uint64(t.min)
			open++
		}
	}
	limit := uint64(s.limits.TableEntries)
	if total > limit {
		r.refuse(&BoundError{What: "table entries", Where: "module", Have: total, Limit: limit})
		return
	}
	for i := range s.tables {
		if t := &s.tables[i]; !t.hasMax {
			t.max, t.hasMax = uint32(min(uint64(t.min)+(limit-total)/uint64(open), math.MaxUint32)), true
		}
	}
}

func (r *reader) readLimits(where string, t *table) {
	at := r.pos
	flags := r.byte()
	switch {
	case r.err != nil:
		return
	case flags&^3 == 0 && flags&2 != 0:
		r.refuse(&FeatureError{Feature: "threads", Where: where})
		return
	case flags&^7 == 0 && flags&4 != 0:
		r.refuse(&FeatureError{Feature: "64-bit addresses", Where: where})
		return
	case flags > 1:
		r.fail(at, "%s: limits flag 0x%02x", where, flags)
		return
	}
	t.min = r.u32()
	if flags == 1 {
		t.hasMax = true
		if t.max = r.u32(); r.err == nil && t.max < t.min {
			r.fail(at, "%s: minimum %d above maximum %d", where, t.min, t.max)
		}
	}
}

func (s *source) readMemory(r *reader) {
	n := r.count("memories", 2)
	if !r.bound("module", "memories", n, 1) || n == 0 {
		return
	}
	var m table
	at := r.pos
	r.readLimits("memory", &m)
	if r.err != nil {
		return
	}
	if m.min > memoryPages || m.hasMax && m.max > memoryPages {
		r.fail(at, "memory: more than 4 GiB")
		return
	}
	limit := s.limits.MemoryPages
	if !r.bound("memory", "pages at start", int(m.min), int(limit)) {
		return
	}
	if !m.hasMax || m.max > limit {
		m.max, m.hasMax = limit, true
	}
	s.memory = &m
}
