package meter

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// graph is a program whose function i calls calls[i]; those in table can be called indirectly, those in indirect do so.
type graph struct {
	calls           [][]int
	table, indirect []bool
}

func (g graph) scan(t *testing.T) (*source, *code) {
	n := len(g.calls)
	p := program{table: cat(1, typeFunc, 0, leb(n))}
	var entries []byte
	tabled := 0
	for i := range n {
		f := fn{}
		for _, callee := range g.calls[i] {
			f.code = append(f.code, call(callee)...)
		}
		if g.indirect[i] {
			f.code = cat(f.code, i32Const(0), opCallIndirect, 0, 0)
		}
		if g.table[i] {
			entries = cat(entries, leb(i))
			tabled++
		}
		p.funcs = append(p.funcs, f)
	}
	p.elems = cat(1, 1, 0, leb(tabled), entries)
	s, err := parse(p.bytes(), Limits{}.withDefaults())
	require.NoError(t, err)
	c, err := s.scan()
	require.NoError(t, err)
	return s, c
}

// TestMeasure compares the call graph with its definition on random graphs: a function is recursive when it can reach itself, and the
// deepest chain is the longest path that counts functions which are not.
func TestMeasure(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	recursive := 0
	for range 2000 {
		n := 1 + random.IntN(9)
		g := graph{calls: make([][]int, n), table: make([]bool, n), indirect: make([]bool, n)}
		reach := make([][]bool, n) // by one call, then by any number
		for i := range n {
			g.table[i], g.indirect[i] = random.IntN(3) == 0, random.IntN(5) == 0
			reach[i] = make([]bool, n)
			for range random.IntN(3) {
				g.calls[i] = append(g.calls[i], random.IntN(n))
			}
		}
		for i := range n {
			for _, callee := range g.calls[i] {
				reach[i][callee] = true
			}
			for j := range n {
				reach[i][j] = reach[i][j] || g.indirect[i] && g.table[j]
			}
		}
		direct := make([][]bool, n)
		for i := range n {
			direct[i] = append([]bool(nil), reach[i]...)
		}
		for k := range n {
			for i := range n {
				for j := range n {
					reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
				}
			}
		}
		var deepest func(i int, seen []bool) int64
		deepest = func(i int, seen []bool) int64 {
			seen[i] = true
			var below int64
			for j := range n {
				if direct[i][j] && !seen[j] {
					below = max(below, deepest(j, seen))
				}
			}
			seen[i] = false
			if reach[i][i] {
				return below
			}
			return below + 1
		}

		s, c := g.scan(t)
		chain := c.measure(s)
		var want int64
		for i := range n {
			require.Equal(t, reach[i][i], c.functions[i].recursive, "%+v function %d", g, i)
			want = max(want, deepest(i, make([]bool, n)))
			if reach[i][i] {
				recursive++
			}
		}
		require.Equal(t, want, chain, "%+v", g)
	}
	require.Greater(t, recursive, 1000)
}

// TestMeasure_longCycle: a cycle of 100,000 functions needs no stack of ours.
func TestMeasure_longCycle(t *testing.T) {
	const n = 90_000
	wasm := module(
		sec(sectionType, vec(functype("", ""))), sec(sectionFunction, leb(n), times(n, 0)),
		sec(sectionCode, leb(n), each(n, func(i int) []byte { c := call((i + 1) % n); return cat(len(c)+2, 0, c, opEnd) })))
	m, err := Rewrite(wasm, Limits{})
	require.NoError(t, err)
	require.Zero(t, m.Chain)
}
