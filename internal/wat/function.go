package wat

import (
	"math/bits"
	"strconv"
	"strings"
)

// A body is the code of one function, or a constant expression, being assembled.
type body struct {
	module *module
	locals space
	labels []string // the open blocks, outermost first; "" has no name
	code   []byte
}

// sequence assembles instructions until the list ends.
func (b *body) sequence(c *cursor) {
	for c.more() {
		if c.nodes[0].kind == listNode {
			b.folded(c.next("instruction"))
		} else {
			b.flat(c.word("instruction"), c)
		}
	}
}

// finish closes the body and returns its code.
func (b *body) finish(line int) []byte {
	if len(b.labels) > 0 {
		fail(line, "block without end")
	}
	return append(b.code, 0x0b)
}

func (b *body) flat(n node, c *cursor) {
	switch n.text {
	case "block", "loop", "if":
		name, blockType := b.blockHead(c)
		b.open(n.text, name, blockType)
	case "else":
		b.sameLabel(n, c)
		if c.peekWord() != "end" {
			b.code = append(b.code, 0x05)
		}
	case "end":
		b.sameLabel(n, c)
		b.close()
	default:
		op := b.op(n, c)
		b.code = append(b.code, op...)
	}
}

func (b *body) folded(n node) {
	c := enter(n)
	switch n.head() {
	case "block", "loop":
		name, blockType := b.blockHead(c)
		b.open(n.head(), name, blockType)
		b.sequence(c)
		b.close()
	case "if":
		b.foldedIf(c)
	default:
		op := b.op(n.list[0], c) // read its immediates before its operands, emit it after them
		for c.more() {
			operand := c.next("operand")
			if operand.kind != listNode {
				fail(operand.line, "unexpected %s", operand.text)
			}
			b.folded(operand)
		}
		b.code = append(b.code, op...)
	}
}

func (b *body) foldedIf(c *cursor) {
	name, blockType := b.blockHead(c)
	for c.more() && c.peekHead() != "then" {
		b.folded(c.next("condition"))
	}
	b.open("if", name, blockType)
	then := c.next("(then")
	b.sequence(enter(then))
	if c.peekHead() == "else" {
		if otherwise := enter(c.next("(else")); otherwise.more() {
			b.code = append(b.code, 0x05)
			b.sequence(otherwise)
		}
	}
	c.end()
	b.close()
}

func (b *body) open(word, name string, blockType []byte) {
	b.code = append(b.code, map[string]byte{"block": 0x02, "loop": 0x03, "if": 0x04}[word])
	b.code = append(b.code, blockType...)
	b.labels = append(b.labels, name)
}

func (b *body) close() {
	b.code = append(b.code, 0x0b)
	b.labels = b.labels[:len(b.labels)-1]
}

// sameLabel checks that an else or end has a block to belong to, and that the name it repeats is that block's.
func (b *body) sameLabel(n node, c *cursor) {
	if len(b.labels) == 0 {
		fail(n.line, "%s without block", n.text)
	}
	if name := c.name(); name != "" && name != b.labels[len(b.labels)-1] {
		fail(n.line, "%s %s closes another block", n.text, name)
	}
}

func (b *body) blockHead(c *cursor) (name string, blockType []byte) {
	name = c.name()
	var sig signature
	if c.peekHead() == "type" {
		index, _ := b.module.typeUse(c)
		sig = b.module.signatures[index]
	} else {
		sig = signatureOf(c)
	}
	switch {
	case len(sig.params) == 0 && len(sig.results) == 0:
		return name, []byte{0x40}
	case len(sig.params) == 0 && len(sig.results) == 1:
		return name, []byte{sig.results[0]}
	default:
		return name, sleb(nil, int64(b.module.intern(sig)))
	}
}

// op returns the bytes of an instruction, taking its immediates from c.
func (b *body) op(n node, c *cursor) []byte {
	op, ok := opcodes[n.text]
	if !ok {
		fail(n.line, "unknown instruction %q", n.text)
	}
	m := b.module
	out := append([]byte(nil), op.code...)
	switch op.takes {
	case none:
	case label:
		out = uleb(out, b.label(c.word("label")))
	case labels:
		out = b.branchTable(out, c)
	case function:
		out = m.functions.ref(out, c)
	case indirect:
		on := m.tables.refOrZero(nil, c)
		index, _ := m.typeUse(c)
		out = append(uleb(out, uint64(index)), on...)
	case local:
		out = b.locals.ref(out, c)
	case global:
		out = m.globals.ref(out, c)
	case table:
		out = m.tables.refOrZero(out, c)
	case tables:
		out = m.tables.refOrZero(out, c)
		out = m.tables.refOrZero(out, c)
	case memory:
		out = append(out, 0)
	case memories:
		out = append(out, 0, 0)
	case dataToMemory:
		m.namesData = true
		out = append(m.datas.ref(out, c), 0)
	case dataIndex:
		m.namesData = true
		out = m.datas.ref(out, c)
	case elemToTable:
		out = m.tableInit(out, c)
	case elemIndex:
		out = m.elems.ref(out, c)
	case address:
		out = memArg(out, op, c)
	case constI32:
		out = sleb(out, integer(c.word("i32"), 32))
	case constI64:
		out = sleb(out, integer(c.word("i64"), 64))
	case constF32:
		out = appendLE(out, float(c.word("f32"), 32), 4)
	case constF64:
		out = appendLE(out, float(c.word("f64"), 64), 8)
	case refType:
		out = append(out, valueType(c.word("reference type")))
	case selectType:
		if results := takeTypes(c, "result"); results != nil {
			out = append(uleb([]byte{0x1c}, uint64(len(results))), results...)
		}
	}
	return out
}

func (b *body) label(n node) uint64 {
	if !strings.HasPrefix(n.text, "$") {
		return unsigned(n, 32)
	}
	for i := len(b.labels) - 1; i >= 0; i-- {
		if b.labels[i] == n.text {
			return uint64(len(b.labels) - 1 - i)
		}
	}
	fail(n.line, "unknown label %s", n.text)
	return 0
}

func (b *body) branchTable(out []byte, c *cursor) []byte {
	var targets []byte
	count := 0
	for c.peekIndex() {
		targets = uleb(targets, b.label(c.word("label")))
		count++
	}
	if count == 0 {
		fail(c.line, "br_table without labels")
	}
	return append(uleb(out, uint64(count-1)), targets...)
}

// tableInit reads (table.init [table] elem), which the binary holds in the other order.
func (m *module) tableInit(out []byte, c *cursor) []byte {
	first := c.word("table or element segment")
	if !c.peekIndex() {
		return append(uleb(out, m.elems.index(first)), 0)
	}
	out = m.elems.ref(out, c)
	return uleb(out, m.tables.index(first))
}

func memArg(out []byte, op opcode, c *cursor) []byte {
	align, offset := op.align, uint64(0)
	if text, ok := strings.CutPrefix(c.peekWord(), "offset="); ok {
		offset = unsigned(node{text: text, line: c.next("offset").line}, 32)
	}
	if text, ok := strings.CutPrefix(c.peekWord(), "align="); ok {
		n := c.next("align")
		v, err := strconv.ParseUint(text, 0, 32)
		if err != nil || bits.OnesCount64(v) != 1 {
			fail(n.line, "%s is no power of two", n.text)
		}
		align = uint64(bits.TrailingZeros64(v))
	}
	return uleb(uleb(out, align), offset)
}

func appendLE(out []byte, v uint64, n int) []byte {
	for i := range n {
		out = append(out, byte(v>>(8*i)))
	}
	return out
}
