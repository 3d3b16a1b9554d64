package eventstoretest

import (
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/eventstore"
)

func idChecks() []check {
	return []check{
		{name: "ids/again is the same answer (E1)", run: func(k *kit) {
			s := k.store()
			first := k.append(s, "s", "a", "b", "c")
			between := k.append(s, "s", "d")
			k.append(s, "t", "e")
			for range 3 {
				require.Equal(k, first, k.append(s, "s", "a", "b", "c"))
				require.Equal(k, between, k.append(s, "s", "d"))
			}
			require.Equal(k, []string{"a", "b", "c", "d", "e"}, idsOf(k.all(s, 0)))
		}},
		{name: "ids/before the version (E1)", run: func(k *kit) {
			s := k.store()
			first, err := s.Append(k.ctx, "s", 0, events("a"))
			require.NoError(k, err)
			_, err = s.Append(k.ctx, "s", 1, events("b"))
			require.NoError(k, err)
			for _, expect := range []int64{0, 1, 2, 7} {
				again, err := s.Append(k.ctx, "s", expect, events("a"))
				require.NoError(k, err, "expecting %d", expect)
				require.Equal(k, first, again)
			}
			require.Equal(k, []string{"a", "b"}, k.load(s, "s", 1))
		}},
		{name: "ids/only the ids are compared", run: func(k *kit) {
			s := k.store()
			first := k.append(s, "s", "a")
			other := events("a")
			other[0].Type, other[0].Data, other[0].Time = "other", []byte{0xc0}, 1
			again, err := s.Append(k.ctx, "s", eventstore.Any, other)
			require.NoError(k, err)
			require.Equal(k, first, again)
			require.Equal(k, event("a").Data, k.all(s, 0)[0].Data)
		}},
		{name: "ids/used otherwise", run: func(k *kit) {
			s := k.store()
			k.append(s, "s", "a", "b")
			k.append(s, "t", "c")
			k.append(s, "s", "d")
			for _, c := range []struct {
				stream string
				ids    []string
			}{
				{"s", []string{"new", "a"}},
				{"s", []string{"a", "new"}},
				{"s", []string{"d", "new"}},
				{"s", []string{"b", "a"}},
				{"s", []string{"a", "d"}},
				{"s", []string{"b", "c"}},
				{"t", []string{"a", "b"}},
				{"u", []string{"c"}},
			} {
				_, err := s.Append(k.ctx, c.stream, eventstore.Any, events(c.ids...))
				require.ErrorIs(k, err, eventstore.ErrReused, "%s: %v", c.stream, c.ids)
				require.NotErrorIs(k, err, eventstore.ErrConflict)
				var reused *eventstore.ReusedError
				require.ErrorAs(k, err, &reused)
				require.Equal(k, c.stream, reused.Stream)
				require.Contains(k, c.ids, reused.ID)
			}
			require.Len(k, k.all(s, 0), 4)
		}},
	}
}
