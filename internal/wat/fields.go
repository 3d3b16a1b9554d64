package wat

import "slices"

// A signature is the type of a function.
type signature struct {
	params, results []byte
	names           []string // of the parameters
}

// takeTypes takes the types of the (param ...) or (result ...) lists that follow; nil when there is none.
func takeTypes(c *cursor, head string) []byte {
	var types []byte
	for c.peekHead() == head {
		list := enter(c.next(head))
		types = append(types, list.types()...)
	}
	return types
}

func (c *cursor) types() []byte {
	types := []byte{}
	for c.more() {
		types = append(types, valueType(c.word("type")))
	}
	return types
}

// signatureOf takes the parameters and results that follow.
func signatureOf(c *cursor) signature {
	var sig signature
	for c.peekHead() == "param" {
		list := enter(c.next("param"))
		name := list.name()
		types := list.types()
		for range types {
			sig.names = append(sig.names, name)
		}
		sig.params = append(sig.params, types...)
	}
	sig.results = takeTypes(c, "result")
	return sig
}

// typeField assembles (type $name (func ...)).
func (m *module) typeField(c *cursor) {
	m.types.define(c)
	fn := c.next("(func")
	if fn.head() != "func" {
		fail(fn.line, "expected (func")
	}
	inner := enter(fn)
	m.addType(signatureOf(inner))
	inner.end()
	c.end()
}

func (m *module) addType(sig signature) {
	entry := bytes([]byte{0x60}, sig.params)
	m.add(typeSection, bytes(entry, sig.results))
	m.signatures = append(m.signatures, sig)
}

// intern returns the index of a type with this signature, which it adds when there is none.
func (m *module) intern(sig signature) uint32 {
	for i, known := range m.signatures {
		if slices.Equal(known.params, sig.params) && slices.Equal(known.results, sig.results) {
			return uint32(i)
		}
	}
	m.types.define(&cursor{})
	m.addType(sig)
	return uint32(len(m.signatures) - 1)
}

// typeUse takes (type t), parameters and results, and returns the type's index with the names of the parameters.
func (m *module) typeUse(c *cursor) (uint32, []string) {
	if c.peekHead() != "type" {
		sig := signatureOf(c)
		return m.intern(sig), sig.names
	}
	use := enter(c.next("type"))
	line := use.line
	index := m.types.index(use.word("type"))
	use.end()
	if index >= uint64(len(m.signatures)) {
		fail(line, "unknown type %d", index)
	}
	sig := signatureOf(c)
	if sig.names == nil {
		sig.names = make([]string, len(m.signatures[index].params))
	}
	return uint32(index), sig.names
}

// assemble writes the contents of a declared field into its section.
func (m *module) assemble(it item) {
	c := it.rest
	for _, export := range it.exports {
		m.add(exportSection, export)
	}
	switch it.kind {
	case "func":
		m.function(it)
	case "table":
		m.table(it)
	case "memory":
		m.memory(it)
	case "global":
		m.global(it)
	case "export":
		entry := bytes(nil, c.str("export name"))
		what := c.next("exported thing")
		in, kind := m.external(what)
		m.add(exportSection, in.ref(append(entry, kind), enter(what)))
	case "start":
		m.add(startSection, m.functions.ref(nil, c))
	case "elem":
		m.elem(c)
	case "data":
		m.data(c)
	}
	c.end()
}

// define adds what describes a thing to its own section, or to the imports.
func (m *module) define(section int, kind byte, it item, entry []byte) {
	if it.from != nil {
		m.add(importSection, append(append(it.from, kind), entry...))
		return
	}
	m.add(section, entry)
}

func (m *module) function(it item) {
	c := it.rest
	index, names := m.typeUse(c)
	m.define(functionSection, 0, it, uleb(nil, uint64(index)))
	if it.from != nil {
		return
	}
	b := &body{module: m, locals: space{of: "local"}}
	for _, name := range names {
		b.locals.define(&cursor{nodes: optional(name), line: it.line})
	}
	var types []byte
	for c.peekHead() == "local" {
		list := enter(c.next("local"))
		name := optional(list.name())
		for _, t := range list.types() {
			b.locals.define(&cursor{nodes: name, line: list.line})
			types = append(types, t)
		}
	}
	b.sequence(c)
	m.add(codeSection, bytes(nil, append(localGroups(types), b.finish(it.line)...)))
}

// localGroups encodes types run by run.
func localGroups(types []byte) []byte {
	var groups []byte
	count := uint64(0)
	for len(types) > 0 {
		n := 1
		for n < len(types) && types[n] == types[0] {
			n++
		}
		groups = append(uleb(groups, uint64(n)), types[0])
		types = types[n:]
		count++
	}
	return append(uleb(nil, count), groups...)
}

// optional is the name as the node it was read from.
func optional(name string) []node {
	if name == "" {
		return nil
	}
	return []node{{text: name}}
}

func (m *module) table(it item) {
	c := it.rest
	if it.from != nil || c.peekIndex() {
		size := limits(c)
		of := valueType(c.word("reference type"))
		m.define(tableSection, 1, it, append([]byte{of}, size...))
		return
	}
	of := valueType(c.word("reference type"))
	list := enter(c.next("(elem"))
	n := uint64(len(list.nodes))
	m.add(tableSection, uleb(uleb([]byte{of, 1}, n), n))
	m.add(elemSection, m.functionList(activeElem(uint64(it.index), []byte{0x41, 0, 0x0b}), list))
}

func (m *module) memory(it item) {
	c := it.rest
	if c.peekHead() != "data" {
		m.define(memorySection, 2, it, limits(c))
		return
	}
	content := enter(c.next("data")).strings()
	const page = 1 << 16
	pages := uint64(len(content)+page-1) / page
	m.add(memorySection, uleb(uleb([]byte{1}, pages), pages))
	m.add(dataSection, bytes([]byte{0, 0x41, 0, 0x0b}, content))
}

func (m *module) global(it item) {
	c := it.rest
	var entry []byte
	if c.peekHead() == "mut" {
		entry = []byte{valueType(enter(c.next("mut")).word("type")), 1}
	} else {
		entry = []byte{valueType(c.word("type")), 0}
	}
	if it.from == nil {
		entry = append(entry, m.constant(c.nodes, it.line)...)
		c.nodes = nil
	}
	m.define(globalSection, 3, it, entry)
}

func (m *module) constant(code []node, line int) []byte {
	b := &body{module: m}
	b.sequence(&cursor{nodes: code, line: line})
	return b.finish(line)
}

// offset assembles where an active segment goes: (offset ...) or one folded instruction.
func (m *module) offset(c *cursor) []byte {
	n := c.next("offset")
	if n.head() == "offset" {
		return m.constant(enter(n).nodes, n.line)
	}
	return m.constant([]node{n}, n.line)
}

func (m *module) data(c *cursor) {
	if c.peekHead() == "memory" {
		m.memories.ref(nil, enter(c.next("memory"))) // there is only one
	} else if c.peekIndex() {
		m.memories.ref(nil, c)
	}
	if !c.more() || c.nodes[0].kind == stringNode {
		m.add(dataSection, bytes([]byte{1}, c.strings()))
		return
	}
	entry := append([]byte{0}, m.offset(c)...)
	m.add(dataSection, bytes(entry, c.strings()))
}

// activeElem begins a segment that is copied into a table at start-up.
func activeElem(table uint64, offset []byte) []byte {
	if table == 0 {
		return append([]byte{0}, offset...)
	}
	const functions = 0
	return append(append(uleb([]byte{2}, table), offset...), functions)
}

// elem assembles an element segment of functions: active, passive or declared.
func (m *module) elem(c *cursor) {
	var entry []byte
	table := uint64(0)
	if c.peekHead() == "table" {
		table = m.tables.index(enter(c.next("table")).word("table"))
	} else if c.peekIndex() {
		table = m.tables.index(c.word("table"))
	}
	switch {
	case c.peekWord() == "declare":
		c.next("declare")
		entry = []byte{3, 0}
	case !c.more() || c.nodes[0].kind == wordNode:
		entry = []byte{1, 0}
	default:
		entry = activeElem(table, m.offset(c))
	}
	if c.peekWord() == "func" {
		c.next("func")
	}
	m.add(elemSection, m.functionList(entry, c))
}

func (m *module) functionList(out []byte, c *cursor) []byte {
	out = uleb(out, uint64(len(c.nodes)))
	for c.more() {
		out = m.functions.ref(out, c)
	}
	return out
}
