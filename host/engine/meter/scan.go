package meter

// What metering adds, as far as bounds must know it before the code is written.
const (
	addedLocals  = 2 // the fuel counter, and the length of bulk operations
	addedBlocks  = 2 // one that all exits leave through, one that an empty counter leaves through
	addedGlobals = 2 // the counters, both mutable
	addedExports = 2
)

// function is what the first pass learns about a function with a body.
type function struct {
	groups    int // declared groups of locals
	groupsAt  int // offset of the first group
	codeAt    int // offset of the first instruction
	variables int // parameters and locals: the index of the first local that metering adds
	bulk      bool
	indirect  bool // may call whatever a table or reference holds
	edges     int  // end of its callees in code.edges; they start where those of the function before end
	units     int64
	recursive bool // part of a cycle of the call graph
}

// code is the result of the first pass over all bodies.
type code struct {
	functions []function
	edges     []uint32 // functions with bodies, without repetition within a caller

	locals, targets, values, merges, flow int // totals
}

// label is an open block while scanning.
type label struct {
	op     byte
	values int // how many a branch to its label carries
}

// scanner makes the first pass: structure, bounds and calls.
type scanner struct {
	source  *source
	code    *code
	d       decoder
	open    []label
	callers []uint32 // by callee: the last caller seen, plus one

	mutable                        int
	blocks, loops, targets, values int // of the current function
}

func (s *source) scan() (*code, error) {
	c := &scanner{
		source:  s,
		code:    &code{functions: make([]function, 0, len(s.bodies))},
		d:       decoder{reader: reader{module: s.bytes}, opcodes: opcodeTable()},
		callers: make([]uint32, len(s.bodies)),
		mutable: s.mutableGlobals() + addedGlobals,
	}
	for i := range s.bodies {
		if err := c.function(i); err != nil {
			return nil, err
		}
	}
	return c.code, nil
}

func (c *scanner) function(i int) error {
	d, s, l := &c.d, c.source, &c.source.limits
	d.pos, d.end = s.bodies[i].start, s.bodies[i].end
	index := s.imported() + i
	d.where = functionName(index)
	sig := s.signature(index)
	f := function{variables: len(sig.params)}

	f.groups = d.count("groups of locals", 2)
	f.groupsAt = d.pos
	for range f.groups {
		n := d.u32()
		d.valueType(d.where)
		// Checked as it grows, so that it cannot overflow.
		if !d.bound(d.where, "locals", int(min(uint64(f.variables)+uint64(n), 1<<40))+addedLocals, l.Locals) {
			break
		}
		f.variables += int(n)
	}
	f.codeAt = d.pos
	c.code.locals += f.variables + addedLocals
	d.bound("module", "locals", c.code.locals, l.LocalsTotal)

	c.open = append(c.open[:0], label{values: len(sig.results)})
	c.blocks, c.loops, c.targets, c.values = addedBlocks, 0, 0, 0
	var in instruction
	for d.err == nil && len(c.open) > 0 {
		d.next(&in)
		if d.err == nil {
			c.instruction(uint32(i), &f, &in)
		}
	}
	if d.err == nil && !d.done() {
		d.fail(d.pos, "%s: code after its end", d.where)
	}
	c.total(&f)
	f.edges = len(c.code.edges)
	f.units = int64(1 + f.variables/8 + (s.bodies[i].end-s.bodies[i].start)/512)
	c.code.functions = append(c.code.functions, f)
	return d.err
}

// total checks what is counted over a function and adds it to the module's.
func (c *scanner) total(f *function) {
	d, l := &c.d, &c.source.limits
	merges := (f.variables + addedLocals + c.mutable) * (c.blocks + c.loops)
	c.code.targets += c.targets
	c.code.values += c.values
	c.code.merges += merges
	c.code.flow += (c.blocks + 10*c.loops) * (c.blocks + c.loops)
	d.bound(d.where, "values carried by branches and calls", c.values, l.Values)
	d.bound(d.where, "values to merge (locals and mutable globals times blocks)", merges, l.Merges)
	d.bound("module", "br_table targets", c.code.targets, l.BrTargetsTotal)
	d.bound("module", "values carried by branches and calls", c.code.values, l.ValuesTotal)
	d.bound("module", "values to merge (locals and mutable globals times blocks)", c.code.merges, l.MergesTotal)
	d.bound("module", "squared blocks and loops", c.code.flow, l.FlowTotal)
}

func (c *scanner) instruction(caller uint32, f *function, in *instruction) {
	d, s, l := &c.d, c.source, &c.source.limits
	switch in.op {
	case opBlock, opLoop, opIf:
		if in.op == opLoop {
			c.loop()
		} else {
			c.block()
		}
		d.bound(d.where, "nested blocks", len(c.open)+addedBlocks, l.ControlDepth)
		c.open = append(c.open, label{in.op, c.labelValues(in)})
	case opElse:
		if b := &c.open[len(c.open)-1]; b.op != opIf {
			d.fail(in.start, "%s: else without if", d.where)
		} else {
			b.op = opElse
		}
	case opEnd:
		c.open = c.open[:len(c.open)-1]
	case opBr, opBrIf, opBrTable:
		if int(in.index) >= len(c.open) {
			d.fail(in.start, "%s: label %d in %d blocks", d.where, in.index, len(c.open))
			return
		}
		// All labels of a br_table carry the same number of values.
		carried := int(c.open[len(c.open)-1-int(in.index)].values)
		if in.op != opBrTable {
			c.values += carried
			return
		}
		c.targets += in.targets * (1 + carried)
		d.bound(d.where, "br_table targets", c.targets, l.BrTargets)
	case opCall, opReturnCall, opRefFunc:
		if int(in.index) >= len(s.functions) {
			d.fail(in.start, "%s: function %d of %d", d.where, in.index, len(s.functions))
			return
		}
		if in.op == opRefFunc {
			s.address(d, in.start, in.index)
			return
		}
		c.values += c.mutable + len(s.signature(int(in.index)).results)
		c.edge(caller, in.index)
	case opCallIndirect, opReturnCallIndirect:
		if c.checkType(in, int64(in.index)) {
			c.values += c.mutable + len(s.types[in.index].results)
		}
		f.indirect = true
	case opLocalGet, opLocalSet, opLocalTee:
		if int(in.index) >= f.variables {
			d.fail(in.start, "%s: local %d of %d", d.where, in.index, f.variables)
		}
	case opGlobalGet, opGlobalSet:
		if int(in.index) >= len(s.globals) {
			d.fail(in.start, "%s: global %d of %d", d.where, in.index, len(s.globals))
		}
	case opMemoryGrow:
		f.bulk = true
		c.block()
	case opMisc:
		if chargedByLength(in) {
			f.bulk = true
			c.loop()
		}
	}
}

func (c *scanner) block() {
	c.blocks++
	c.d.bound(c.d.where, "blocks", c.blocks, c.source.limits.Blocks)
}

func (c *scanner) loop() {
	c.loops++
	c.d.bound(c.d.where, "loops", c.loops, c.source.limits.Blocks)
}

// labelValues is how many values a branch to a new block carries.
func (c *scanner) labelValues(in *instruction) int {
	if in.block < 0 {
		if in.op == opLoop || in.block == blockNone {
			return 0
		}
		return 1
	}
	if !c.checkType(in, in.block) {
		return 0
	}
	t := &c.source.types[in.block]
	if in.op == opLoop {
		return len(t.params)
	}
	return len(t.results)
}

func (c *scanner) checkType(in *instruction, t int64) bool {
	if t >= int64(len(c.source.types)) {
		c.d.fail(in.start, "%s: type %d of %d", c.d.where, t, len(c.source.types))
		return false
	}
	return true
}

// edge records a call once per caller. Imports have no code of ours and never call back.
func (c *scanner) edge(caller, callee uint32) {
	if int(callee) < c.source.imported() {
		return
	}
	callee -= uint32(c.source.imported())
	if c.callers[callee] != caller+1 {
		c.callers[callee] = caller + 1
		c.code.edges = append(c.code.edges, callee)
	}
}

// chargedByLength says whether an opMisc instruction costs fuel by the length on top of the stack.
func chargedByLength(in *instruction) bool {
	switch in.sub {
	case miscMemoryInit, miscMemoryCopy, miscMemoryFill, miscTableInit, miscTableCopy, miscTableGrow, miscTableFill:
		return true
	}
	return false
}
