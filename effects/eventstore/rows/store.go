package rows

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/keyspace"
)

// Store is an event store in somebody's database.
//
// Invariants:
//  1. Positions are 1, 2, 3, ... without gaps. Event, version, id and head of one append are in one batch.
//  2. At most one batch is on its way to the database, and it begins behind durable.
//  3. Nobody sees an event behind durable, or a snapshot that is being saved.
type Store struct {
	db      keyspace.DB
	durable atomic.Uint64 // position of the newest event that is durable; moves with mu held
	commits sync.WaitGroup
	recent  recent // changed by commit's goroutine alone, with mu held; so that one reads it without

	mu         sync.Mutex // guards what follows; nothing waits while holding it
	queue      []*group   // only the last one takes requests
	committing bool       // commit runs
	saving     map[string]*group
	wake       chan struct{} // closed by the next event or Close; nil while nobody waits
	closed     bool
	dead       error // why nothing is appended any more
}

var _ eventstore.Store = (*Store)(nil)

// Open opens the event store in a database, which may hold none yet. It takes the same time however many events there are. The database is to be
// closed after the store, by whoever has opened it.
//
// REQUIRES: there is no other store open in the database.
func Open(db keyspace.DB) (*Store, error) {
	s := &Store{db: db, saving: make(map[string]*group)}
	head, err := last(db)
	if err == nil && head > 0 {
		_, err = s.event(head)
	}
	if err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	s.durable.Store(head)
	s.recent = newRecent(head)
	return s, nil
}

// begin checks what all methods check.
func (s *Store) begin(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return eventstore.ErrClosed
	}
	return nil
}

// Close ends the store, when what was submitted before has been committed; see eventstore.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.rouse()
	s.mu.Unlock()
	s.commits.Wait()
	return nil
}
