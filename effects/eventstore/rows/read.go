package rows

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/keyspace"
)

// pageBytes is from what size on an answer takes no further events.
const pageBytes = 4 << 20

// Load returns events of a stream; see eventstore.Store.
func (s *Store) Load(ctx context.Context, stream string, from uint64, limit int) ([]eventstore.Event, error) {
	if err := eventstore.CheckStream(stream); err != nil {
		return nil, err
	}
	if err := s.beginRead(ctx, limit); err != nil {
		return nil, err
	}
	page := page{limit: limit, cut: s.durable.Load()}
	want := max(from, 1)
	for row, err := range s.db.Rows(versionKey(stream, want), versionsEnd(stream)) {
		var position uint64
		if err == nil {
			position, err = decodeNumber("version", row)
		}
		if err == nil && number(row.Key) != want {
			err = &keyspace.CorruptError{What: "version", Key: row.Key, Reason: fmt.Sprintf("version %d is missing before it", want)}
		}
		if err == nil && position > page.cut {
			break
		}
		var e eventstore.Event
		if err == nil {
			e, err = s.event(position)
		}
		if err == nil && (e.Stream != stream || e.Version != want) {
			err = &keyspace.CorruptError{What: "version", Key: row.Key, Reason: fmt.Sprintf("position %d has another event", position)}
		}
		if err != nil {
			return nil, fmt.Errorf("load stream %s: %w", stream, err)
		}
		if page.add(e, len(row.Value)) {
			break
		}
		want++
	}
	return page.events, nil
}

// event reads the event at a position that has one.
func (s *Store) event(position uint64) (eventstore.Event, error) {
	key := eventKey(position)
	value, err := s.db.Get(key)
	if errors.Is(err, keyspace.ErrNotFound) {
		return eventstore.Event{}, &keyspace.CorruptError{What: "event", Key: key, Reason: "it is missing"}
	}
	if err != nil {
		return eventstore.Event{}, err
	}
	return decodeEvent(keyspace.Row{Key: key, Value: value})
}

// All returns events of all streams; see eventstore.Store.
func (s *Store) All(ctx context.Context, after uint64, limit int) ([]eventstore.Event, error) {
	if err := s.beginRead(ctx, limit); err != nil {
		return nil, err
	}
	page := page{limit: limit, cut: s.durable.Load()}
	if after >= page.cut {
		return nil, nil
	}
	want := after
	for row, err := range s.db.Rows(eventKey(after+1), eventKey(page.cut+1)) {
		var e eventstore.Event
		if err == nil {
			e, err = decodeEvent(row)
		}
		if want++; err == nil && e.Position != want {
			err = &keyspace.CorruptError{What: "event", Key: row.Key, Reason: fmt.Sprintf("position %d is missing before it", want)}
		}
		if err != nil {
			return nil, fmt.Errorf("read events behind position %d: %w", after, err)
		}
		if page.add(e, len(row.Value)) {
			return page.events, nil
		}
	}
	if want < page.cut {
		return nil, fmt.Errorf("read events behind position %d: %w", after, &keyspace.CorruptError{What: "event", Key: eventKey(want + 1), Reason: "it is missing"})
	}
	return page.events, nil
}

// page is an answer.
type page struct {
	events []eventstore.Event
	limit  int
	bytes  int
	cut    uint64 // no event behind it may be seen
}

// add reports that the page is full.
func (p *page) add(e eventstore.Event, size int) bool {
	p.events = append(p.events, e)
	p.bytes += size + len(e.Data)
	return len(p.events) == p.limit || p.bytes >= pageBytes
}

// Head returns the newest position; see eventstore.Store.
func (s *Store) Head(ctx context.Context) (uint64, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	return s.durable.Load(), nil
}

// Wait waits for an event behind a position; see eventstore.Store.
func (s *Store) Wait(ctx context.Context, after uint64) error {
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		s.mu.Lock()
		closed, there := s.closed, s.durable.Load() > after
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

func (s *Store) beginRead(ctx context.Context, limit int) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if limit < 1 {
		return &eventstore.InvalidError{What: "limit", Reason: fmt.Sprintf("%d is below 1", limit)}
	}
	return nil
}

// last finds the last position in the database. There is an event at or behind a position or there is none, so it takes a look at 64 of them, whatever
// the store holds.
func last(db keyspace.DB) (uint64, error) {
	low, high := uint64(0), uint64(math.MaxUint64) // there is something at or behind low (0 counts), and nothing behind high
	for low < high {
		middle := low + (high-low)/2 + 1
		found := uint64(0)
		for row, err := range db.Rows(eventKey(middle), []byte{letter, kindEvent + 1}) {
			if err != nil {
				return 0, err
			}
			if len(row.Key) != len(eventKey(0)) {
				return 0, &keyspace.CorruptError{What: "event", Key: row.Key, Reason: "its key has another length"}
			}
			found = number(row.Key)
			break
		}
		if found > 0 {
			low = found
		} else {
			high = middle - 1
		}
	}
	return low, nil
}
