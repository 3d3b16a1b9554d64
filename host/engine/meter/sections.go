package meter

import (
	"cmp"
	"fmt"
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

type section struct {
	id         byte
	start, end int // of the content
}

type functionType struct{ params, results []byte }

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
	return cmp.Or(
		bound("module", "functions", len(s.functions), s.limits.Functions),
		bound("module", "exports", len(s.exports)+addedExports, s.limits.Exports),
		bound("module", "globals", len(s.globals)+addedGlobals, s.limits.Globals),
		bound("module", "segments", s.elements+s.dataSegments, s.limits.Segments),
	)
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

func (s *source) readFunctions(r *reader) {
	n := r.count("functions", 1)
	if !r.bound("module", "functions", n+s.imported(), s.limits.Functions) {
		return
	}
	for i := 0; i < n && r.err == nil; i++ {
		s.functions = append(s.functions, s.typeIndex(r, functionName(len(s.functions))))
	}
}

func (s *source) readGlobals(r *reader) {
	n := r.count("globals", 4)
	if !r.bound("module", "globals", n+addedGlobals, s.limits.Globals) {
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
