package wat

import (
	"regexp"
	"strings"
)

// An immediate says what follows an opcode.
type immediate int

const (
	none immediate = iota
	label
	labels
	function
	indirect
	local
	global
	table
	tables
	memory
	memories
	dataToMemory
	dataIndex
	elemToTable
	elemIndex
	address
	constI32
	constI64
	constF32
	constF64
	refType
	selectType
)

// An opcode is the code of an instruction and what it is followed by.
type opcode struct {
	code  []byte
	takes immediate
	align uint64 // address: the exponent of the natural alignment
}

// runs lists the instructions by consecutive opcodes; from 0xfc00 on they have the prefix 0xfc. The structured ones (block, loop,
// if, else, end) are known to the assembler itself, and select has a second opcode when it states its type.
var runs = []struct {
	first int
	takes immediate
	names string
}{
	{0x00, none, "unreachable nop"},
	{0x0c, label, "br br_if"},
	{0x0e, labels, "br_table"},
	{0x0f, none, "return"},
	{0x10, function, "call"},
	{0x11, indirect, "call_indirect"},
	{0x12, function, "return_call"},
	{0x13, indirect, "return_call_indirect"},
	{0x1a, none, "drop"},
	{0x1b, selectType, "select"},
	{0x20, local, "local.get local.set local.tee"},
	{0x23, global, "global.get global.set"},
	{0x25, table, "table.get table.set"},
	{0x28, address, `i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u
		i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u
		i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32`},
	{0x3f, memory, "memory.size memory.grow"},
	{0x41, constI32, "i32.const"},
	{0x42, constI64, "i64.const"},
	{0x43, constF32, "f32.const"},
	{0x44, constF64, "f64.const"},
	{0x45, none, `i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u
		i64.eqz i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u
		f32.eq f32.ne f32.lt f32.gt f32.le f32.ge f64.eq f64.ne f64.lt f64.gt f64.le f64.ge
		i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u
		i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr
		i64.clz i64.ctz i64.popcnt i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u
		i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr
		f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt f32.add f32.sub f32.mul f32.div
		f32.min f32.max f32.copysign
		f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt f64.add f64.sub f64.mul f64.div
		f64.min f64.max f64.copysign
		i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u
		i64.extend_i32_s i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u
		f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f32.demote_f64
		f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f64.promote_f32
		i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64
		i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s`},
	{0xd0, refType, "ref.null"},
	{0xd1, none, "ref.is_null"},
	{0xd2, function, "ref.func"},
	{0xfc00, none, `i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u
		i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u`},
	{0xfc08, dataToMemory, "memory.init"},
	{0xfc09, dataIndex, "data.drop"},
	{0xfc0a, memories, "memory.copy"},
	{0xfc0b, memory, "memory.fill"},
	{0xfc0c, elemToTable, "table.init"},
	{0xfc0d, elemIndex, "elem.drop"},
	{0xfc0e, tables, "table.copy"},
	{0xfc0f, table, "table.grow table.size table.fill"},
}

var opcodes = byName()

func byName() map[string]opcode {
	all := make(map[string]opcode)
	for _, run := range runs {
		for i, name := range strings.Fields(run.names) {
			op := opcode{code: []byte{byte(run.first + i)}, takes: run.takes}
			if run.first >= 0xfc00 {
				op.code = []byte{0xfc, byte(run.first + i)}
			}
			if run.takes == address {
				op.align = naturalAlign(name)
			}
			all[name] = op
		}
	}
	return all
}

var narrow = regexp.MustCompile(`(?:load|store)(8|16|32)`)

// naturalAlign is the exponent of the number of bytes that an instruction reads or writes.
func naturalAlign(name string) uint64 {
	width := name[1:3]
	if m := narrow.FindStringSubmatch(name); m != nil {
		width = m[1]
	}
	return map[string]uint64{"8": 0, "16": 1, "32": 2, "64": 3}[width]
}
