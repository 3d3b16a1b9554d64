package meter

import (
	"bytes"
	"slices"
)

// cat joins bytes, single bytes and vectors of them.
func cat(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case byte:
			out = append(out, p)
		case int:
			out = append(out, byte(p))
		case string:
			out = append(out, p...)
		case []byte:
			out = append(out, p...)
		default:
			panic(p)
		}
	}
	return out
}

func leb(n int) []byte       { return appendU32(nil, uint32(n)) }
func i32Const(n int) []byte  { return appendS64([]byte{opI32Const}, int64(n)) }
func named(s string) []byte  { return cat(leb(len(s)), s) }
func call(index int) []byte  { return cat(opCall, leb(index)) }
func get(local int) []byte   { return cat(opLocalGet, leb(local)) }
func set(local int) []byte   { return cat(opLocalSet, leb(local)) }
func brIf(label int) []byte  { return cat(opBrIf, leb(label)) }
func block(b ...any) []byte  { return cat(opBlock, blockEmpty, cat(b...), opEnd) }
func loop(b ...any) []byte   { return cat(opLoop, blockEmpty, cat(b...), opEnd) }
func ifThen(b ...any) []byte { return cat(opIf, blockEmpty, cat(b...), opEnd) }
func times(n int, b ...any) []byte {
	return bytes.Repeat(cat(b...), n)
}

// vec is a vector of items.
func vec(items ...[]byte) []byte { return cat(leb(len(items)), slices.Concat(items...)) }

func sec(id int, content ...any) []byte {
	c := cat(content...)
	return cat(id, leb(len(c)), c)
}

const header = "\x00asm\x01\x00\x00\x00"

// module puts sections behind the header.
func module(sections ...[]byte) []byte { return cat(header, slices.Concat(sections...)) }

// fn is a function of a program. Each has its own type, in order; an exported one is named.
type fn struct {
	params, results string // value types, as bytes
	locals          []byte // groups with their count; none when nil
	code            []byte // without the final end
	export          string
}

// program is a module of functions; the rest are whole sections.
type program struct {
	imports [][]byte // of functions: module, name, kind, type index
	types   [][]byte // before those of the functions
	funcs   []fn
	table   []byte
	memory  []byte
	globals []byte
	exports [][]byte
	start   []byte
	elems   []byte
	data    []byte
	extra   []byte // behind everything
}

const (
	i32 = "\x7f"
	i64 = "\x7e"
	f64 = "\x7c"
)

func functype(params, results string) []byte {
	return cat(0x60, leb(len(params)), params, leb(len(results)), results)
}

func (p program) bytes() []byte {
	types, funcs, exports, bodies := slices.Clone(p.types), [][]byte{}, slices.Clone(p.exports), [][]byte{}
	for i, f := range p.funcs {
		funcs = append(funcs, leb(len(types)))
		types = append(types, functype(f.params, f.results))
		if f.export != "" {
			exports = append(exports, cat(named(f.export), KindFunction, leb(len(p.imports)+i)))
		}
		locals := f.locals
		if locals == nil {
			locals = []byte{0}
		}
		body := cat(locals, f.code, opEnd)
		bodies = append(bodies, cat(leb(len(body)), body))
	}
	out := [][]byte{sec(sectionType, vec(types...))}
	add := func(id int, content []byte) {
		if content != nil {
			out = append(out, sec(id, content))
		}
	}
	if len(p.imports) > 0 {
		add(sectionImport, vec(p.imports...))
	}
	add(sectionFunction, vec(funcs...))
	add(sectionTable, p.table)
	add(sectionMemory, p.memory)
	add(sectionGlobal, p.globals)
	if len(exports) > 0 {
		add(sectionExport, vec(exports...))
	}
	add(sectionStart, p.start)
	add(sectionElement, p.elems)
	if p.data != nil {
		add(sectionDataCount, p.data[:1])
	}
	add(sectionCode, vec(bodies...))
	add(sectionData, p.data)
	return cat(module(out...), p.extra)
}

// single is a program of one function.
func single(f fn) []byte { return program{funcs: []fn{f}}.bytes() }
