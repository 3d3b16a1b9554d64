package meter

// The opcodes that metering looks at by name; all others are known by the shape of their immediates only.
const (
	opUnreachable        = 0x00
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCall         = 0x12
	opReturnCallIndirect = 0x13
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opMemoryGrow         = 0x40
	opI32Const           = 0x41
	opI64Const           = 0x42
	opF32Const           = 0x43
	opF64Const           = 0x44
	opI64LtS             = 0x53
	opI32Add             = 0x6a
	opI32Sub             = 0x6b
	opI32Mul             = 0x6c
	opI64Add             = 0x7c
	opI64Sub             = 0x7d
	opI64Mul             = 0x7e
	opI64Or              = 0x84
	opI64ShrU            = 0x88
	opI64ExtendI32U      = 0xad
	opRefNull            = 0xd0
	opRefFunc            = 0xd2
	opMisc               = 0xfc
	opVector             = 0xfd

	miscMemoryInit = 0x08
	miscDataDrop   = 0x09
	miscMemoryCopy = 0x0a
	miscMemoryFill = 0x0b
	miscTableInit  = 0x0c
	miscElemDrop   = 0x0d
	miscTableCopy  = 0x0e
	miscTableGrow  = 0x0f
	miscTableSize  = 0x10
	miscTableFill  = 0x11

	vectorConst   = 0x0c
	vectorShuffle = 0x0d

	blockEmpty = 0x40
	typeI32    = 0x7f
	typeI64    = 0x7e
	typeF32    = 0x7d
	typeF64    = 0x7c
	typeV128   = 0x7b
	typeFunc   = 0x70
	typeExtern = 0x6f
)

// shape says what follows an opcode.
type shape uint8

const (
	shapeUnknown shape = iota // not an opcode
	shapePlain                // nothing
	shapeBlock                // block type
	shapeLabel
	shapeLabels // br_table
	shapeFunction
	shapeIndirect // type, table
	shapeLocal
	shapeGlobal
	shapeTable
	shapeMemory // alignment, offset
	shapeZero   // a reserved zero byte
	shapeI32
	shapeI64
	shapeF32
	shapeF64
	shapeTypes // select t
	shapeRefType
	shapeMisc
	shapeVector
	shapeThreads
	shapeExceptions
	shapeTypedRefs
	shapeGC
)

// costs is the cost table: fuel per opcode, by default 1. Nothing is charged for opcodes that produce no code of
// their own. The others were raised where one instruction takes several times as long as a simple one, so that
// fuel stays within 10x of time over all guests. Changing an entry changes Version.
const (
	costPlain    = 1
	costCall     = 3
	costIndirect = 6
	costDivide   = 8
)

type opcode struct {
	shape shape
	cost  uint8
}

// opcodeTable is indexed by the first byte of an instruction. A function and not a variable, so that nobody can change it.
func opcodeTable() *[256]opcode {
	var t [256]opcode
	set := func(s shape, cost uint8, from, to int) {
		for op := from; op <= to; op++ {
			t[op] = opcode{s, cost}
		}
	}
	set(shapePlain, costPlain, 0x00, 0x00) // unreachable
	set(shapePlain, 0, 0x01, 0x01)         // nop
	set(shapeBlock, 0, opBlock, opLoop)
	set(shapeBlock, costPlain, opIf, opIf)
	set(shapePlain, 0, opElse, opElse)
	set(shapeExceptions, 0, 0x06, 0x0a)
	set(shapePlain, 0, opEnd, opEnd)
	set(shapeLabel, costPlain, opBr, opBrIf)
	set(shapeLabels, costPlain, opBrTable, opBrTable)
	set(shapePlain, costPlain, opReturn, opReturn)
	set(shapeFunction, costCall, opCall, opCall)
	set(shapeIndirect, costIndirect, opCallIndirect, opCallIndirect)
	set(shapeFunction, costCall, opReturnCall, opReturnCall)
	set(shapeIndirect, costIndirect, opReturnCallIndirect, opReturnCallIndirect)
	set(shapeTypedRefs, 0, 0x14, 0x15) // call_ref, return_call_ref
	set(shapeExceptions, 0, 0x18, 0x19)
	set(shapePlain, 0, 0x1a, 0x1a)         // drop
	set(shapePlain, costPlain, 0x1b, 0x1b) // select
	set(shapeTypes, costPlain, 0x1c, 0x1c)
	set(shapeExceptions, 0, 0x1f, 0x1f)
	set(shapeLocal, costPlain, opLocalGet, opLocalTee)
	set(shapeGlobal, costPlain, opGlobalGet, opGlobalSet)
	set(shapeTable, costPlain, 0x25, 0x26)
	set(shapeMemory, costPlain, 0x28, 0x3e)
	set(shapeZero, costPlain, 0x3f, opMemoryGrow)
	set(shapeI32, costPlain, opI32Const, opI32Const)
	set(shapeI64, costPlain, opI64Const, opI64Const)
	set(shapeF32, costPlain, opF32Const, opF32Const)
	set(shapeF64, costPlain, opF64Const, opF64Const)
	set(shapePlain, costPlain, 0x45, 0xc4)
	set(shapePlain, costDivide, 0x6d, 0x70) // i32 div, rem
	set(shapePlain, costDivide, 0x7f, 0x82) // i64 div, rem
	set(shapePlain, costDivide, 0x91, 0x91) // f32.sqrt
	set(shapePlain, costDivide, 0x95, 0x95) // f32.div
	set(shapePlain, costDivide, 0x9f, 0x9f) // f64.sqrt
	set(shapePlain, costDivide, 0xa3, 0xa3) // f64.div
	set(shapeRefType, costPlain, opRefNull, opRefNull)
	set(shapePlain, costPlain, 0xd1, 0xd1) // ref.is_null
	set(shapeFunction, costPlain, opRefFunc, opRefFunc)
	set(shapeGC, 0, 0xd3, 0xd3)
	set(shapeTypedRefs, 0, 0xd4, 0xd6)
	set(shapeGC, 0, 0xfb, 0xfb)
	set(shapeMisc, costPlain, opMisc, opMisc)
	set(shapeVector, costPlain, opVector, opVector)
	set(shapeThreads, 0, 0xfe, 0xfe)
	return &t
}

// vectorShape is the shape of the vector instruction 0xfd op; shapeUnknown for the gaps in the table.
func vectorShape(op byte) shape {
	switch {
	case op <= 0x0b, op == 0x5c, op == 0x5d:
		return shapeMemory
	case op >= 0x54 && op <= 0x5b:
		return shapeMemory // and a lane byte, which the decoder adds
	}
	switch op {
	case 0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee:
		return shapeUnknown
	}
	return shapePlain
}
