package meter

import "fmt"

// instruction is one decoded instruction: module[start:end].
type instruction struct {
	op, sub    byte   // sub only after opMisc and opVector
	cost       uint8  // its fuel, without what is charged by length
	index      uint32 // label, function, type, local, global; the largest label of a br_table
	targets    int    // labels of a br_table
	block      int64  // block type: a type index, or blockNone, or -(value type)
	start, end int
}

// blockNone is the type of a block without parameters and results.
const blockNone = -blockEmpty

// decoder reads instructions. Every reader of code shares it, so scanning and rewriting can never disagree about where
// an instruction ends. It is stricter than the binary format in one way: a vector opcode must use its shortest
// encoding, because wazero reads one byte of it.
type decoder struct {
	reader
	opcodes *[256]opcode
	where   string
}

// next decodes one instruction. REQUIRES: not done. On a fault d.err is set.
func (d *decoder) next(in *instruction) {
	in.start = d.pos
	in.op = d.byte()
	o := d.opcodes[in.op]
	in.cost = o.cost
	switch o.shape {
	case shapePlain:
	case shapeLocal, shapeGlobal, shapeLabel, shapeFunction, shapeTable:
		in.index = d.u32()
	case shapeBlock:
		in.block = d.blockType()
	case shapeLabels:
		d.labels(in)
	case shapeIndirect:
		in.index = d.u32()
		d.u32()
	case shapeMemory:
		d.memory()
	case shapeZero:
		d.zero()
	case shapeI32:
		d.signed(32)
	case shapeI64:
		d.signed(64)
	case shapeF32:
		d.skip(4)
	case shapeF64:
		d.skip(8)
	case shapeTypes:
		for n := d.count("types", 1); n > 0; n-- {
			d.valueType(d.where)
		}
	case shapeRefType:
		d.refType(d.where)
	case shapeMisc:
		d.misc(in)
	case shapeVector:
		d.vector(in)
	default:
		d.refuseOpcode(o.shape, in)
	}
	in.end = d.pos
}

func (d *decoder) refuseOpcode(s shape, in *instruction) {
	switch s {
	case shapeThreads:
		d.refuse(&FeatureError{Feature: "threads", Where: d.where})
	case shapeExceptions:
		d.refuse(&FeatureError{Feature: "exceptions", Where: d.where})
	case shapeTypedRefs:
		d.refuse(&FeatureError{Feature: "typed references", Where: d.where})
	case shapeGC:
		d.refuse(&FeatureError{Feature: "garbage collection", Where: d.where})
	default:
		d.fail(in.start, "%s: unknown opcode 0x%02x", d.where, in.op)
	}
}

func (d *decoder) labels(in *instruction) {
	in.targets = d.count("br_table targets", 1) + 1
	in.index = 0
	for i := 0; i < in.targets && d.err == nil; i++ {
		in.index = max(in.index, d.u32())
	}
}

func (d *decoder) memory() {
	at := d.pos
	if align := d.u32(); align >= 32 {
		d.fail(at, "%s: memory alignment 2^%d", d.where, align)
	}
	d.u32()
}

func (d *decoder) zero() {
	if at := d.pos; d.byte() != 0 {
		d.fail(at, "%s: reserved byte is not zero", d.where)
	}
}

func (d *decoder) misc(in *instruction) {
	at := d.pos
	sub := d.u32()
	if sub > miscTableFill {
		d.fail(at, "%s: unknown opcode 0xfc 0x%02x", d.where, sub)
		return
	}
	switch in.sub = byte(sub); {
	case in.sub <= 0x07: // saturating truncations
	case in.sub == miscMemoryInit:
		d.u32()
		d.zero()
	case in.sub == miscMemoryCopy:
		d.zero()
		d.zero()
	case in.sub == miscMemoryFill:
		d.zero()
	case in.sub == miscTableInit, in.sub == miscTableCopy:
		d.u32()
		d.u32()
	default: // data.drop, elem.drop, table.grow, table.size, table.fill
		d.u32()
	}
}

func (d *decoder) vector(in *instruction) {
	at := d.pos
	in.sub = d.byte()
	if in.sub >= 0x80 {
		switch high := d.byte(); {
		case d.err != nil:
			return
		case high == 0x02 || high == 0x03:
			d.refuse(&FeatureError{Feature: "relaxed SIMD", Where: d.where})
			return
		case high != 0x01:
			d.fail(at, "%s: vector opcode is not in its shortest encoding", d.where)
			return
		}
	}
	switch s := vectorShape(in.sub); {
	case s == shapeUnknown:
		d.fail(at, "%s: unknown opcode 0xfd 0x%02x", d.where, in.sub)
	case s == shapeMemory:
		d.memory()
		if in.sub >= 0x54 && in.sub <= 0x5b {
			d.byte()
		}
	case in.sub == vectorConst, in.sub == vectorShuffle:
		d.skip(16)
	case in.sub >= 0x15 && in.sub <= 0x22: // extract_lane, replace_lane
		d.byte()
	}
}

// blockType returns a type index (>= 0), or minus the byte of a value type, or blockNone.
func (d *decoder) blockType() int64 {
	if d.done() {
		d.byte()
		return 0
	}
	if b := d.module[d.pos]; b < 0x80 && b >= 0x40 {
		if b == blockEmpty {
			d.pos++
			return blockNone
		}
		return -int64(d.valueType(d.where))
	}
	at := d.pos
	v := d.signed(33)
	if v < 0 {
		d.fail(at, "%s: block type is neither a value type nor a type index", d.where)
	}
	return v
}

func (r *reader) valueType(where string) byte {
	at := r.pos
	b := r.byte()
	if r.err == nil {
		r.checkValueType(at, b, where)
	}
	return b
}

func (r *reader) refType(where string) byte {
	at := r.pos
	b := r.byte()
	if r.err == nil && b != typeFunc && b != typeExtern {
		r.checkValueType(at, b, where)
		r.fail(at, "%s: 0x%02x is not a reference type", where, b)
	}
	return b
}

func (r *reader) checkValueType(at int, b byte, where string) {
	switch b {
	case typeI32, typeI64, typeF32, typeF64, typeV128, typeFunc, typeExtern:
	case 0x69, 0x68, 0x74:
		r.refuse(&FeatureError{Feature: "exceptions", Where: where})
	case 0x63, 0x64:
		r.refuse(&FeatureError{Feature: "typed references", Where: where})
	case 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x71, 0x72, 0x73:
		r.refuse(&FeatureError{Feature: "garbage collection", Where: where})
	default:
		r.fail(at, "%s: 0x%02x is not a value type", where, b)
	}
}

func functionName(index int) string { return fmt.Sprintf("function %d", index) }
