package eventstoretest

import (
	"context"
	"errors"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
)

func appendChecks() []check {
	return []check{
		{name: "append/answers where", run: func(k *kit) {
			s := k.store()
			versions := map[string]uint64{}
			position := uint64(0)
			for i, c := range []struct {
				stream string
				n      int
			}{{"a", 1}, {"b", 3}, {"a", 2}, {"c", 1}, {"a", 1}, {"b", 1}} {
				at := k.append(s, c.stream, names(string(rune('p'+i)), c.n)...)
				require.Equal(k, versions[c.stream]+1, at.FirstVersion)
				require.Equal(k, versions[c.stream]+uint64(c.n), at.LastVersion)
				versions[c.stream] = at.LastVersion
				require.Greater(k, at.FirstPosition, position, "positions ascend")
				require.GreaterOrEqual(k, at.LastPosition, at.FirstPosition+uint64(c.n-1))
				position = at.LastPosition
			}
		}},
		{name: "append/expected version", run: func(k *kit) {
			s := k.store()
			for _, c := range []struct {
				expect int64
				have   uint64 // when it is a conflict
				ids    []string
				after  []string
			}{
				{expect: 1, have: 0, ids: []string{"x1"}, after: nil},
				{expect: 0, ids: []string{"a", "b"}, after: []string{"a", "b"}},
				{expect: 0, have: 2, ids: []string{"x2"}, after: []string{"a", "b"}},
				{expect: 1, have: 2, ids: []string{"x3"}, after: []string{"a", "b"}},
				{expect: 3, have: 2, ids: []string{"x4"}, after: []string{"a", "b"}},
				{expect: 2, ids: []string{"c"}, after: []string{"a", "b", "c"}},
				{expect: eventstore.Any, ids: []string{"d"}, after: []string{"a", "b", "c", "d"}},
				{expect: 3, have: 4, ids: []string{"x5"}, after: []string{"a", "b", "c", "d"}},
			} {
				_, err := s.Append(k.ctx, "orders", c.expect, events(c.ids...))
				if strings.HasPrefix(c.ids[0], "x") {
					require.ErrorIs(k, err, eventstore.ErrConflict)
					var conflict *eventstore.ConflictError
					require.ErrorAs(k, err, &conflict)
					require.Equal(k, eventstore.ConflictError{Stream: "orders", Want: c.expect, Have: c.have}, *conflict)
				} else {
					require.NoError(k, err)
				}
				require.Equal(k, c.after, k.load(s, "orders", 1), "after expecting %d", c.expect)
			}
		}},
		{name: "append/all or nothing", run: func(k *kit) {
			s := k.store()
			k.append(s, "a", "a1")
			bad := events("b1", "b2", "b3")
			bad[2].Data = nil
			_, err := s.Append(k.ctx, "a", eventstore.Any, bad)
			require.Error(k, err)
			_, err = s.Append(k.ctx, "a", eventstore.Any, events("c1", "c2", "a1"))
			require.Error(k, err)
			require.Equal(k, []string{"a1"}, idsOf(k.all(s, 0)))
			k.append(s, "a", "b1", "b2", "c1")
			require.Equal(k, []string{"a1", "b1", "b2", "c1"}, k.load(s, "a", 1), "what was refused is not known")
		}},
		{name: "append/refuses what cannot be right", run: func(k *kit) {
			s := k.store()
			long := strings.Repeat("x", 257)
			with := func(change func(*eventstore.Event)) []eventstore.Event {
				e := events("e1", "e2")
				change(&e[1])
				return e
			}
			for name, c := range map[string]struct {
				stream string
				expect int64
				events []eventstore.Event
			}{
				"no stream":        {"", 0, events("e")},
				"long stream":      {long, 0, events("e")},
				"control":          {"a\nb", 0, events("e")},
				"not UTF-8":        {"a\xff", 0, events("e")},
				"negative version": {"s", -2, events("e")},
				"no events":        {"s", 0, nil},
				"many events":      {"s", 0, events(names("e", eventstore.MaxAppendEvents+1)...)},
				"id twice":         {"s", 0, events("e", "f", "e")},
				"no id":            {"s", 0, with(func(e *eventstore.Event) { e.ID = "" })},
				"long id":          {"s", 0, with(func(e *eventstore.Event) { e.ID = long })},
				"no type":          {"s", 0, with(func(e *eventstore.Event) { e.Type = "" })},
				"no data":          {"s", 0, with(func(e *eventstore.Event) { e.Data = nil })},
				"two values":       {"s", 0, with(func(e *eventstore.Event) { e.Data = []byte{0xc0, 0xc0} })},
				"bad metadata":     {"s", 0, with(func(e *eventstore.Event) { e.Metadata = []byte{0xc1} })},
				"much data":        {"s", 0, with(func(e *eventstore.Event) { e.Data = bin(eventstore.MaxAppendBytes) })},
			} {
				_, err := s.Append(k.ctx, c.stream, c.expect, c.events)
				require.ErrorIs(k, err, eventstore.ErrInvalid, name)
			}
			_, err := s.Load(k.ctx, "", 1, 1)
			require.ErrorIs(k, err, eventstore.ErrInvalid)
			_, err = s.Load(k.ctx, "s", 1, 0)
			require.ErrorIs(k, err, eventstore.ErrInvalid)
			_, err = s.All(k.ctx, 0, -1)
			require.ErrorIs(k, err, eventstore.ErrInvalid)
			_, err = s.LoadSnapshot(k.ctx, "")
			require.ErrorIs(k, err, eventstore.ErrInvalid)
		}},
		{name: "append/takes what is at the bounds", run: func(k *kit) {
			s := k.store()
			longest := strings.Repeat("é", 128)
			big := events(longest)
			big[0].Type, big[0].Metadata = longest, nil
			big[0].Data = bin(eventstore.MaxAppendBytes - 5)
			_, err := s.Append(k.ctx, longest, 0, big)
			require.NoError(k, err)
			_, err = s.Append(k.ctx, longest, 1, events(names("e", eventstore.MaxAppendEvents)...))
			require.NoError(k, err)
			require.Len(k, k.all(s, 0), 1+eventstore.MaxAppendEvents)
		}},
		{name: "append/bytes are the caller's again", run: func(k *kit) {
			s := k.store()
			given := events("a", "b")
			_, err := s.Append(k.ctx, "s", eventstore.Any, given)
			require.NoError(k, err)
			for i := range given {
				clear(given[i].Data)
				clear(given[i].Metadata)
			}
			clear(given)
			for i, e := range k.all(s, 0) {
				want := event([]string{"a", "b"}[i])
				require.Equal(k, want.Data, e.Data)
				require.Equal(k, want.Metadata, e.Metadata)
			}
		}},
		{name: "append/cancelled", run: func(k *kit) {
			s := k.store()
			gone := errors.New("gone")
			ctx, cancel := context.WithCancelCause(k.ctx)
			cancel(gone)
			_, err := s.Append(ctx, "s", eventstore.Any, events("a"))
			require.ErrorIs(k, err, gone)
			require.Empty(k, k.all(s, 0))
		}},
	}
}

// bin is a msgpack value of n bytes besides its header of 5.
func bin(n int) []byte {
	return append([]byte{0xc6, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, n)...)
}
