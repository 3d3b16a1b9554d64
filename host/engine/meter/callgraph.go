package meter

// callGraph finds the functions that can be on the stack more than once, and how deep the others can stack up.
//
// Node n stands for "whatever a table or a reference holds": functions that call indirectly point to it, and it points
// to every function whose address exists. So all table functions that reach an indirect call count as one cycle.
// The host never lets an import call the guest, so no cycle leads through an import.
type callGraph struct {
	code    *code
	targets []uint32 // functions with bodies whose address exists

	order   []int32 // when a node was first seen, from 1; 0 = not yet
	low     []int32
	onStack []bool
	stack   []int32
	chain   []int64 // units of the deepest chain of non-recursive functions starting at a node
	seen    int32
}

// measure marks recursive functions and returns the units of the deepest chain of calls that counts no recursive function.
// Such a chain is all that can stack up uncounted, since each of its functions is on the stack at most once.
func (c *code) measure(s *source) int64 {
	n := len(c.functions)
	g := &callGraph{
		code:  c,
		order: make([]int32, n+1), low: make([]int32, n+1), onStack: make([]bool, n+1), chain: make([]int64, n+1),
	}
	for i, addressed := range s.addressed {
		if i >= s.imported() && addressed {
			g.targets = append(g.targets, uint32(i-s.imported()))
		}
	}
	var deepest int64
	for i := range c.functions {
		if g.order[i] == 0 {
			g.visit(int32(i))
		}
		deepest = max(deepest, g.chain[i])
	}
	return deepest
}

// callee returns the k-th callee of a node, or -1.
func (g *callGraph) callee(node int32, k int) int32 {
	if int(node) == len(g.code.functions) {
		if k < len(g.targets) {
			return int32(g.targets[k])
		}
		return -1
	}
	f := &g.code.functions[node]
	start := 0
	if node > 0 {
		start = g.code.functions[node-1].edges
	}
	switch n := f.edges - start; {
	case k < n:
		return int32(g.code.edges[start+k])
	case k == n && f.indirect:
		return int32(len(g.code.functions))
	}
	return -1
}

// visit is Tarjan's algorithm with its own stack, since a module may chain 100,000 functions.
func (g *callGraph) visit(root int32) {
	type frame struct {
		node int32
		next int
	}
	frames := []frame{{node: root}}
	g.enter(root)
	for len(frames) > 0 {
		top := &frames[len(frames)-1]
		callee := g.callee(top.node, top.next)
		top.next++
		switch {
		case callee < 0:
			node := top.node
			frames = frames[:len(frames)-1]
			if len(frames) > 0 {
				parent := frames[len(frames)-1].node
				g.low[parent] = min(g.low[parent], g.low[node])
			}
			if g.low[node] == g.order[node] {
				g.component(node)
			}
		case g.order[callee] == 0:
			g.enter(callee)
			frames = append(frames, frame{node: callee})
		case g.onStack[callee]:
			g.low[top.node] = min(g.low[top.node], g.order[callee])
		}
	}
}

func (g *callGraph) enter(node int32) {
	g.seen++
	g.order[node], g.low[node] = g.seen, g.seen
	g.stack = append(g.stack, node)
	g.onStack[node] = true
}

// component takes a finished strongly connected component off the stack. Its callees outside are finished already.
func (g *callGraph) component(root int32) {
	at := len(g.stack) - 1
	for g.stack[at] != root {
		at--
	}
	members := g.stack[at:]
	g.stack = g.stack[:at]
	cyclic := len(members) > 1
	var below int64
	for _, node := range members {
		g.onStack[node] = false
		for k := 0; ; k++ {
			callee := g.callee(node, k)
			if callee < 0 {
				break
			}
			cyclic = cyclic || callee == node
			below = max(below, g.chain[callee]) // 0 within the component
		}
	}
	for _, node := range members {
		g.chain[node] = below
		if int(node) == len(g.code.functions) {
			continue
		}
		f := &g.code.functions[node]
		if f.recursive = cyclic; !cyclic {
			g.chain[node] += f.units
		}
	}
}
