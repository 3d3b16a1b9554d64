package eventstoretest

import (
	"fmt"
	"math"

	"github.com/stretchr/testify/require"
)

func readChecks() []check {
	return []check{
		{name: "read/empty", run: func(k *kit) {
			s := k.store()
			require.Empty(k, k.load(s, "s", 0))
			require.Empty(k, k.all(s, 0))
			require.Empty(k, k.all(s, 99))
			head, err := s.Head(k.ctx)
			require.NoError(k, err)
			require.Zero(k, head)
		}},
		{name: "read/everything of an event", run: func(k *kit) {
			s := k.store()
			given := events("a", "bb")
			given[1].Metadata, given[1].Time, given[1].Schema = nil, math.MinInt64, math.MaxUint32
			at, err := s.Append(k.ctx, "s", 0, given)
			require.NoError(k, err)
			for _, read := range []string{"load", "all"} {
				found := k.all(s, 0)
				if read == "load" {
					found, err = s.Load(k.ctx, "s", 1, 10)
					require.NoError(k, err)
				}
				require.Len(k, found, 2)
				require.Equal(k, at.LastPosition, found[1].Position, read)
				for i, got := range found {
					want := given[i]
					want.Stream, want.Version, want.Position = "s", uint64(i+1), got.Position
					if len(got.Metadata) == 0 {
						got.Metadata = nil
					}
					require.Equal(k, want, got, read)
				}
			}
		}},
		{name: "read/a stream from a version", run: func(k *kit) {
			s := k.store()
			for i := range 10 {
				k.append(s, "s", fmt.Sprintf("s%d", i+1))
				k.append(s, "t", fmt.Sprintf("t%d", i+1))
			}
			for _, c := range []struct {
				from  uint64
				limit int
				first uint64 // version
				most  int
			}{{0, 3, 1, 3}, {1, 3, 1, 3}, {4, 100, 4, 7}, {10, 5, 10, 1}, {11, 5, 0, 0}, {math.MaxUint64, 5, 0, 0}, {2, math.MaxInt, 2, 9}} {
				page, err := s.Load(k.ctx, "s", c.from, c.limit)
				require.NoError(k, err)
				require.LessOrEqual(k, len(page), c.most, "from %d, limit %d", c.from, c.limit)
				require.Equal(k, c.most > 0, len(page) > 0)
				for i, e := range page {
					require.Equal(k, c.first+uint64(i), e.Version)
					require.Equal(k, fmt.Sprintf("s%d", e.Version), e.ID)
				}
			}
			require.Equal(k, names("s", 10), k.load(s, "s", 1), "page by page")
			page, err := s.Load(k.ctx, "s", 1, 5)
			require.NoError(k, err)
			clear(page)
			require.Equal(k, names("s", 10), k.load(s, "s", 1), "an answer is the caller's")
		}},
		{name: "read/all behind a position", run: func(k *kit) {
			s := k.store()
			var ids []string
			for i := range 12 {
				id := fmt.Sprintf("e%d", i)
				k.append(s, fmt.Sprintf("s%d", i%3), id)
				ids = append(ids, id)
			}
			found := k.all(s, 0)
			require.Equal(k, ids, idsOf(found))
			for i, e := range found {
				require.Equal(k, ids[i+1:], append([]string{}, idsOf(k.all(s, e.Position))...))
				page, err := s.All(k.ctx, e.Position-1, 2)
				require.NoError(k, err)
				require.LessOrEqual(k, len(page), 2)
				require.NotEmpty(k, page)
				require.Equal(k, e.ID, page[0].ID)
			}
			head, err := s.Head(k.ctx)
			require.NoError(k, err)
			require.Equal(k, found[11].Position, head)
			require.Empty(k, k.all(s, math.MaxUint64))
		}},
	}
}
