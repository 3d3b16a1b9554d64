package prometheus

import (
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSends_shardsDoNotShareCells(t *testing.T) {
	var s sends
	a := s.action("increment")
	require.Same(t, a, s.action("increment"))
	require.NotSame(t, a, s.action("reset"))

	stripes := min(runtime.GOMAXPROCS(0), maxStripes)
	seen := make(map[*cell]bool)
	for shard := range stripes {
		seen[a.cell(shard)] = true
	}
	require.Len(t, seen, stripes)
	for _, shard := range []int{-1, stripes, math.MaxInt, math.MinInt} {
		require.NotNil(t, a.cell(shard))
	}
}
