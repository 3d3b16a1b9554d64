// Package memory keeps read models in memory: they survive nothing, and are built anew from the event store at the next start.
//
// # Concurrency
//
// One lock guards all read models. Updates write to an overlay of their own and take the lock to commit it, so that readers wait only for
// that; a list copies references out.
//
// # When it fails
//
// Only after Close, with projection.ErrClosed.
package memory

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/crhost/crhost/effects/projection"
)

// Store keeps read models in memory.
type Store struct {
	mu     sync.RWMutex // guards what follows; not held while an update writes
	models map[string]*model
	closed bool
}

type model struct {
	live, next *build // next is nil when there is none
	last       uint64 // the ID given last
}

type build struct {
	projection.Build
	rows table
}

var _ projection.Store = (*Store)(nil)

// New returns a store in which every read model is empty.
func New() *Store { return &Store{models: make(map[string]*model)} }

// Builds returns the builds of a read model; see projection.Store.
func (s *Store) Builds(ctx context.Context, name string) (projection.Builds, error) {
	m, err := s.lock(ctx, name)
	if err != nil {
		return projection.Builds{}, err
	}
	defer s.mu.Unlock()
	builds := projection.Builds{Live: m.live.Build}
	if m.next != nil {
		builds.Next = m.next.Build
	}
	return builds, nil
}

// Begin makes an empty build; see projection.Store.
func (s *Store) Begin(ctx context.Context, name string) (projection.Build, error) {
	m, err := s.lock(ctx, name)
	if err != nil {
		return projection.Build{}, err
	}
	defer s.mu.Unlock()
	m.last++
	m.next = &build{Build: projection.Build{ID: m.last}}
	return m.next.Build, nil
}

// Update commits rows and a checkpoint; see projection.Store.
func (s *Store) Update(ctx context.Context, name string, from projection.Build, to uint64, write func(projection.Tx) error) error {
	if to <= from.Checkpoint {
		return &projection.InvalidError{What: "checkpoint", Reason: fmt.Sprintf("%d is not beyond %d", to, from.Checkpoint)}
	}
	m, err := s.lock(ctx, name)
	if err != nil {
		return err
	}
	b := m.find(from)
	s.mu.Unlock()
	if b == nil {
		return projection.ErrMoved
	}
	t := &tx{store: s, build: b, writes: make(map[string][]byte)}
	if err := write(t); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return projection.ErrClosed
	case m.find(from) != b:
		return projection.ErrMoved
	}
	for key, value := range t.writes {
		if value == nil {
			b.rows.delete(key)
		} else {
			b.rows.set(key, value)
		}
	}
	b.Checkpoint = to
	return nil
}

// Switch makes the next build the live one; see projection.Store.
func (s *Store) Switch(ctx context.Context, name string, next projection.Build) error {
	m, err := s.lock(ctx, name)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if m.next == nil || m.next.Build != next || next.Checkpoint < m.live.Checkpoint {
		return projection.ErrMoved
	}
	m.live, m.next = m.next, nil
	return nil
}

// Get returns a row's value; see projection.Store.
func (s *Store) Get(ctx context.Context, name, key string) ([]byte, error) {
	b, err := s.read(ctx, name)
	if err != nil {
		return nil, err
	}
	defer s.mu.RUnlock()
	if b != nil {
		if value, ok := b.rows.get(key); ok {
			return value, nil
		}
	}
	return nil, projection.ErrNotFound
}

// List returns rows; see projection.Store.
func (s *Store) List(ctx context.Context, name, prefix, after string, limit int) (projection.Page, error) {
	if limit < 1 {
		return projection.Page{}, &projection.InvalidError{What: "limit", Reason: fmt.Sprintf("%d is below 1", limit)}
	}
	b, err := s.read(ctx, name)
	if err != nil {
		return projection.Page{}, err
	}
	defer s.mu.RUnlock()
	if b == nil {
		return projection.Page{Build: projection.Build{ID: 1}}, nil
	}
	page := projection.Page{Build: b.Build}
	from := prefix
	if after >= prefix && after != "" {
		from = after + "\x00" // the smallest key behind it
	}
	for row := range b.rows.from(from) {
		if len(page.Rows) == limit || !strings.HasPrefix(row.Key, prefix) {
			break
		}
		page.Rows = append(page.Rows, row)
	}
	return page, nil
}

// Close ends the store; see projection.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// lock takes the lock and finds a read model. Without an error mu is held.
func (s *Store) lock(ctx context.Context, name string) (*model, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := projection.CheckName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, projection.ErrClosed
	}
	m := s.models[name]
	if m == nil {
		m = &model{live: &build{Build: projection.Build{ID: 1}}, last: 1}
		s.models[name] = m
	}
	return m, nil
}

// read finds a live build, nil when nobody has written the read model. Without an error mu is held shared.
func (s *Store) read(ctx context.Context, name string) (*build, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := projection.CheckName(name); err != nil {
		return nil, err
	}
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return nil, projection.ErrClosed
	}
	if m := s.models[name]; m != nil {
		return m.live, nil
	}
	return nil, nil
}

// find returns the build that is at a checkpoint, nil if it is not.
func (m *model) find(at projection.Build) *build {
	switch {
	case m.live.Build == at:
		return m.live
	case m.next != nil && m.next.Build == at:
		return m.next
	}
	return nil
}
