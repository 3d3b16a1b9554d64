package rows

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/keyspace"
)

// groupBytes is from what size on a group takes no further requests.
const groupBytes = 16 << 20

// group is requests that share a batch.
type group struct {
	requests []*request
	bytes    int
	done     chan struct{}
	err      error // of all of them, when done is closed
}

// submit has a request committed and waits for it. Its error is that of the group.
func (s *Store) submit(ctx context.Context, r *request) error {
	g, err := s.enqueue(r)
	if err != nil {
		return err
	}
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *Store) enqueue(r *request) (*group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, eventstore.ErrClosed
	case s.dead != nil:
		return nil, s.dead
	}
	last := len(s.queue) - 1
	if last < 0 || s.queue[last].bytes >= groupBytes {
		s.queue = append(s.queue, &group{done: make(chan struct{})})
		last++
	}
	g := s.queue[last]
	g.requests, g.bytes = append(g.requests, r), g.bytes+r.bytes
	if !s.committing {
		s.committing = true
		s.commits.Go(s.commit)
	}
	return g, nil
}

// next takes a group out of the queue, nil when there is none, and commit is to end.
func (s *Store) next() *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.committing = false
		return nil
	}
	g := s.queue[0]
	s.queue = slices.Delete(s.queue, 0, 1)
	return g
}

// commit commits groups, one after the other, until there are none. While one is on its way to the disk the next gathers. What a batch is computed on is
// therefore durable, or in the batch itself: when one fails, no other has to be taken back.
func (s *Store) commit() {
	for g := s.next(); g != nil; g = s.next() {
		b := &batch{store: s, position: s.durable.Load(), heads: make(map[string]uint64), ids: make(map[string]place), snapshots: make(map[string]uint64)}
		for _, r := range g.requests {
			b.add(r)
		}
		b.seal()
		s.mu.Lock()
		g.err = s.dead
		if g.err == nil {
			for stream := range b.snapshots {
				s.saving[stream] = g
			}
		}
		s.mu.Unlock()
		if g.err == nil && len(b.writes) > 0 {
			g.err = s.apply(b)
		}
		close(g.done)
	}
}

// apply makes a batch durable and shows it.
func (s *Store) apply(b *batch) error {
	err := s.db.Apply(b.writes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !errors.Is(err, keyspace.ErrRefused) {
		// What is in the batch stays hidden: positions from here on, and snapshots.
		s.dead = fmt.Errorf("unknown outcome: %w", err)
		return s.dead
	}
	maps.DeleteFunc(s.saving, func(stream string, _ *group) bool { _, ok := b.snapshots[stream]; return ok })
	if err != nil {
		return err
	}
	s.recent.add(b.events)
	if s.durable.Swap(b.position) < b.position {
		s.rouse()
	}
	return nil
}
