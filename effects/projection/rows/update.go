package rows

import (
	"context"
	"errors"
	"fmt"

	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/projection"
)

// Begin makes an empty build; see projection.Store.
func (s *Store) Begin(ctx context.Context, name string) (projection.Build, error) {
	m, err := s.model(ctx, name)
	if err != nil {
		return projection.Build{}, err
	}
	var begun projection.Build
	err = s.change(ctx, m, func(p *plan) error {
		old := p.state.Next.ID
		p.state.last++
		begun = projection.Build{ID: p.state.last}
		p.state.Next = begun
		if old != 0 {
			p.dropped = old
		}
		return nil
	})
	return begun, err
}

// Switch makes the next build the live one; see projection.Store.
func (s *Store) Switch(ctx context.Context, name string, next projection.Build) error {
	m, err := s.model(ctx, name)
	if err != nil {
		return err
	}
	return s.change(ctx, m, func(p *plan) error {
		if next.ID == 0 || p.state.Next != next || next.Checkpoint < p.state.Live.Checkpoint {
			return projection.ErrMoved
		}
		p.dropped = p.state.Live.ID
		p.state.Builds = projection.Builds{Live: next}
		return nil
	})
}

// Update commits rows and a checkpoint; see projection.Store.
func (s *Store) Update(ctx context.Context, name string, from projection.Build, to uint64, write func(projection.Tx) error) error {
	if to <= from.Checkpoint {
		return &projection.InvalidError{What: "checkpoint", Reason: fmt.Sprintf("%d is not beyond %d", to, from.Checkpoint)}
	}
	m, err := s.model(ctx, name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	there := m.state.find(from) != nil
	s.mu.Unlock()
	if !there {
		return projection.ErrMoved
	}
	t := &tx{db: s.db, name: name, build: from.ID, read: make(map[string][]byte), writes: make(map[string][]byte)}
	if err := write(t); err != nil {
		return err
	}
	return s.change(ctx, m, func(p *plan) (err error) {
		b := p.state.find(from)
		if b == nil {
			return projection.ErrMoved
		}
		if b == &p.state.Live {
			if p.before, err = t.before(); err != nil {
				return err
			}
		}
		b.Checkpoint = to
		for key, value := range t.writes {
			w := keyspace.Write{Key: rowKey(name, from.ID, key), Delete: value == nil}
			if value != nil {
				w.Value = encodeRow(value)
			}
			p.writes = append(p.writes, w)
		}
		return nil
	})
}

// plan is a change of a read model that is being made.
type plan struct {
	state   state             // as it will be
	dropped uint64            // a build that is let go of; 0 for none
	before  map[string][]byte // rows of the live build that it writes, as they were; nil when it writes none
	writes  []keyspace.Write
}

// change changes a read model, when it is its turn.
func (s *Store) change(ctx context.Context, m *model, make func(*plan) error) error {
	select {
	case <-m.turn:
	case <-s.stop:
		return projection.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { m.turn <- struct{}{} }()
	s.mu.Lock()
	p, closed, dead := plan{state: m.state}, s.closed, s.dead
	s.mu.Unlock()
	switch {
	case closed:
		return projection.ErrClosed
	case dead != nil:
		return dead
	}
	if err := make(&p); err != nil {
		return err
	}
	p.writes = append(p.writes, keyspace.Write{Key: modelKey(m.name), Value: p.state.encode()})
	if p.dropped != 0 {
		p.writes = append(p.writes, keyspace.Write{Key: buildKey(kindDropped, m.name, p.dropped), Value: encodeDropped()})
	}
	return s.apply(m, &p)
}

// apply makes a plan durable and shows it.
func (s *Store) apply(m *model, p *plan) error {
	made := &change{before: p.before}
	s.mu.Lock()
	m.durable.next = made
	s.mu.Unlock()
	err := s.db.Apply(p.writes)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		m.state, m.durable = p.state, made
		if p.dropped != 0 && !s.closed {
			s.drop(m.name, p.dropped)
		}
	case errors.Is(err, keyspace.ErrRefused):
		// Rows are what they were before, so that a reader who takes the change back does no harm; and followers must find what comes after it.
		m.durable = made
	default:
		s.dead = fmt.Errorf("unknown outcome: %w", err)
		err = s.dead
	}
	if err != nil {
		return fmt.Errorf("change read model %s: %w", m.name, err)
	}
	return nil
}
