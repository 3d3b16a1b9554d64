package rows

import (
	"context"
	"errors"
	"fmt"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/keyspace"
)

// request is an append, or a snapshot to be kept, on its way into a batch.
type request struct {
	stream string
	expect int64
	ids    []string
	values [][]byte // events without their places
	bytes  int

	snapshot eventstore.Snapshot // version 0: this is an append

	// What the database had of it, when everything up to position since was durable.
	since  uint64
	head   uint64  // version of the stream
	places []place // of the ids

	at  eventstore.Appended
	err error // once its group is done, and has none
}

// Append adds events to a stream; see eventstore.Store.
func (s *Store) Append(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
	if err := s.begin(ctx); err != nil {
		return eventstore.Appended{}, err
	}
	if err := eventstore.Check(stream, expect, events); err != nil {
		return eventstore.Appended{}, err
	}
	r := &request{stream: stream, expect: expect, ids: make([]string, len(events)), values: make([][]byte, len(events)), places: make([]place, len(events))}
	for i := range events {
		r.ids[i], r.values[i] = events[i].ID, encodeEvent(stream, &events[i])
		r.bytes += len(r.values[i])
	}
	err := s.look(r)
	if err == nil {
		err = s.submit(ctx, r)
	}
	if err != nil {
		return eventstore.Appended{}, fmt.Errorf("append to stream %s: %w", stream, err)
	}
	return r.at, r.err
}

// look finds out what there is of a request, in memory or else in the database.
func (s *Store) look(r *request) (err error) {
	s.mu.Lock()
	r.since = s.durable.Load() // before the rest
	head, known := s.recent.heads[r.stream]
	r.head = head.version
	for i, id := range r.ids {
		r.places[i] = s.recent.ids[id]
	}
	s.mu.Unlock()
	if !known {
		if r.head, err = s.number(streamKey(kindHead, r.stream)); err != nil {
			return err
		}
	}
	for i, id := range r.ids {
		if r.places[i].position > 0 {
			continue
		}
		key := idKey(id)
		value, err := s.db.Get(key)
		if err == nil {
			r.places[i], err = decodePlace(keyspace.Row{Key: key, Value: value})
		}
		if err != nil && !errors.Is(err, keyspace.ErrNotFound) {
			return err
		}
	}
	return nil
}

// number reads a row that holds a number, 0 when there is none.
func (s *Store) number(key []byte) (uint64, error) {
	value, err := s.db.Get(key)
	switch {
	case errors.Is(err, keyspace.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return decodeNumber("stream", keyspace.Row{Key: key, Value: value})
}

// batch is what a group of requests comes to.
type batch struct {
	store     *Store
	position  uint64            // of the last event in it, or before it
	heads     map[string]uint64 // of streams that it appends to
	ids       map[string]place
	events    []trail
	snapshots map[string]uint64
	writes    []keyspace.Write
}

// add answers a request and adds what it writes. The answer holds when the batch is durable.
func (b *batch) add(r *request) {
	if r.since < b.store.recent.floor {
		if err := b.store.look(r); err != nil {
			r.err = fmt.Errorf("stream %s: %w", r.stream, err)
			return
		}
	}
	if r.snapshot.Version > 0 {
		r.err = b.keep(r)
		return
	}
	if r.at, r.err = b.known(r); r.at.FirstVersion > 0 || r.err != nil {
		return
	}
	have := b.head(r)
	if r.expect != eventstore.Any && have != uint64(r.expect) {
		r.err = &eventstore.ConflictError{Stream: r.stream, Want: r.expect, Have: have}
		return
	}
	r.at = eventstore.Appended{FirstVersion: have + 1, FirstPosition: b.position + 1}
	for i, id := range r.ids {
		b.position++
		have++
		at := place{r.stream, have, b.position}
		b.ids[id] = at
		b.events = append(b.events, trail{id, at})
		b.set(eventKey(at.position), sealEvent(r.values[i], at.position, at.version))
		b.set(versionKey(r.stream, at.version), encodeNumber(at.position))
		b.set(idKey(id), at.encode())
	}
	b.heads[r.stream] = have
	r.at.LastVersion, r.at.LastPosition = have, b.position
}

func (b *batch) set(key, value []byte) {
	b.writes = append(b.writes, keyspace.Write{Key: key, Value: value})
}

// seal adds what is written once for each stream.
func (b *batch) seal() {
	for stream, version := range b.heads {
		b.set(streamKey(kindHead, stream), encodeNumber(version))
	}
}

// head is the version of the request's stream.
func (b *batch) head(r *request) uint64 {
	if version, ok := b.heads[r.stream]; ok {
		return version
	}
	if at, ok := b.store.recent.heads[r.stream]; ok {
		return at.version
	}
	return r.head
}

// place is where the request's event is.
func (b *batch) place(r *request, i int) place {
	if at, ok := b.ids[r.ids[i]]; ok {
		return at
	}
	if at, ok := b.store.recent.ids[r.ids[i]]; ok {
		return at
	}
	return r.places[i]
}

// known looks for an append that was made before. It is the zero value when none of the events is in the store.
func (b *batch) known(r *request) (found eventstore.Appended, err error) {
	first := b.place(r, 0)
	if first.position == 0 {
		for i := range r.ids[1:] {
			if b.place(r, 1+i).position > 0 {
				return found, &eventstore.ReusedError{Stream: r.stream, ID: r.ids[1+i]}
			}
		}
		return found, nil
	}
	found = eventstore.Appended{FirstVersion: first.version, FirstPosition: first.position}
	for i := range r.ids {
		at := b.place(r, i)
		if at.stream != r.stream || at.version != first.version+uint64(i) {
			return eventstore.Appended{}, &eventstore.ReusedError{Stream: r.stream, ID: r.ids[0]}
		}
		found.LastVersion, found.LastPosition = at.version, at.position
	}
	return found, nil
}
