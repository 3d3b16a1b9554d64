package effects_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
)

func leaf() abi.Effect { return abi.Effect{Kind: abi.KindCall, Target: "t"} }

func sequential(children ...abi.Effect) abi.Effect {
	return abi.Effect{Kind: abi.KindSequential, Children: children}
}

func parallel(children ...abi.Effect) abi.Effect {
	return abi.Effect{Kind: abi.KindParallel, Children: children}
}

func none() abi.Effect { return abi.Effect{Kind: abi.KindNone} }

// outcomes reads how leaves stand: o open, d done, x dead, c cancelled.
func outcomes(s string) func(int) effects.Outcome {
	return func(i int) effects.Outcome {
		return map[byte]effects.Outcome{'o': effects.Open, 'd': effects.Done, 'x': effects.Dead, 'c': effects.Cancelled}[s[i]]
	}
}

func indices(leaves []effects.Leaf) (list []int) {
	for _, l := range leaves {
		list = append(list, l.Index)
	}
	return list
}

// E5, case by case.
func TestE5_tree(t *testing.T) {
	for _, c := range []struct {
		name     string
		tree     []abi.Effect
		outcomes string
		runnable []int
		skipped  []int
		finished bool
	}{
		{"nothing", nil, "", nil, nil, true},
		{"only what does nothing", []abi.Effect{none(), parallel(), sequential(none(), parallel(none()))}, "", nil, nil, true},
		{"the list is a parallel", []abi.Effect{leaf(), leaf()}, "oo", []int{0, 1}, nil, false},
		{"a sequential starts with its first", []abi.Effect{sequential(leaf(), leaf()), leaf()}, "ooo", []int{0, 2}, nil, false},
		{"then its second", []abi.Effect{sequential(leaf(), leaf())}, "do", []int{1}, nil, false},
		{"none is passed over", []abi.Effect{sequential(none(), parallel(), sequential(), leaf())}, "o", []int{0}, nil, false},
		{"a dead child stops the rest", []abi.Effect{sequential(leaf(), leaf(), leaf()), leaf()}, "dxoo", []int{3}, []int{2}, false},
		{"so does a cancelled one", []abi.Effect{sequential(leaf(), leaf(), leaf())}, "dco", nil, []int{2}, true},
		{"one cancelled before its turn, too", []abi.Effect{sequential(leaf(), leaf(), leaf())}, "oco", []int{0}, []int{2}, false},
		{"a nested parallel is waited for", []abi.Effect{sequential(parallel(leaf(), leaf()), leaf())}, "doo", []int{1}, nil, false},
		{"wholly", []abi.Effect{sequential(parallel(leaf(), leaf()), leaf())}, "ddo", []int{2}, nil, false},
		{"its other branches go on when one is dead", []abi.Effect{sequential(parallel(leaf(), leaf()), leaf())}, "xoo", []int{1}, nil, false},
		{"and then it stops the rest", []abi.Effect{sequential(parallel(leaf(), leaf()), leaf())}, "xdo", nil, []int{2}, true},
		{"a stop goes up", []abi.Effect{sequential(parallel(sequential(leaf(), leaf()), leaf()), leaf())}, "xodo", nil, []int{1, 3}, true},
		{"a parallel is stopped by nothing", []abi.Effect{parallel(leaf(), leaf())}, "xo", []int{1}, nil, false},
		{"all done", []abi.Effect{sequential(leaf(), parallel(leaf()))}, "dd", nil, nil, true},
		{"all given up", []abi.Effect{leaf(), leaf()}, "xc", nil, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			done := outcomes(c.outcomes)
			require.Equal(t, c.runnable, indices(effects.Runnable(c.tree, done)))
			require.Equal(t, c.skipped, indices(effects.Skipped(c.tree, done)))
			require.Equal(t, c.finished, effects.Finished(c.tree, done))
		})
	}
}

// E4: a redrive goes on only where nothing later ran.
func TestE4_laterRan(t *testing.T) {
	tree := []abi.Effect{sequential(leaf(), parallel(leaf(), sequential(leaf(), leaf())), leaf()), leaf()}
	for _, c := range []struct {
		index int
		ran   []int
		want  bool
	}{
		{0, []int{0}, false}, {0, []int{0, 1}, true}, {0, []int{0, 5}, false}, {1, []int{0, 1, 2, 3}, false}, {1, []int{4}, true},
		{2, []int{1, 2}, false}, {2, []int{3}, true}, {3, []int{0, 1, 2, 3}, false}, {3, []int{4}, true}, {4, []int{0, 1, 2, 3, 4, 5}, false},
		{5, []int{0, 1, 2, 3, 4}, false},
	} {
		ran := func(i int) bool { return slices.Contains(c.ran, i) }
		require.Equal(t, c.want, effects.LaterRan(tree, c.index, ran), "leaf %d, ran %v", c.index, c.ran)
	}
}

// genTree draws a tree of up to four levels, with at most 40 leaves.
func genTree(t *rapid.T) []abi.Effect {
	left := 40
	var list func(depth int) []abi.Effect
	list = func(depth int) []abi.Effect {
		children := []abi.Effect{}
		for range rapid.IntRange(0, 4).Draw(t, "children") {
			kind := rapid.IntRange(0, 6).Draw(t, "kind")
			switch {
			case kind == 0:
				children = append(children, none())
			case kind <= 2 && depth < 4:
				children = append(children, sequential(list(depth+1)...))
			case kind <= 4 && depth < 4:
				children = append(children, parallel(list(depth+1)...))
			case left > 0:
				left--
				children = append(children, leaf())
			}
		}
		return children
	}
	return list(1)
}

// model is a tree as a table: each leaf with the way down to it. It is slow, and says each rule in the words of SEMANTICS.
type model struct {
	root  abi.Effect
	paths [][]int // of each leaf: which child at each level
}

func newModel(tree []abi.Effect) *model {
	m := &model{root: parallel(tree...)}
	m.collect(m.root, nil)
	return m
}

func (m *model) collect(e abi.Effect, path []int) {
	if e.Kind.Leaf() {
		m.paths = append(m.paths, slices.Clone(path))
	}
	for i, child := range e.Children {
		m.collect(child, append(path, i))
	}
}

func (m *model) node(path []int) abi.Effect {
	e := m.root
	for _, i := range path {
		e = e.Children[i]
	}
	return e
}

// below are the leaves at or below a node.
func (m *model) below(path []int) (leaves []int) {
	for i, p := range m.paths {
		if len(p) >= len(path) && slices.Equal(p[:len(path)], path) {
			leaves = append(leaves, i)
		}
	}
	return leaves
}

// before are the earlier children of all sequentials around a leaf.
func (m *model) before(index int) (paths [][]int) {
	p := m.paths[index]
	for level := range p {
		if m.node(p[:level]).Kind == abi.KindSequential {
			for i := range p[level] {
				paths = append(paths, append(slices.Clone(p[:level]), i))
			}
		}
	}
	return paths
}

// done: all leaves of it are.
func (m *model) done(path []int, outcome func(int) effects.Outcome) bool {
	return !slices.ContainsFunc(m.below(path), func(i int) bool { return outcome(i) != effects.Done })
}

// stopped: it is not done, and nothing of it can run: each open leaf is behind something of it that is stopped.
func (m *model) stopped(path []int, outcome func(int) effects.Outcome) bool {
	for _, i := range m.below(path) {
		if outcome(i) == effects.Open && !m.skipped(i, path, outcome) {
			return false
		}
	}
	return !m.done(path, outcome)
}

// skipped: an earlier child of a sequential around the leaf, at or below a node, is stopped.
func (m *model) skipped(index int, within []int, outcome func(int) effects.Outcome) bool {
	return slices.ContainsFunc(m.before(index), func(p []int) bool {
		return len(p) > len(within) && slices.Equal(p[:len(within)], within) && m.stopped(p, outcome)
	})
}

func (m *model) runnable(index int, outcome func(int) effects.Outcome) bool {
	return !slices.ContainsFunc(m.before(index), func(p []int) bool { return !m.done(p, outcome) })
}

func (m *model) open(which func(int) bool, outcome func(int) effects.Outcome) (list []int) {
	for i := range m.paths {
		if outcome(i) == effects.Open && which(i) {
			list = append(list, i)
		}
	}
	return list
}

func TestE5_model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := genTree(t)
		m := newModel(tree)
		// Mostly done, or nothing far inside would ever have its turn.
		stands := rapid.SliceOfN(rapid.SampledFrom([]effects.Outcome{effects.Open, effects.Done, effects.Done, effects.Done, effects.Dead, effects.Cancelled}), len(m.paths), len(m.paths)).
			Draw(t, "outcomes")
		outcome := func(i int) effects.Outcome { return stands[i] }
		runnable := m.open(func(i int) bool { return m.runnable(i, outcome) }, outcome)
		require.Equal(t, runnable, indices(effects.Runnable(tree, outcome)))
		require.Equal(t, m.open(func(i int) bool { return m.skipped(i, nil, outcome) }, outcome), indices(effects.Skipped(tree, outcome)))
		require.Equal(t, len(runnable) == 0, effects.Finished(tree, outcome))

		for index := range m.paths {
			ran := func(i int) bool { return stands[i] != effects.Open }
			want := false
			for i := range m.paths {
				for _, p := range m.before(i) {
					want = want || ran(i) && slices.Contains(m.below(p), index)
				}
			}
			require.Equal(t, want, effects.LaterRan(tree, index, ran), "leaf %d", index)
		}
		next := 0
		for l := range effects.Leaves(tree) {
			require.Equal(t, next, l.Index)
			require.Equal(t, abi.KindCall, l.Effect.Kind)
			next++
		}
		require.Equal(t, len(m.paths), next)
	})
}

// From start to end: whatever the outcomes, each leaf runs once or is skipped, in order.
func TestE5_run(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := genTree(t)
		m := newModel(tree)
		stands := make([]effects.Outcome, len(m.paths))
		outcome := func(i int) effects.Outcome { return stands[i] }
		for range len(m.paths) + 1 {
			runnable := effects.Runnable(tree, outcome)
			require.Equal(t, len(runnable) == 0, effects.Finished(tree, outcome))
			if len(runnable) == 0 {
				break
			}
			l := rapid.SampledFrom(runnable).Draw(t, "leaf")
			for _, p := range m.before(l.Index) {
				require.True(t, m.done(p, outcome))
			}
			stands[l.Index] = rapid.SampledFrom([]effects.Outcome{effects.Done, effects.Done, effects.Done, effects.Dead}).Draw(t, "outcome")
		}
		require.True(t, effects.Finished(tree, outcome))
		require.Equal(t, m.open(func(int) bool { return true }, outcome), indices(effects.Skipped(tree, outcome)), "open at the end, and not skipped")
	})
}

func TestLeaves_stop(t *testing.T) {
	for l := range effects.Leaves([]abi.Effect{sequential(leaf(), leaf()), leaf()}) {
		require.Zero(t, l.Index)
		break
	}
}

func TestTree_allocations(t *testing.T) {
	tree := []abi.Effect{sequential(leaf(), parallel(leaf(), leaf())), leaf()}
	open := outcomes("oooo")
	require.Zero(t, testing.AllocsPerRun(100, func() { effects.Finished(tree, open) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { effects.Skipped(tree, open) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { effects.LaterRan(tree, 0, func(int) bool { return false }) }))
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { effects.Runnable(tree, open) }), 2.0)
}

// E1: the key of a leaf is text, and that of its emissions begins with it.
func TestE1_key(t *testing.T) {
	life := [16]byte{0: 0xab, 15: 0x01}
	key := effects.Key(life, 7, 2)
	require.Equal(t, "ab000000000000000000000000000001/7/2", key)
	require.Equal(t, key+".0", effects.EmissionKey(key, 0))
	require.Equal(t, "ab000000000000000000000000000001/18446744073709551615/255.18446744073709551615", effects.EmissionKey(effects.Key(life, 1<<64-1, 255), 1<<64-1))
}

func ExampleRunnable() {
	// Charge, then ship and send a mail at once, then close.
	tree := []abi.Effect{{Kind: abi.KindSequential, Children: []abi.Effect{
		{Kind: abi.KindCall, Target: "charge"},
		{Kind: abi.KindParallel, Children: []abi.Effect{{Kind: abi.KindCall, Target: "ship"}, {Kind: abi.KindCall, Target: "mail"}}},
		{Kind: abi.KindCall, Target: "close"},
	}}}
	stands := make([]effects.Outcome, 4)
	done := func(index int) effects.Outcome { return stands[index] }
	show := func() {
		for _, l := range effects.Runnable(tree, done) {
			fmt.Print(l.Index, " ", l.Effect.Target, "; ")
		}
		fmt.Println("finished:", effects.Finished(tree, done))
	}
	show()
	stands[0] = effects.Done
	show()
	stands[1], stands[2] = effects.Done, effects.Dead
	show()
	for _, l := range effects.Skipped(tree, done) {
		fmt.Println("skipped:", l.Effect.Target)
	}
	// Output:
	// 0 charge; finished: false
	// 1 ship; 2 mail; finished: false
	// finished: true
	// skipped: close
}

func BenchmarkRunnable(b *testing.B) {
	children := make([]abi.Effect, abi.MaxLeaves)
	for i := range children {
		children[i] = leaf()
	}
	for _, c := range []struct {
		name string
		tree []abi.Effect
	}{{"tree=leaf", children[:1]}, {"tree=parallel256", children}, {"tree=sequential256", []abi.Effect{sequential(children...)}}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				effects.Runnable(c.tree, func(int) effects.Outcome { return effects.Open })
			}
		})
	}
}
