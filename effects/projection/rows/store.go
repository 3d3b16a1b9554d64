package rows

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/projection"
)

// Store keeps read models in somebody's database.
//
// Invariants:
//  1. Whoever changes what a model's row says, or rows of its builds, has the model's turn. What is dropped nobody else changes.
//  2. A change is linked to the one before it before its batch is applied.
//  3. model.state and model.durable are durable, and belong together.
type Store struct {
	db       keyspace.DB
	stop     chan struct{} // closed by Close
	dropping sync.WaitGroup

	mu     sync.Mutex // guards what follows, and state and durable of each model; nothing waits while holding it
	models map[string]*model
	closed bool
	dead   error // why nothing is changed any more
}

type model struct {
	name    string
	turn    chan struct{} // holds the turn while nobody has it
	state   state
	durable *change
}

// change is an update of a live build.
type change struct {
	before map[string][]byte // the rows that it writes, as they were; nil for one that was not there. Never changed
	next   *change           // guarded by the store's mu
}

var _ projection.Store = (*Store)(nil)

// Open opens the read models in a database, which may hold none yet, and goes on with what was being dropped. The database is to be closed after the
// store, by whoever has opened it.
//
// REQUIRES: there is no other store of read models open in the database.
func Open(db keyspace.DB) (*Store, error) {
	s := &Store{db: db, stop: make(chan struct{}), models: make(map[string]*model)}
	type build struct {
		name string
		id   uint64
	}
	var dropped []build
	for row, err := range db.Rows([]byte{letter, kindDropped}, []byte{letter, kindDropped + 1}) {
		var b build
		if err == nil {
			b.name, b.id, err = splitDropped(row.Key)
		}
		if err == nil {
			err = decodeDropped(row)
		}
		if err != nil {
			return nil, fmt.Errorf("open read models: %w", err)
		}
		dropped = append(dropped, b)
	}
	for _, b := range dropped {
		s.drop(b.name, b.id)
	}
	return s, nil
}

// model finds a read model, reading it when it is used for the first time.
func (s *Store) model(ctx context.Context, name string) (*model, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := projection.CheckName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	m, closed := s.models[name], s.closed
	s.mu.Unlock()
	if closed {
		return nil, projection.ErrClosed
	}
	if m != nil {
		return m, nil
	}
	read := &model{name: name, turn: make(chan struct{}, 1), durable: new(change)}
	read.turn <- struct{}{}
	row := keyspace.Row{Key: modelKey(name)}
	var err error
	row.Value, err = s.db.Get(row.Key)
	switch {
	case errors.Is(err, keyspace.ErrNotFound):
		read.state = state{Builds: projection.Builds{Live: projection.Build{ID: 1}}, last: 1}
	case err == nil:
		read.state, err = decodeState(row)
	}
	if err != nil && !errors.Is(err, keyspace.ErrNotFound) {
		return nil, fmt.Errorf("read model %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.models[name]; m != nil {
		return m, nil // somebody else was faster, and may have changed it since
	}
	s.models[name] = read
	return read, nil
}

// Builds returns the builds of a read model; see projection.Store.
func (s *Store) Builds(ctx context.Context, name string) (projection.Builds, error) {
	m, err := s.model(ctx, name)
	if err != nil {
		return projection.Builds{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.state.Builds, s.dead // who asks may want to know how an update ended
}

// Close ends the store; see projection.Store. It waits for changes that are under way.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	var models []*model
	for _, m := range s.models {
		models = append(models, m)
	}
	s.mu.Unlock()
	if closed {
		return nil
	}
	close(s.stop)
	for _, m := range models {
		<-m.turn // and nobody gets it again
	}
	s.dropping.Wait()
	return nil
}
