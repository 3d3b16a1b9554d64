package meter

// rewriter makes the second pass: it copies each body and puts the counting between.
//
// A metered function looks like this; nothing in it changes what the operands of the original are:
//
//	locals..., i64 (fuel), [i32 (length)]
//	block                         ;; $out
//	  block (result of function)  ;; $body: branches to the function's label end here, as does return
//	    charge and test at entry
//	    original code
//	  end
//	  store fuel, give depth back
//	  return
//	end
//	store fuel
//	unreachable
type rewriter struct {
	source *source
	code   *code
	d      decoder
	types  appendedTypes

	fuelGlobal, depthGlobal uint32

	body    []byte  // the function so far
	segment segment // the one being read
	around  segment // the one that the if being read stands in, while held
	held    bool
	open    []scope
	dead    bool // behind a branch: never executed, so neither charged nor changed

	function *function
	load     []byte // global to local
	store    []byte // local to global
	release  []byte // give depth back
}

// segment is what is charged for at once; it is written to body behind its charge.
type segment struct {
	code  []byte
	cost  int64
	begin begin
	level int // len(open) where it starts
}

// start empties the segment.
func (s *segment) start(b begin, level int) { *s = segment{code: s.code[:0], begin: b, level: level} }

// begin says where a segment begins, which decides what is emitted in front of it.
type begin uint8

const (
	beginEntry begin = iota
	beginLoop
	beginOther
)

type scope struct {
	op   byte
	dead bool // the block itself is never executed
}

// bodies returns the content of the code section.
func (w *rewriter) bodies() ([]byte, error) {
	s := w.source
	out := appendU32(nil, uint32(len(s.bodies)))
	for i := range s.bodies {
		if err := w.rewrite(i); err != nil {
			return nil, err
		}
		where := functionName(s.imported() + i)
		if err := bound(where, "body bytes", len(w.body), s.limits.BodyBytes); err != nil {
			return nil, err
		}
		out = appendU32(out, uint32(len(w.body)))
		out = append(out, w.body...)
		if err := bound("module", "bytes", len(out), s.limits.ModuleBytes); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (w *rewriter) rewrite(i int) error {
	s, f := w.source, &w.code.functions[i]
	w.function = f
	fuel := uint32(f.variables)
	w.load = appendOp(appendOp(w.load[:0], opGlobalGet, w.fuelGlobal), opLocalSet, fuel)
	w.store = appendOp(appendOp(w.store[:0], opLocalGet, fuel), opGlobalSet, w.fuelGlobal)
	w.release = w.release[:0]
	if f.recursive {
		w.release = w.depth(w.release, opI64Add)
	}

	w.locals(f)
	w.body = append(w.body, opBlock, blockEmpty, opBlock)
	w.body = w.types.appendBlock(w.body, s.signature(s.imported()+i).results)

	d := &w.d
	d.pos, d.end = f.codeAt, s.bodies[i].end
	d.where = functionName(s.imported() + i)
	w.open, w.dead = w.open[:0], false
	w.segment.start(beginEntry, 0)
	w.held = false
	var in instruction
	for d.err == nil && !d.done() {
		d.next(&in)
		w.instruction(&in)
	}
	w.flush()
	w.body = append(w.body, w.store...)
	w.body = append(w.body, w.release...)
	w.body = append(w.body, opReturn, opEnd)
	w.body = append(w.body, w.store...)
	w.body = append(w.body, opUnreachable, opEnd)
	return d.err
}

// locals writes the declarations with the added ones behind them.
func (w *rewriter) locals(f *function) {
	added := 1
	if f.bulk {
		added = 2
	}
	w.body = appendU32(w.body[:0], uint32(f.groups+added))
	w.body = append(w.body, w.source.bytes[f.groupsAt:f.codeAt]...)
	w.body = append(w.body, 1, typeI64)
	if f.bulk {
		w.body = append(w.body, 1, typeI32)
	}
}

func (w *rewriter) instruction(in *instruction) {
	raw := w.source.bytes[in.start:in.end]
	switch in.op {
	case opBlock, opLoop, opIf:
		w.settle()
		w.open = append(w.open, scope{in.op, w.dead})
		w.copy(raw, in.cost)
		if in.op == opIf {
			w.hold()
		} else if in.op == opLoop {
			w.next(beginLoop)
		}
		return
	case opElse:
		w.settle()
		w.copy(raw, in.cost)
		w.dead = w.open[len(w.open)-1].dead
		w.next(beginOther)
		return
	case opEnd:
		w.copy(raw, in.cost)
		if n := len(w.open); n > 0 { // else the end of the function, which closes $body
			w.dead = w.open[n-1].dead
			w.open = w.open[:n-1]
			if w.held {
				w.resume()
			} else {
				w.next(beginOther)
			}
		}
		return
	}
	if w.dead {
		w.copy(raw, 0)
		return
	}
	switch in.op {
	case opUnreachable:
		w.segment.code = append(w.segment.code, w.store...)
		w.copy(raw, in.cost)
		w.dead = true
	case opBr, opBrTable:
		w.copy(raw, in.cost)
		w.dead = true
	case opReturn:
		w.segment.cost += int64(in.cost)
		w.leave()
	case opCall, opCallIndirect:
		w.call(raw, in)
	case opReturnCall, opReturnCallIndirect:
		w.tailCall(raw, in)
	case opMemoryGrow:
		w.chargeGrow()
		w.copy(raw, in.cost)
	case opMisc:
		if chargedByLength(in) {
			w.chargeLength()
		}
		w.copy(raw, in.cost)
	default:
		w.copy(raw, in.cost)
	}
}

func (w *rewriter) copy(raw []byte, cost uint8) {
	w.segment.code = append(w.segment.code, raw...)
	if !w.dead {
		w.segment.cost += int64(cost)
	}
}

func (w *rewriter) call(raw []byte, in *instruction) {
	w.segment.code = append(w.segment.code, w.store...)
	w.copy(raw, in.cost)
	w.segment.code = append(w.segment.code, w.load...)
}

// leave branches to the end of $body.
func (w *rewriter) leave() {
	w.segment.code = appendOp(w.segment.code, opBr, uint32(len(w.open)))
	w.dead = true
}

// tailCall keeps a tail call where every compiler can make one. With arguments or results on the machine stack they fall back to
// a plain call, which would use stack that nobody counts, so there it becomes a plain call that is counted.
func (w *rewriter) tailCall(raw []byte, in *instruction) {
	s := w.source
	var t *functionType
	if in.op == opReturnCall {
		t = s.signature(int(in.index))
	} else {
		t = &s.types[in.index]
	}
	if !inRegisters(t.params) || !inRegisters(t.results) {
		plain := append([]byte{in.op - opReturnCall + opCall}, raw[1:]...)
		w.call(plain, in)
		w.leave()
		return
	}
	w.segment.code = append(w.segment.code, w.store...)
	w.segment.code = append(w.segment.code, w.release...)
	w.copy(raw, in.cost)
	w.dead = true
}

// inRegisters says whether values travel in registers on every machine that wazero compiles for: six integers beside its two own, eight floats or vectors.
func inRegisters(types []byte) bool {
	integers, floats := 0, 0
	for _, t := range types {
		switch t {
		case typeF32, typeF64, typeV128:
			floats++
		default:
			integers++
		}
	}
	return integers <= 6 && floats <= 8
}

// chargeLength charges n/8 for the length n on top of the stack and tests. The 1 is the instruction's own.
func (w *rewriter) chargeLength() {
	w.chargeTop(func(b []byte) []byte {
		return append(b, opI64Const, 3, opI64ShrU)
	})
}

// chargeGrow charges for the pages on top of the stack and tests.
func (w *rewriter) chargeGrow() {
	w.chargeTop(func(b []byte) []byte {
		b = append(appendS64(append(b, opI64Const), growPageCost), opI64Mul)
		return append(appendS64(append(b, opI64Const), growCost), opI64Add)
	})
}

// chargeTop charges price(n) for the unsigned i32 n on top of the stack, which stays there.
func (w *rewriter) chargeTop(price func([]byte) []byte) {
	fuel, length := uint32(w.function.variables), uint32(w.function.variables)+1
	b := appendOp(w.segment.code, opLocalTee, length)
	b = appendOp(b, opLocalGet, fuel)
	b = append(appendOp(b, opLocalGet, length), opI64ExtendI32U)
	b = append(price(b), opI64Sub)
	w.segment.code = w.test(appendOp(b, opLocalTee, fuel), len(w.open))
}

// test takes the i64 on top of the stack and leaves through $out when it is negative. level is the number of blocks open there.
func (w *rewriter) test(b []byte, level int) []byte {
	return appendOp(append(b, opI64Const, 0, opI64LtS), opBrIf, uint32(level)+1)
}

// depth adds the function's units to the depth left, or takes them off.
func (w *rewriter) depth(b []byte, op byte) []byte {
	b = appendS64(append(appendOp(b, opGlobalGet, w.depthGlobal), opI64Const), w.function.units)
	return appendOp(append(b, op), opGlobalSet, w.depthGlobal)
}

// next ends a segment and begins another.
func (w *rewriter) next(b begin) {
	w.flush()
	w.segment.start(b, len(w.open))
}

// hold puts the segment aside while the then of an if is read. When that holds no blocks and no else follows, the segment goes on behind the if: who
// entered it comes there too, unless the then leaves. Most ifs are of this kind, in Go one behind each call, and a charge less for each is felt.
func (w *rewriter) hold() {
	w.segment, w.around, w.held = w.around, w.segment, true
	w.segment.start(beginOther, len(w.open))
}

// resume goes on with the segment that was put aside, in which the then lies now, behind a charge of its own.
func (w *rewriter) resume() {
	w.around.code = w.charged(w.around.code, &w.segment)
	w.segment, w.around, w.held = w.around, w.segment, false
}

// settle ends the segment that was put aside, as the if turns out to be of another kind.
func (w *rewriter) settle() {
	if w.held {
		w.body, w.held = w.charged(w.body, &w.around), false
	}
}

// flush writes the segment.
func (w *rewriter) flush() { w.body = w.charged(w.body, &w.segment) }

// charged appends a segment behind its charge.
func (w *rewriter) charged(b []byte, s *segment) []byte {
	fuel := uint32(w.function.variables)
	switch {
	case s.begin == beginEntry:
		if w.function.recursive {
			b = w.depth(b, opI64Sub)
		}
		b = appendOp(less(appendOp(b, opGlobalGet, w.fuelGlobal), s.cost), opLocalTee, fuel)
		if w.function.recursive {
			b = append(appendOp(b, opGlobalGet, w.depthGlobal), opI64Or) // one test for both counters
		}
		b = w.test(b, 0)
	case s.begin == beginLoop:
		b = w.test(appendOp(less(appendOp(b, opLocalGet, fuel), s.cost), opLocalTee, fuel), s.level)
	case s.cost > 0:
		b = appendOp(less(appendOp(b, opLocalGet, fuel), s.cost), opLocalSet, fuel)
	}
	return append(b, s.code...)
}

// less takes a cost off the i64 on top of the stack.
func less(b []byte, cost int64) []byte {
	return append(appendS64(append(b, opI64Const), cost), opI64Sub)
}

func appendOp(b []byte, op byte, index uint32) []byte { return appendU32(append(b, op), index) }
