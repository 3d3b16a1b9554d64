package rows

import (
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/keyspace/keyspacetest"
)

func one(id string) []eventstore.Event {
	return []eventstore.Event{{ID: id, Type: "t", Data: []byte{0xc0}}}
}

// What is no longer remembered is found in the database, also by an append whose look into it is older than what is remembered.
func TestRecent_beyondTheWindow(t *testing.T) {
	ctx := t.Context()
	s, err := Open(new(keyspacetest.Disk))
	require.NoError(t, err)
	defer s.Close()
	s.recent.window = 10
	stale := &request{stream: "0", expect: eventstore.Any, ids: []string{"5"}, values: [][]byte{encodeEvent("0", &one("5")[0])}, places: make([]place, 1)}
	require.NoError(t, s.look(stale))
	for i := range 100 {
		at, err := s.Append(ctx, fmt.Sprint(i%5), int64(i/5), one(fmt.Sprint(i)))
		require.NoError(t, err)
		require.EqualValues(t, i+1, at.FirstPosition)
		require.LessOrEqual(t, len(s.recent.order), 20)
		require.Len(t, s.recent.ids, len(s.recent.order))
		require.LessOrEqual(t, len(s.recent.heads), 5)
	}
	require.Positive(t, s.recent.floor)
	for _, i := range []int{0, 4, 85, 99} {
		at, err := s.Append(ctx, fmt.Sprint(i%5), eventstore.Any, one(fmt.Sprint(i)))
		require.NoError(t, err)
		require.EqualValues(t, i+1, at.FirstPosition)
	}
	require.NoError(t, s.submit(ctx, stale))
	require.NoError(t, stale.err)
	require.EqualValues(t, 6, stale.at.FirstPosition)
}

// counted counts the rows that are read.
type counted struct {
	*keyspacetest.Disk
	rows int
}

func (c *counted) Rows(lower, upper []byte) iter.Seq2[keyspace.Row, error] {
	return func(yield func(keyspace.Row, error) bool) {
		for row, err := range c.Disk.Rows(lower, upper) {
			c.rows++
			if !yield(row, err) {
				return
			}
		}
	}
}

// Opening reads a few rows, however many there are, and finds the last of them.
func TestOpen_isBounded(t *testing.T) {
	db := &counted{Disk: new(keyspacetest.Disk)}
	for n := range 300 {
		db.rows = 0
		s, err := Open(db)
		require.NoError(t, err)
		require.LessOrEqual(t, db.rows, 64)
		at, err := s.Append(t.Context(), "s", int64(n), one(fmt.Sprint(n)))
		require.NoError(t, err)
		require.EqualValues(t, n+1, at.LastPosition)
		require.NoError(t, s.Close())
	}
	for _, position := range []uint64{1 << 20, 1<<40 + 7, 1<<64 - 2} { // as if there had been so many
		require.NoError(t, db.Apply([]keyspace.Write{{Key: eventKey(position), Value: sealEvent(encodeEvent("s", &one("x")[0]), position, 1)}}))
		db.rows = 0
		s, err := Open(db)
		require.NoError(t, err)
		require.LessOrEqual(t, db.rows, 64)
		head, err := s.Head(t.Context())
		require.NoError(t, err)
		require.Equal(t, position, head)
	}
}
