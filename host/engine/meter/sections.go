package meter

import (
	"fmt"
	"math"
)

const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
	sectionTag
)

// The kinds of imports and exports.
const (
	KindFunction byte = iota
	KindTable
	KindMemory
	KindGlobal
	kindTag
)

// memoryPages is the number of pages a 32-bit memory can have at all.
const memoryPages = 1 << 16

type section struct {
	id         byte
	start, end int // of the content
}

type functionType struct{ params, results []byte }

type table struct {
	ref      byte
	min, max uint32
	hasMax   bool
}

type global struct {
	typ     byte
	mutable bool
}

// source is a parsed module: what later passes need, with offsets into the original bytes for what they copy.
type source struct {
	limits Limits
	bytes  []byte

	sections  []section // in file order
	types     []functionType
	imports   []Import
	functions []uint32 // type index of every function, imports first
	tables    []table
	memory    *table // only min, max and hasMax
	globals   []global
	exports   []Export
	hasStart  bool
	addressed []bool // functions that a table or a reference may hold
	bodies    []section
	dataCount int // -1 without a data count section

	elements, dataSegments int
	elementEntries         int
}

// imported is the number of imported functions: the index of the first one with a body.
func (s *source) imported() int { return len(s.imports) }

// signature is the type of a function. REQUIRES: index was checked.
func (s *source) signature(function int) *functionType { return &s.types[s.functions[function]] }

func (s *source) mutableGlobals() int {
	n := 0
	for _, g := range s.globals {
		if g.mutable {
			n++
		}
	}
	return n
}

// parse reads everything except the code in the function bodies.
func parse(wasm []byte, l Limits) (*source, error) {
	s := &source{limits: l, bytes: wasm, dataCount: -1}
	if err := bound("module", "bytes", len(wasm), l.ModuleBytes); err != nil {
		return nil, err
	}
	r := &reader{module: wasm, end: len(wasm)}
	if string(r.bytes(4)) != "\x00asm" {
		return nil, &MalformedError{What: "not a WebAssembly module"}
	}
	if string(r.bytes(4)) != "\x01\x00\x00\x00" {
		return nil, &MalformedError{Offset: 4, What: "not version 1 of the binary format"}
	}
	last := 0
	for !r.done() {
		at := r.pos
		id := r.byte()
		size := r.count("section bytes", 1)
		if r.err != nil {
			return nil, r.err
		}
		if id == sectionTag {
			return nil, &FeatureError{Feature: "exceptions", Where: "tag section"}
		}
		if id > sectionDataCount {
			return nil, &MalformedError{Offset: at, What: fmt.Sprintf("unknown section %d", id)}
		}
		if id != sectionCustom {
			if place(id) <= last {
				return nil, &MalformedError{Offset: at, What: fmt.Sprintf("section %d out of order", id)}
			}
			last = place(id)
		}
		sec := section{id: id, start: r.pos, end: r.pos + size}
		s.sections = append(s.sections, sec)
		if err := s.section(sec); err != nil {
			return nil, err
		}
		r.skip(size)
	}
	return s, s.complete()
}

// place is where a section stands in the order of the binary format.
func place(id byte) int {
	if id == sectionDataCount {
		return 2*sectionElement + 1
	}
	return 2 * int(id)
}

func (s *source) section(sec section) error {
	r := &reader{module: s.bytes, pos: sec.start, end: sec.end}
	switch sec.id {
	case sectionCustom:
		r.name(s.limits.NameBytes)
		r.pos = r.end
	case sectionType:
		s.readTypes(r)
	case sectionImport:
		s.readImports(r)
	case sectionFunction:
		s.readFunctions(r)
	case sectionTable:
		s.readTables(r)
	case sectionMemory:
		s.readMemory(r)
	case sectionGlobal:
		s.readGlobals(r)
	case sectionExport:
		s.readExports(r)
	case sectionStart:
		s.hasStart = true
		s.function(r, "start")
	case sectionElement:
		s.readElements(r)
	case sectionCode:
		s.readBodies(r)
	case sectionData:
		s.readData(r)
	case sectionDataCount:
		s.dataCount = int(r.u32())
	}
	if r.err == nil && !r.done() {
		r.fail(r.pos, "section %d is longer than its content", sec.id)
	}
	return r.err
}

// complete checks what concerns several sections.
func (s *source) complete() error {
	if have, want := len(s.bodies), len(s.functions)-s.imported(); have != want {
		return &MalformedError{Offset: len(s.bytes), What: fmt.Sprintf("%d function bodies for %d functions", have, want)}
	}
	if s.dataCount >= 0 && s.dataCount != s.dataSegments {
		return &MalformedError{Offset: len(s.bytes), What: fmt.Sprintf("data count %d for %d data segments", s.dataCount, s.dataSegments)}
	}
	for _, f := range []func() error{
		func() error { return bound("module", "functions", len(s.functions), s.limits.Functions) },
		func() error { return bound("module", "exports", len(s.exports)+2, s.limits.Exports) },
		func() error { return bound("module", "globals", len(s.globals)+2, s.limits.Globals) },
		func() error { return bound("module", "segments", s.elements+s.dataSegments, s.limits.Segments) },
	} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// bound refuses have things when the limit is lower.
func bound(where, what string, have, limit int) error {
	if have <= limit {
		return nil
	}
	return &BoundError{What: what, Where: where, Have: uint64(have), Limit: uint64(limit)}
}

func (r *reader) bound(where, what string, have, limit int) bool {
	if err := bound(where, what, have, limit); err != nil {
		r.refuse(err)
		return false
	}
	return true
}

func (s *source) readTypes(r *reader) {
	n := r.count("types", 3)
	if !r.bound("module", "types", n, s.limits.Types) {
		return
	}
	s.types = make([]functionType, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		where := fmt.Sprintf("type %d", i)
		at := r.pos
		switch form := r.byte(); form {
		case 0x60:
		case 0x4d, 0x4e, 0x4f, 0x50, 0x5e, 0x5f:
			r.refuse(&FeatureError{Feature: "garbage collection", Where: where})
			return
		default:
			r.fail(at, "%s: 0x%02x is not a function type", where, form)
			return
		}
		params := s.values(r, where, "parameters")
		s.types = append(s.types, functionType{params, s.values(r, where, "results")})
	}
}

func (s *source) values(r *reader, where, what string) []byte {
	n := r.count(what, 1)
	if !r.bound(where, what, n, s.limits.Params) {
		return nil
	}
	start := r.pos
	for i := 0; i < n && r.err == nil; i++ {
		r.valueType(where)
	}
	if r.err != nil {
		return nil
	}
	return r.module[start:r.pos]
}

// typeIndex reads the index of an original type. Metering appends types, so an index that was too large must not become valid.
func (s *source) typeIndex(r *reader, where string) uint32 {
	at := r.pos
	t := r.u32()
	if r.err == nil && int(t) >= len(s.types) {
		r.fail(at, "%s: type %d of %d", where, t, len(s.types))
		return 0
	}
	return t
}

func (s *source) function(r *reader, where string) int {
	at := r.pos
	f := r.u32()
	if r.err == nil && int(f) >= len(s.functions) {
		r.fail(at, "%s: function %d of %d", where, f, len(s.functions))
		return 0
	}
	return int(f)
}

func (s *source) readImports(r *reader) {
	n := r.count("imports", 4)
	if !r.bound("module", "functions", n, s.limits.Functions) {
		return
	}
	for i := 0; i < n && r.err == nil; i++ {
		module, name := r.name(s.limits.NameBytes), r.name(s.limits.NameBytes)
		where := fmt.Sprintf("import %d %s.%s", i, module, name)
		at := r.pos
		kind := r.byte()
		if r.err != nil {
			return
		}
		switch kind {
		case KindFunction:
		case KindTable:
			r.refuse(&FeatureError{Feature: "imported table", Where: where})
		case KindMemory:
			r.refuse(&FeatureError{Feature: "imported memory", Where: where})
		case KindGlobal:
			r.refuse(&FeatureError{Feature: "imported global", Where: where})
		case kindTag:
			r.refuse(&FeatureError{Feature: "exceptions", Where: where})
		default:
			r.fail(at, "%s: unknown kind 0x%02x", where, kind)
		}
		t := s.typeIndex(r, where)
		if r.err != nil {
			return
		}
		s.functions = append(s.functions, t)
		s.imports = append(s.imports, Import{
			Module: module, Name: name, Kind: kind,
			Params: s.types[t].params, Results: s.types[t].results,
		})
	}
}

func (s *source) readFunctions(r *reader) {
	n := r.count("functions", 1)
	if !r.bound("module", "functions", n+s.imported(), s.limits.Functions) {
		return
	}
	for i := 0; i < n && r.err == nil; i++ {
		s.functions = append(s.functions, s.typeIndex(r, functionName(len(s.functions))))
	}
}

func (s *source) readTables(r *reader) {
	n := r.count("tables", 3)
	if !r.bound("module", "tables", n, s.limits.Tables) {
		return
	}
	for i := 0; i < n && r.err == nil; i++ {
		where := fmt.Sprintf("table %d", i)
		if !r.done() && r.module[r.pos] == 0x40 {
			r.refuse(&FeatureError{Feature: "typed references", Where: where})
			return
		}
		t := table{ref: r.refType(where)}
		r.readLimits(where, &t)
		s.tables = append(s.tables, t)
	}
	s.growTables(r)
}

// growTables bounds the entries of all tables together and gives each table without a maximum an equal share of what is left.
func (s *source) growTables(r *reader) {
	var total uint64
	open := 0
	for _, t := range s.tables {
		if t.hasMax {
			total += uint64(t.max)
		} else {
			total += uint64(t.min)
			open++
		}
	}
	limit := uint64(s.limits.TableEntries)
	if total > limit {
		r.refuse(&BoundError{What: "table entries", Where: "module", Have: total, Limit: limit})
		return
	}
	for i := range s.tables {
		if t := &s.tables[i]; !t.hasMax {
			t.max, t.hasMax = uint32(min(uint64(t.min)+(limit-total)/uint64(open), math.MaxUint32)), true
		}
	}
}

func (r *reader) readLimits(where string, t *table) {
	at := r.pos
	flags := r.byte()
	switch {
	case r.err != nil:
		return
	case flags&^3 == 0 && flags&2 != 0:
		r.refuse(&FeatureError{Feature: "threads", Where: where})
		return
	case flags&^7 == 0 && flags&4 != 0:
		r.refuse(&FeatureError{Feature: "64-bit addresses", Where: where})
		return
	case flags > 1:
		r.fail(at, "%s: limits flag 0x%02x", where, flags)
		return
	}
	t.min = r.u32()
	if flags == 1 {
		t.hasMax = true
		if t.max = r.u32(); r.err == nil && t.max < t.min {
			r.fail(at, "%s: minimum %d above maximum %d", where, t.min, t.max)
		}
	}
}

func (s *source) readMemory(r *reader) {
	n := r.count("memories", 2)
	if !r.bound("module", "memories", n, 1) || n == 0 {
		return
	}
	var m table
	at := r.pos
	r.readLimits("memory", &m)
	if r.err != nil {
		return
	}
	if m.min > memoryPages || m.hasMax && m.max > memoryPages {
		r.fail(at, "memory: more than 4 GiB")
		return
	}
	limit := s.limits.MemoryPages
	if !r.bound("memory", "pages at start", int(m.min), int(limit)) {
		return
	}
	if !m.hasMax || m.max > limit {
		m.max, m.hasMax = limit, true
	}
	s.memory = &m
}

func (s *source) readGlobals(r *reader) {
	n := r.count("globals", 4)
	if !r.bound("module", "globals", n+2, s.limits.Globals) {
		return
	}
	d := &decoder{reader: *r, opcodes: opcodeTable()}
	for i := 0; i < n && d.err == nil; i++ {
		d.where = fmt.Sprintf("global %d", i)
		g := global{typ: d.valueType(d.where)}
		at := d.pos
		switch mut := d.byte(); mut {
		case 0:
		case 1:
			g.mutable = true
		default:
			d.fail(at, "%s: mutability 0x%02x", d.where, mut)
		}
		// Only globals before this one exist here.
		s.constant(d)
		s.globals = append(s.globals, g)
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

func (s *source) readExports(r *reader) {
	n := r.count("exports", 3)
	if !r.bound("module", "exports", n+2, s.limits.Exports) {
		return
	}
	seen := make(map[string]bool, n)
	for i := 0; i < n && r.err == nil; i++ {
		nameAt := r.pos
		e := Export{Name: r.name(s.limits.NameBytes)}
		if r.err != nil {
			return
		}
		where := fmt.Sprintf("export %q", e.Name)
		e.Kind = r.byte()
		at := r.pos
		e.Index = r.u32()
		if r.err != nil {
			return
		}
		var size int
		switch e.Kind {
		case KindFunction:
			size = len(s.functions)
		case KindTable:
			size = len(s.tables)
		case KindMemory:
			if s.memory != nil {
				size = 1
			}
		case KindGlobal:
			size = len(s.globals)
		case kindTag:
			r.refuse(&FeatureError{Feature: "exceptions", Where: where})
			return
		default:
			r.fail(at-1, "%s: unknown kind 0x%02x", where, e.Kind)
			return
		}
		switch {
		case uint64(e.Index) >= uint64(size):
			r.fail(at, "%s: index %d of %d", where, e.Index, size)
		case seen[e.Name]:
			r.fail(nameAt, "%s: exported twice", where)
		case e.Name == FuelGlobal || e.Name == DepthGlobal:
			r.refuse(&FeatureError{Feature: "a name reserved for metering", Where: where})
		case e.Kind == KindFunction:
			t := s.signature(int(e.Index))
			e.Params, e.Results = t.params, t.results
		case e.Kind == KindGlobal:
			e.Results = []byte{s.globals[e.Index].typ}
		}
		seen[e.Name] = true
		s.exports = append(s.exports, e)
	}
}

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

func (s *source) readBodies(r *reader) {
	n := r.count("function bodies", 3)
	if want := len(s.functions) - s.imported(); n != want {
		r.fail(r.pos, "%d function bodies for %d functions", n, want)
		return
	}
	s.bodies = make([]section, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		size := r.count("body bytes", 1)
		if !r.bound(functionName(s.imported()+i), "body bytes", size, s.limits.BodyBytes) {
			return
		}
		s.bodies = append(s.bodies, section{start: r.pos, end: r.pos + size})
		r.skip(size)
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
