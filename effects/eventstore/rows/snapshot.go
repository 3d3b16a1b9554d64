package rows

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/keyspace"
)

// SaveSnapshot keeps a snapshot; see eventstore.Store.
func (s *Store) SaveSnapshot(ctx context.Context, stream string, snapshot eventstore.Snapshot) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := eventstore.CheckSnapshot(stream, snapshot); err != nil {
		return err
	}
	snapshot.Data = slices.Clone(snapshot.Data)
	r := &request{stream: stream, snapshot: snapshot, bytes: len(snapshot.Data)}
	err := s.look(r)
	if err == nil {
		err = s.submit(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("save snapshot of stream %s: %w", stream, err)
	}
	return r.err
}

// keep adds a snapshot to the batch. Its version lies in a row of its own, so that the snapshot before it need not be read.
func (b *batch) keep(r *request) (err error) {
	if r.snapshot.Version > b.head(r) {
		return &eventstore.InvalidError{What: "snapshot", Reason: fmt.Sprintf("of version %d, which stream %s does not have", r.snapshot.Version, r.stream)}
	}
	kept, ok := b.snapshots[r.stream]
	if !ok {
		if kept, err = b.store.number(streamKey(kindKept, r.stream)); err != nil {
			return err
		}
	}
	if r.snapshot.Version <= kept {
		return nil
	}
	b.snapshots[r.stream] = r.snapshot.Version
	b.set(streamKey(kindKept, r.stream), encodeNumber(r.snapshot.Version))
	b.set(streamKey(kindSnapshot, r.stream), encodeSnapshot(r.snapshot))
	return nil
}

// LoadSnapshot returns a snapshot; see eventstore.Store. It waits for one that is being saved.
func (s *Store) LoadSnapshot(ctx context.Context, stream string) (eventstore.Snapshot, error) {
	if err := eventstore.CheckStream(stream); err != nil {
		return eventstore.Snapshot{}, err
	}
	key := streamKey(kindSnapshot, stream)
	for {
		if err := s.begin(ctx); err != nil {
			return eventstore.Snapshot{}, err
		}
		value, err := s.db.Get(key)
		// The database has one row for the snapshot, and shows it before it is durable. So the look comes second: what was read before a save began is durable.
		s.mu.Lock()
		saving, dead := s.saving[stream], s.dead
		s.mu.Unlock()
		switch {
		case saving != nil && dead != nil:
			return eventstore.Snapshot{}, dead
		case saving != nil:
			select {
			case <-saving.done:
			case <-ctx.Done():
			}
		case errors.Is(err, keyspace.ErrNotFound):
			return eventstore.Snapshot{}, eventstore.ErrNotFound
		case err != nil:
			return eventstore.Snapshot{}, fmt.Errorf("load snapshot of stream %s: %w", stream, err)
		default:
			return decodeSnapshot(keyspace.Row{Key: key, Value: value})
		}
	}
}
