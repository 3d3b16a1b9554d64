package meter

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRewrite_features: what is not offered is refused by name.
func TestRewrite_features(t *testing.T) {
	code := func(b ...any) []byte { return single(fn{code: cat(b...)}) }
	imported := func(desc ...any) []byte {
		return module(sec(sectionType, vec(functype("", ""))), sec(sectionImport, vec(cat(named("env"), named("x"), cat(desc...)))))
	}
	for _, c := range []struct {
		name string
		wasm []byte
		err  string
	}{
		{"imported table", imported(KindTable, typeFunc, 0, 1), "import 0 env.x: imported table not supported"},
		{"imported memory", imported(KindMemory, 0, 1), "import 0 env.x: imported memory not supported"},
		{"imported global", imported(KindGlobal, i32, 0), "import 0 env.x: imported global not supported"},
		{"imported tag", imported(kindTag, 0, 0), "import 0 env.x: exceptions not supported"},
		{"tag section", module(sec(sectionTag, 1, 0, 0)), "tag section: exceptions not supported"},
		{"try_table", code(0x1f, blockEmpty, 0, opEnd), "function 0: exceptions not supported"},
		{"throw", code(0x08, 0), "function 0: exceptions not supported"},
		{"exnref", single(fn{locals: cat(1, 1, 0x69)}), "function 0: exceptions not supported"},
		{"shared memory", module(sec(sectionMemory, 1, 3, 1, 2)), "memory: threads not supported"},
		{"atomics", code(0xfe, 0x03, 0), "function 0: threads not supported"},
		{"call_ref", code(0x14, 0), "function 0: typed references not supported"},
		{"typed reference", single(fn{locals: cat(1, 1, 0x63, 0)}), "function 0: typed references not supported"},
		{"table with an initial value", module(sec(sectionTable, 1, 0x40, 0, typeFunc, 0, 1)), "table 0: typed references not supported"},
		{"struct type", module(sec(sectionType, 1, 0x5f, 0, 0)), "type 0: garbage collection not supported"},
		{"recursive types", module(sec(sectionType, 1, 0x4e, 0, 0)), "type 0: garbage collection not supported"},
		{"struct.new", code(0xfb, 0, 0), "function 0: garbage collection not supported"},
		{"ref.eq", code(0xd3), "function 0: garbage collection not supported"},
		{"relaxed SIMD", code(0xfd, 0x80, 0x02), "function 0: relaxed SIMD not supported"},
		{"64-bit memory", module(sec(sectionMemory, 1, 4, 1)), "memory: 64-bit addresses not supported"},
		{"64-bit table", module(sec(sectionTable, 1, typeFunc, 4, 1)), "table 0: 64-bit addresses not supported"},
		{"our fuel", single(fn{export: FuelGlobal}), `export "cr_fuel": a name reserved for metering not supported`},
		{"our depth", single(fn{export: DepthGlobal}), `export "cr_depth": a name reserved for metering not supported`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Rewrite(c.wasm, Limits{})
			require.EqualError(t, err, c.err)
			var feature *FeatureError
			require.ErrorAs(t, err, &feature)
		})
	}
}

// TestRewrite_malformed: what is unknown is refused, never guessed; what metering appends must not make an index valid.
func TestRewrite_malformed(t *testing.T) {
	code := func(b ...any) []byte { return single(fn{params: i32, code: cat(b...)}) }
	for _, c := range []struct {
		name string
		wasm []byte
		err  string
	}{
		{"nothing", nil, "malformed at byte 0: not a WebAssembly module"},
		{"a component", cat("\x00asm\x0d\x00\x01\x00"), "malformed at byte 4: not version 1 of the binary format"},
		{"unknown section", module(sec(14)), "malformed at byte 8: unknown section 14"},
		{"sections out of order", module(sec(sectionFunction, 0), sec(sectionType, 0)), "malformed at byte 11: section 1 out of order"},
		{"section twice", module(sec(sectionType, 0), sec(sectionType, 0)), "malformed at byte 11: section 1 out of order"},
		{"data count behind code", module(sec(sectionCode, 0), sec(sectionDataCount, 0)), "malformed at byte 11: section 12 out of order"},
		{"padded section", module(sec(sectionType, 0, 0)), "malformed at byte 11: section 1 is longer than its content"},
		{"data count", module(sec(sectionDataCount, 1)), "malformed at byte 11: data count 1 for 0 data segments"},
		{"no bodies", module(sec(sectionType, vec(functype("", ""))), sec(sectionFunction, 1, 0)), "malformed at byte 18: 0 function bodies for 1 functions"},
		{"value type", module(sec(sectionType, vec(functype("\x7a", "")))), "malformed at byte 13: type 0: 0x7a is not a value type"},
		{"long integer", module(sec(sectionType, 0x80, 0x80, 0x80, 0x80, 0x10)), "malformed at byte 10: integer too large for 32 bits"},
		{"limits flag", module(sec(sectionMemory, 1, 8, 1)), "malformed at byte 11: memory: limits flag 0x08"},
		{"memory of 4 GiB and a page", module(sec(sectionMemory, 1, 1, 0, leb(65537))), "malformed at byte 11: memory: more than 4 GiB"},
		{"memory shrinks", module(sec(sectionMemory, 1, 1, 2, 1)), "malformed at byte 11: memory: minimum 2 above maximum 1"},
		{"global mutability", module(sec(sectionGlobal, 1, i32, 2, i32Const(0), opEnd)), "malformed at byte 12: global 0: mutability 0x02"},
		{"call in a constant", module(sec(sectionGlobal, 1, i32, 0, call(0), opEnd)), "malformed at byte 13: global 0: not a constant expression"},
		{"our global in a constant", module(sec(sectionGlobal, 1, i64, 0, opGlobalGet, 1, opEnd)), "malformed at byte 13: global 0: global 1 of 0"},
		{"our global in code", code(opGlobalGet, 0, 0x1a), "malformed at byte 24: function 0: global 0 of 0"},
		{"our global exported", module(sec(sectionExport, vec(cat(named("g"), KindGlobal, 0)))), `malformed at byte 14: export "g": index 0 of 0`},
		{"our local", code(get(1), 0x1a), "malformed at byte 24: function 0: local 1 of 1"},
		{"our label", code(opBr, 1), "malformed at byte 24: function 0: label 1 in 1 blocks"},
		{"our type as block", program{funcs: []fn{{results: i32 + i32, params: i32, code: cat(opBlock, 1, opUnreachable, opEnd)}}}.bytes(),
			"malformed at byte 26: function 0: type 1 of 1"},
		{"exported twice", program{funcs: []fn{{export: "f"}, {export: "f"}}}.bytes(), `malformed at byte 29: export "f": exported twice`},
		{"function exported", module(sec(sectionExport, vec(cat(named("f"), KindFunction, 0)))), `malformed at byte 14: export "f": index 0 of 0`},
		{"start", module(sec(sectionStart, 0)), "malformed at byte 10: start: function 0 of 0"},
		{"call", code(call(1)), "malformed at byte 24: function 0: function 1 of 1"},
		{"ref.func", code(opRefFunc, 1, 0x1a), "malformed at byte 24: function 0: function 1 of 1"},
		{"element", program{funcs: []fn{{}}, elems: cat(1, 1, 0, 1, 1)}.bytes(), "malformed at byte 24: element segment 0: function 1 of 1"},
		{"element table", module(sec(sectionElement, 1, 2, 0, i32Const(0), opEnd, 0, 0)), "malformed at byte 12: element segment 0: table 0 of 0"},
		{"element flags", module(sec(sectionElement, 1, 8, 0)), "malformed at byte 11: element segment 0: flags 0x08"},
		{"data flags", module(sec(sectionData, 1, 3, 0)), "malformed at byte 11: data segment 0: flags 0x03"},
		{"opcode", code(0x27), "malformed at byte 24: function 0: unknown opcode 0x27"},
		{"misc opcode", code(0xfc, 0x12), "malformed at byte 25: function 0: unknown opcode 0xfc 0x12"},
		{"vector opcode", code(0xfd, 0x9a, 0x01), "malformed at byte 25: function 0: unknown opcode 0xfd 0x9a"},
		{"padded vector opcode", code(0xfd, 0x8c, 0x00), "malformed at byte 25: function 0: vector opcode is not in its shortest encoding"},
		{"padded value type", code(opBlock, 0xff, 0x7f, opEnd), "malformed at byte 25: function 0: block type is neither a value type nor a type index"},
		{"else without if", code(opBlock, blockEmpty, opElse, opEnd), "malformed at byte 26: function 0: else without if"},
		{"else twice", code(get(0), opIf, blockEmpty, opElse, opElse, opEnd), "malformed at byte 29: function 0: else without if"},
		{"end too many", code(opEnd), "malformed at byte 25: function 0: code after its end"},
		{"end missing", code(opBlock, blockEmpty), "malformed at byte 27: unexpected end"},
		{"alignment", code(get(0), 0x28, 32, 0, 0x1a), "malformed at byte 27: function 0: memory alignment 2^32"},
		{"memory index", code(0x3f, 1, 0x1a), "malformed at byte 25: function 0: reserved byte is not zero"},
		{"name", module(sec(sectionCustom, 1, 0xff)), "malformed at byte 10: name is not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Rewrite(c.wasm, Limits{})
			require.EqualError(t, err, c.err)
			var malformed *MalformedError
			require.ErrorAs(t, err, &malformed)
			require.NotContains(t, c.err, "%!")
		})
	}
}
