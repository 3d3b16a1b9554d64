package meter

import "fmt"

func (s *source) readElements(r *reader) {
	s.elements = r.count("element segments", 2)
	if !r.bound("module", "segments", s.elements, s.limits.Segments) {
		return
	}
	d := &decoder{reader: *r, opcodes: opcodeTable()}
	for i := 0; i < s.elements && d.err == nil; i++ {
		d.where = fmt.Sprintf("element segment %d", i)
		s.readElement(d)
	}
	*r = d.reader
}

func (s *source) readElement(d *decoder) {
	at := d.pos
	flags := d.u32()
	if flags > 7 {
		d.fail(at, "%s: flags 0x%02x", d.where, flags)
		return
	}
	const passive, explicit, expressions = 1, 2, 4
	active := flags&passive == 0
	if active && flags&explicit != 0 {
		at := d.pos
		if t := d.u32(); d.err == nil && int(t) >= len(s.tables) {
			d.fail(at, "%s: table %d of %d", d.where, t, len(s.tables))
		}
	}
	if active {
		s.constant(d)
	}
	if flags&3 != 0 {
		if flags&expressions != 0 {
			d.refType(d.where)
		} else {
			d.zero()
		}
	}
	n := d.count("elements", 1)
	s.elementEntries += n
	if !d.bound("module", "element entries", s.elementEntries, s.limits.ElementEntries) {
		return
	}
	for j := 0; j < n && d.err == nil; j++ {
		if flags&expressions != 0 {
			s.constant(d)
		} else {
			at := d.pos
			s.address(d, at, d.u32())
		}
	}
}

func (s *source) readData(r *reader) {
	s.dataSegments = r.count("data segments", 2)
	if !r.bound("module", "segments", s.elements+s.dataSegments, s.limits.Segments) {
		return
	}
	d := &decoder{reader: *r, opcodes: opcodeTable()}
	for i := 0; i < s.dataSegments && d.err == nil; i++ {
		d.where = fmt.Sprintf("data segment %d", i)
		at := d.pos
		flags := d.u32()
		if flags > 2 {
			d.fail(at, "%s: flags 0x%02x", d.where, flags)
		}
		if flags == 2 && d.u32() != 0 {
			d.fail(at, "%s: memory other than 0", d.where)
		}
		if flags != 1 {
			s.constant(d)
		}
		d.skip(d.count("data bytes", 1))
	}
	*r = d.reader
}

// constant reads a constant expression and its end.
func (s *source) constant(d *decoder) {
	var in instruction
	for d.err == nil {
		at := d.pos
		d.next(&in)
		if d.err != nil {
			return
		}
		switch in.op {
		case opEnd:
			return
		case opI32Const, opI64Const, opF32Const, opF64Const, opRefNull,
			opI32Add, opI32Sub, opI32Mul, opI64Add, opI64Sub, opI64Mul:
		case opGlobalGet:
			if int(in.index) >= len(s.globals) {
				d.fail(at, "%s: global %d of %d", d.where, in.index, len(s.globals))
			}
		case opRefFunc:
			s.address(d, at, in.index)
		case opVector:
			if in.sub != vectorConst {
				d.fail(at, "%s: not a constant expression", d.where)
			}
		default:
			d.fail(at, "%s: not a constant expression", d.where)
		}
	}
}

// address notes that a reference to a function exists.
func (s *source) address(d *decoder, at int, function uint32) {
	if int(function) >= len(s.functions) {
		d.fail(at, "%s: function %d of %d", d.where, function, len(s.functions))
		return
	}
	if s.addressed == nil {
		s.addressed = make([]bool, len(s.functions))
	}
	s.addressed[function] = true
}
