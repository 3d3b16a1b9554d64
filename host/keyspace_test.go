package host_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/eventstore/eventstoretest"
	eventrows "github.com/crhost/crhost/effects/eventstore/rows"
	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/projectiontest"
	modelrows "github.com/crhost/crhost/effects/projection/rows"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
)

// journals are those that the suites run on.
var journals = map[string]func(*testing.T) crashable{
	"memory": func(*testing.T) crashable { return inMemory{memory.New(memory.Config{})} },
	"pebble": func(t *testing.T) crashable { return openDisk(t, vfs.NewCrashableMem(), rand.New(rand.NewPCG(1, 2))) },
}

// events is an event store with the journal that it is on, which it takes along when it is closed.
type events struct {
	*eventrows.Store
	on crashable
}

func (e *events) Close() error { return errors.Join(e.Store.Close(), e.on.Close()) }

// models are read models with the journal that they are on.
type models struct {
	*modelrows.Store
	on crashable
}

func (m *models) Close() error { return errors.Join(m.Store.Close(), m.on.Close()) }

func TestConformance_eventsInAJournal(t *testing.T) {
	for name, start := range journals {
		t.Run(name, func(t *testing.T) {
			open := func() eventstore.Store { return openEvents(t, start(t)) }
			eventstoretest.Run(t, open, eventstoretest.Features{Bubble: name == "memory", Reopen: func(s eventstore.Store) eventstore.Store {
				return openEvents(t, s.(*events).on.Crash())
			}})
		})
	}
}

func openEvents(t testing.TB, on crashable) *events {
	s, err := eventrows.Open(host.RowsOf(on))
	require.NoError(t, err)
	return &events{s, on}
}

func TestConformance_modelsInAJournal(t *testing.T) {
	for name, start := range journals {
		t.Run(name, func(t *testing.T) {
			open := func(on crashable) projection.Store {
				s, err := modelrows.Open(host.RowsOf(on))
				require.NoError(t, err)
				return &models{s, on}
			}
			projectiontest.Run(t, func() projection.Store { return open(start(t)) }, projectiontest.Features{
				Bubble: name == "memory", Reopen: func(s projection.Store) projection.Store {
					found := s.(*models).on.Crash()
					require.NoError(t, s.Close())
					return open(found)
				},
			})
		})
	}
}

// The adapter keeps what an error says.
func TestRowsOf_errors(t *testing.T) {
	var refuse error
	b := memory.New(memory.Config{Before: func(*journal.Batch) error { return refuse }})
	db := host.RowsOf(b)
	_, err := db.Get([]byte("e"))
	require.ErrorIs(t, err, keyspace.ErrNotFound)
	require.ErrorIs(t, db.Apply([]keyspace.Write{{Value: []byte("v")}}), keyspace.ErrRefused, "a row without a key")
	refuse = fmt.Errorf("full: %w", journal.ErrRefused)
	err = db.Apply([]keyspace.Write{{Key: []byte("e"), Value: []byte("v")}})
	require.ErrorIs(t, err, keyspace.ErrRefused)
	require.ErrorIs(t, err, journal.ErrRefused)
	refuse = errors.New("sync failed")
	err = db.Apply([]keyspace.Write{{Key: []byte("e"), Value: []byte("v")}})
	require.ErrorIs(t, err, refuse)
	require.NotErrorIs(t, err, keyspace.ErrRefused)
	require.NoError(t, b.Close())
	_, err = db.Get([]byte("e"))
	require.ErrorIs(t, err, journal.ErrClosed)
}
