package wat

// Compile assembles the text of one module: either (module ...) or its fields alone.
// The error, if any, begins with the line it was found on.
func Compile(src string) (binary []byte, err error) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case syntaxError:
			binary, err = nil, thrown
		default:
			panic(thrown)
		}
	}()
	fields := read(src)
	if len(fields) == 1 && fields[0].head() == "module" {
		c := enter(fields[0])
		c.name()
		fields = c.nodes
	}
	return assemble(fields), nil
}

func assemble(fields []node) []byte {
	m := newModule()
	for _, field := range fields {
		if field.head() == "type" {
			m.typeField(enter(field))
		}
	}
	for _, field := range fields {
		m.declare(field, nil)
	}
	for _, item := range m.items {
		m.assemble(item)
	}
	return m.encode()
}

// Section ids of the binary format.
const (
	typeSection = iota + 1
	importSection
	functionSection
	tableSection
	memorySection
	globalSection
	exportSection
	startSection
	elemSection
	codeSection
	dataSection
	dataCountSection
)

// A module is being assembled in three passes over its fields: types, so that they can be named; declarations, so that everything
// has its index whatever the order of the text; then contents.
type module struct {
	types, functions, tables, memories, globals, elems, datas space

	signatures []signature // by type index
	items      []item
	sections   [dataCountSection + 1]struct {
		count   int
		entries []byte
	}
	namesData bool // code names data segments, so their count must precede it
}

// An item is a field that has its index, up to its name and inline exports taken in.
type item struct {
	kind    string
	line    int
	index   uint32
	exports [][]byte // the inline ones, encoded
	from    []byte   // of an import: its two names, encoded
	rest    *cursor
}

func newModule() *module {
	return &module{
		types:     space{of: "type"},
		functions: space{of: "function"},
		tables:    space{of: "table"},
		memories:  space{of: "memory"},
		globals:   space{of: "global"},
		elems:     space{of: "element segment"},
		datas:     space{of: "data segment"},
	}
}

func (m *module) add(section int, entry []byte) {
	m.sections[section].count++
	m.sections[section].entries = append(m.sections[section].entries, entry...)
}

func (m *module) encode() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, id := range []int{
		typeSection, importSection, functionSection, tableSection, memorySection, globalSection, exportSection,
		startSection, elemSection, dataCountSection, codeSection, dataSection,
	} {
		s := m.sections[id]
		content := append(uleb(nil, uint64(s.count)), s.entries...)
		switch {
		case id == dataCountSection && m.namesData:
			content = uleb(nil, uint64(m.datas.count()))
		case s.count == 0:
			continue
		case id == startSection:
			content = s.entries
		}
		out = bytes(append(out, byte(id)), content)
	}
	return m.appendNames(out)
}

// appendNames appends the name section with the names of functions, if any has one.
func (m *module) appendNames(out []byte) []byte {
	var names []byte
	count := 0
	for i, name := range m.functions.names {
		if name != "" {
			names = bytes(uleb(names, uint64(i)), name[1:])
			count++
		}
	}
	if count == 0 {
		return out
	}
	names = append(uleb(nil, uint64(count)), names...)
	const functionNames = 1
	section := bytes(append(bytes(nil, "name"), functionNames), names)
	return bytes(append(out, 0), section)
}

// declare gives the field its index and takes down its inline exports and import.
func (m *module) declare(field node, from []byte) {
	it := item{kind: field.head(), line: field.line, from: from}
	if field.kind != listNode {
		fail(field.line, "expected a field in parentheses")
	}
	it.rest = enter(field)
	c := it.rest
	switch it.kind {
	case "type":
		return
	case "import":
		from := bytes(nil, c.str("module name"))
		from = bytes(from, c.str("import name"))
		m.declare(c.next("imported thing"), from)
		c.end()
		return
	case "export", "start":
	case "elem":
		it.index = m.elems.define(c)
	case "data":
		it.index = m.datas.define(c)
	default:
		in, kind := m.external(field)
		it.index = in.define(c)
		for c.peekHead() == "export" {
			entry := bytes(nil, enter(c.next("export")).str("export name"))
			it.exports = append(it.exports, uleb(append(entry, kind), uint64(it.index)))
		}
		if c.peekHead() == "import" {
			names := enter(c.next("import"))
			it.from = bytes(nil, names.str("module name"))
			it.from = bytes(it.from, names.str("import name"))
		}
		m.declareInline(it)
	}
	m.items = append(m.items, it)
}

// declareInline gives the segment that is written inside a table or memory its index.
func (m *module) declareInline(it item) {
	for _, part := range it.rest.nodes {
		switch {
		case it.kind == "table" && part.head() == "elem":
			m.elems.define(&cursor{})
		case it.kind == "memory" && part.head() == "data":
			m.datas.define(&cursor{})
		}
	}
}

// external returns the index space of something that can be imported and exported, and its code there.
func (m *module) external(n node) (*space, byte) {
	switch n.head() {
	case "func":
		return &m.functions, 0
	case "table":
		return &m.tables, 1
	case "memory":
		return &m.memories, 2
	case "global":
		return &m.globals, 3
	}
	fail(n.line, "unknown field (%s", n.head())
	return nil, 0
}

// A space numbers the things of one kind; a name stands for a number.
type space struct {
	of    string
	names []string // by index; "" has none
}

func (s *space) count() int { return len(s.names) }

// define takes the next index, and the name if c has one.
func (s *space) define(c *cursor) uint32 {
	name := c.name()
	for _, other := range s.names {
		if name != "" && name == other {
			fail(c.line, "%s %s is defined twice", s.of, name)
		}
	}
	s.names = append(s.names, name)
	return uint32(len(s.names) - 1)
}

// index resolves a name or number. Numbers are not checked.
func (s *space) index(n node) uint64 {
	if n.text == "" || n.text[0] != '$' {
		return unsigned(n, 32)
	}
	for i, name := range s.names {
		if name == n.text {
			return uint64(i)
		}
	}
	fail(n.line, "unknown %s %s", s.of, n.text)
	return 0
}

// ref appends the index that follows.
func (s *space) ref(out []byte, c *cursor) []byte { return uleb(out, s.index(c.word(s.of))) }

// refOrZero appends the index that follows, or 0 when none does.
func (s *space) refOrZero(out []byte, c *cursor) []byte {
	if c.peekIndex() {
		return s.ref(out, c)
	}
	return append(out, 0)
}
