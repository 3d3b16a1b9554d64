// Package memory keeps events in memory: it survives nothing, and is otherwise held to the same rules as a disk.
//
// It grows with what is appended, about 250 bytes an event and its data, and never lets anything go: ids have to be remembered, and projections
// may be rebuilt from position 0.
//
// # Concurrency
//
// One lock orders appends. Readers copy references out under its shared side and hand them over without it.
//
// # When it fails
//
// Only after Close, with eventstore.ErrClosed.
package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/crhost/crhost/effects/eventstore"
)

// Store is an event store in memory.
//
// Invariants, with mu held:
//  1. The event at position p is number p-1 of log, and has that position.
//  2. streams[s].positions[v-1] is the position of version v of s.
//  3. ids has the position of every event, under its id.
type Store struct {
	mu      sync.RWMutex // guards what follows; nothing waits while holding it
	log     log
	streams map[string]*stream
	ids     map[string]uint64
	wake    chan struct{} // closed by the next append or Close; nil while nobody waits
	closed  bool
}

type stream struct {
	positions []uint64
	snapshot  eventstore.Snapshot // version 0: none
}

var _ eventstore.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{streams: make(map[string]*stream), ids: make(map[string]uint64)}
}

// Append adds events to a stream; see eventstore.Store.
func (s *Store) Append(ctx context.Context, name string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
	if err := context.Cause(ctx); err != nil {
		return eventstore.Appended{}, err
	}
	if err := eventstore.Check(name, expect, events); err != nil {
		return eventstore.Appended{}, err
	}
	added := keep(name, events) // before the lock: copying is most of the work
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.Appended{}, eventstore.ErrClosed
	}
	if known, err := s.known(name, events); known.FirstVersion != 0 || err != nil {
		return known, err
	}
	have := uint64(0)
	if st := s.streams[name]; st != nil {
		have = uint64(len(st.positions))
	}
	if expect != eventstore.Any && have != uint64(expect) {
		return eventstore.Appended{}, &eventstore.ConflictError{Stream: name, Want: expect, Have: have}
	}
	st := s.stream(name)
	first := s.log.len + 1
	for i := range added {
		e := &added[i]
		e.Version, e.Position = have+uint64(i)+1, first+uint64(i)
		s.ids[e.ID] = e.Position
		st.positions = append(st.positions, e.Position)
		s.log.append(e)
	}
	s.rouse()
	n := uint64(len(added))
	return eventstore.Appended{FirstVersion: have + 1, LastVersion: have + n, FirstPosition: first, LastPosition: first + n - 1}, nil
}

// known looks for an append that was made before. It is the zero value when none of the events is in the store.
//
// REQUIRES: mu is held.
func (s *Store) known(name string, events []eventstore.Event) (eventstore.Appended, error) {
	first, ok := s.ids[events[0].ID]
	if !ok {
		for i := range events[1:] {
			if _, ok := s.ids[events[1+i].ID]; ok {
				return eventstore.Appended{}, &eventstore.ReusedError{Stream: name, ID: events[1+i].ID}
			}
		}
		return eventstore.Appended{}, nil
	}
	start := s.log.at(first)
	found := eventstore.Appended{FirstVersion: start.Version, FirstPosition: first}
	for i := range events {
		position, ok := s.ids[events[i].ID]
		if ok {
			e := s.log.at(position)
			ok = e.Stream == name && e.Version == start.Version+uint64(i)
			found.LastVersion, found.LastPosition = e.Version, position
		}
		if !ok {
			return eventstore.Appended{}, &eventstore.ReusedError{Stream: name, ID: events[0].ID}
		}
	}
	return found, nil
}

// keep copies events, with all their bytes in one piece.
func keep(name string, events []eventstore.Event) []eventstore.Event {
	size := 0
	for i := range events {
		size += len(events[i].Data) + len(events[i].Metadata)
	}
	kept, bytes := make([]eventstore.Event, len(events)), make([]byte, 0, size)
	take := func(b []byte) []byte {
		if len(b) == 0 {
			return nil
		}
		from := len(bytes)
		bytes = append(bytes, b...)
		return bytes[from:len(bytes):len(bytes)]
	}
	for i, e := range events {
		kept[i] = e
		kept[i].Stream = name
		kept[i].Data, kept[i].Metadata = take(e.Data), take(e.Metadata)
	}
	return kept
}

// Load returns events of a stream; see eventstore.Store.
func (s *Store) Load(ctx context.Context, name string, from uint64, limit int) ([]eventstore.Event, error) {
	if err := eventstore.CheckStream(name); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, limit); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	st := s.streams[name]
	from = max(from, 1)
	if st == nil || from > uint64(len(st.positions)) {
		return nil, nil
	}
	positions := st.positions[from-1:]
	events := make([]eventstore.Event, min(limit, len(positions)))
	for i := range events {
		events[i] = *s.log.at(positions[i])
	}
	return events, nil
}

// All returns events of all streams; see eventstore.Store.
func (s *Store) All(ctx context.Context, after uint64, limit int) ([]eventstore.Event, error) {
	if err := s.begin(ctx, limit); err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	if after >= s.log.len {
		return nil, nil
	}
	events := make([]eventstore.Event, min(uint64(limit), s.log.len-after))
	for i := range events {
		events[i] = *s.log.at(after + uint64(i) + 1)
	}
	return events, nil
}

// begin checks what all readers check. Without an error mu is held shared.
func (s *Store) begin(ctx context.Context, limit int) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if limit < 1 {
		return &eventstore.InvalidError{What: "limit", Reason: fmt.Sprintf("%d is below 1", limit)}
	}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return eventstore.ErrClosed
	}
	return nil
}

// Wait waits for an event behind a position; see eventstore.Store.
func (s *Store) Wait(ctx context.Context, after uint64) error {
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		s.mu.Lock()
		closed, there := s.closed, s.log.len > after
		if !closed && !there && s.wake == nil {
			s.wake = make(chan struct{})
		}
		wake := s.wake
		s.mu.Unlock()
		switch {
		case closed:
			return eventstore.ErrClosed
		case there:
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
		}
	}
}

// rouse wakes who waits.
//
// REQUIRES: mu is held.
func (s *Store) rouse() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

// Head returns the newest position; see eventstore.Store.
func (s *Store) Head(ctx context.Context) (uint64, error) {
	if err := s.begin(ctx, 1); err != nil {
		return 0, err
	}
	defer s.mu.RUnlock()
	return s.log.len, nil
}

// SaveSnapshot keeps a snapshot; see eventstore.Store.
func (s *Store) SaveSnapshot(ctx context.Context, name string, snapshot eventstore.Snapshot) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := eventstore.CheckSnapshot(name, snapshot); err != nil {
		return err
	}
	snapshot.Data = slices.Clone(snapshot.Data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	st := s.streams[name]
	if st == nil || snapshot.Version > uint64(len(st.positions)) {
		return &eventstore.InvalidError{What: "snapshot", Reason: fmt.Sprintf("of version %d, which stream %s does not have", snapshot.Version, name)}
	}
	if snapshot.Version > st.snapshot.Version {
		st.snapshot = snapshot
	}
	return nil
}

// LoadSnapshot returns a snapshot; see eventstore.Store.
func (s *Store) LoadSnapshot(ctx context.Context, name string) (eventstore.Snapshot, error) {
	if err := eventstore.CheckStream(name); err != nil {
		return eventstore.Snapshot{}, err
	}
	if err := s.begin(ctx, 1); err != nil {
		return eventstore.Snapshot{}, err
	}
	defer s.mu.RUnlock()
	if st := s.streams[name]; st != nil && st.snapshot.Version > 0 {
		return st.snapshot, nil
	}
	return eventstore.Snapshot{}, eventstore.ErrNotFound
}

// Close ends the store; see eventstore.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.rouse()
	return nil
}

// stream returns a stream, a new one if there is none.
//
// REQUIRES: mu is held.
func (s *Store) stream(name string) *stream {
	st := s.streams[name]
	if st == nil {
		st = new(stream)
		s.streams[name] = st
	}
	return st
}
