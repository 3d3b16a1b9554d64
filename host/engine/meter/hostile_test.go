package meter

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// globalsOf is the content of a global section of n mutable globals.
func globalsOf(n int) []byte { return cat(leb(n), times(n, i32, 1, i32Const(0), opEnd)) }

// many is a program of n copies of a function.
func many(n int, f fn) []byte {
	types := vec(functype(f.params, f.results))
	body := cat(0, f.code, opEnd)
	return module(
		sec(sectionType, types),
		sec(sectionFunction, leb(n), times(n, 0)),
		sec(sectionCode, leb(n), times(n, leb(len(body)), body)))
}

// each is the concatenation of item(i) for i below n.
func each(n int, item func(int) []byte) []byte {
	var out []byte
	for i := range n {
		out = append(out, item(i)...)
	}
	return out
}

func nested(n int, op byte) []byte { return cat(times(n, op, blockEmpty), times(n, opEnd)) }

// TestRewrite_bounds holds the smallest module beyond each bound of the ABI, and the largest within it.
func TestRewrite_bounds(t *testing.T) {
	oneMemory := cat(1, 0, 1)
	for _, c := range []struct {
		bound string
		build func(n int) []byte
		most  int // the largest n that passes
		err   string
	}{
		{"module bytes", func(n int) []byte { return append(module(), sec(sectionCustom, named("x"), make([]byte, n))...) },
			DefaultModuleBytes - 58,
			"module: 67108865 bytes, the limit is 67108864"},
		{"locals", func(n int) []byte { return single(fn{locals: cat(1, leb(n), i64)}) },
			DefaultLocals - 2,
			"function 0: 10001 locals, the limit is 10000"},
		{"locals counted singly", func(n int) []byte { return single(fn{locals: cat(2, leb(5000), i64, leb(n), i32)}) },
			DefaultLocals - 2 - 5000,
			"function 0: 10001 locals, the limit is 10000"},
		{"locals of all functions", func(n int) []byte {
			big := fn{locals: cat(1, leb(9998), i32)}
			rest := fn{locals: cat(1, leb(n), i32)}
			fns := make([]fn, 400)
			for i := range fns {
				fns[i] = big
			}
			fns[399] = rest
			return program{funcs: fns}.bytes()
		}, 9998, "function 399: 10001 locals, the limit is 10000"},
		{"parameters", func(n int) []byte { return module(sec(sectionType, vec(functype(string(times(n, i32)), "")))) },
			DefaultParams,
			"type 0: 101 parameters, the limit is 100"},
		{"results", func(n int) []byte { return module(sec(sectionType, vec(functype("", string(times(n, i32)))))) },
			DefaultParams,
			"type 0: 101 results, the limit is 100"},
		{"functions", func(n int) []byte { return many(n, fn{}) },
			DefaultFunctions,
			"module: 100001 functions, the limit is 100000"},
		{"imported functions", func(n int) []byte {
			return module(sec(sectionType, vec(functype("", ""))), sec(sectionImport, leb(n), times(n, 1, "m", 1, "f", 0, 0)))
		}, DefaultFunctions, "module: 100001 functions, the limit is 100000"},
		{"types", func(n int) []byte { return module(sec(sectionType, leb(n), times(n, functype("", "")))) },
			DefaultTypes,
			"module: 10001 types, the limit is 10000"},
		{"appended types", func(n int) []byte {
			p := program{funcs: []fn{{params: i32, results: i32 + i32, code: cat(get(0), get(0))}}}
			for range n {
				p.types = append(p.types, functype(i32, ""))
			}
			return p.bytes()
		}, DefaultTypes - 2, "module: 10001 types, the limit is 10000"},
		{"tables", func(n int) []byte { return module(sec(sectionTable, leb(n), times(n, typeFunc, 0, 1))) },
			DefaultTables,
			"module: 101 tables, the limit is 100"},
		{"table entries at start", func(n int) []byte { return module(sec(sectionTable, 1, typeFunc, 0, leb(n))) },
			DefaultTableEntries,
			"module: 100001 table entries, the limit is 100000"},
		{"table entries at most", func(n int) []byte { return module(sec(sectionTable, 2, typeFunc, 0, 10, typeExtern, 1, 1, leb(n))) },
			DefaultTableEntries - 10,
			"module: 100001 table entries, the limit is 100000"},
		{"element entries", func(n int) []byte {
			return program{funcs: []fn{{}}, elems: cat(1, 1, 0, leb(n), times(n, 0))}.bytes()
		}, DefaultElementEntries, "module: 200001 element entries, the limit is 200000"},
		{"data segments", func(n int) []byte {
			return module(sec(sectionMemory, oneMemory), sec(sectionData, leb(n), times(n, 1, 0)))
		},
			DefaultSegments,
			"module: 110001 segments, the limit is 110000"},
		{"element segments", func(n int) []byte { return module(sec(sectionElement, leb(n), times(n, 1, 0, 0))) },
			DefaultSegments,
			"module: 110001 segments, the limit is 110000"},
		{"br_table targets", func(n int) []byte {
			return single(fn{params: i32, code: block(get(0), opBrTable, leb(n-1), times(n, 0))})
		}, DefaultBrTargets, "function 0: 10001 br_table targets, the limit is 10000"},
		{"br_table targets with a value", func(n int) []byte {
			return single(fn{params: i32, code: cat(opBlock, i32, get(0), get(0), opBrTable, leb(n-1), times(n, 0), opEnd, 0x1a)})
		}, DefaultBrTargets / 2, "function 0: 10002 br_table targets, the limit is 10000"},
		{"br_table targets of all functions", func(n int) []byte {
			return many(n, fn{params: i32, code: block(get(0), opBrTable, leb(9_999), times(10_000, 0))})
		}, DefaultBrTargetsTotal / DefaultBrTargets, "module: 1010000 br_table targets, the limit is 1000000"},
		{"body bytes", func(n int) []byte { return single(fn{code: times(n, 0x01)}) },
			DefaultBodyBytes - 32,
			"function 0: 1048577 body bytes, the limit is 1048576"},
		{"names", func(n int) []byte { return single(fn{export: string(times(n, "x"))}) },
			DefaultNameBytes,
			"name at byte 22: 1025 bytes, the limit is 1024"},
		{"exports", func(n int) []byte {
			return module(
				sec(sectionType, vec(functype("", ""))), sec(sectionFunction, 1, 0),
				sec(sectionExport, leb(n), each(n, func(i int) []byte { return cat(named(fmt.Sprint(i)), 0, 0) })),
				sec(sectionCode, vec(cat(2, 0, opEnd))))
		}, DefaultExports - 2, "module: 1001 exports, the limit is 1000"},
		{"globals", func(n int) []byte { return module(sec(sectionGlobal, globalsOf(n))) },
			DefaultGlobals - 2,
			"module: 10001 globals, the limit is 10000"},
		{"nested blocks", func(n int) []byte {
			return single(fn{code: cat(times(2500, opLoop, blockEmpty), nested(n-2500, opBlock), times(2500, opEnd))})
		},
			DefaultControlDepth - 2,
			"function 0: 5001 nested blocks, the limit is 5000"},
		{"blocks", func(n int) []byte { return single(fn{code: times(n, block())}) },
			DefaultBlocks - 2,
			"function 0: 5001 blocks, the limit is 5000"},
		{"loops", func(n int) []byte { return single(fn{code: times(n, loop())}) },
			DefaultBlocks,
			"function 0: 5001 loops, the limit is 5000"},
		{"loops in disguise", func(n int) []byte {
			return program{memory: oneMemory, funcs: []fn{{params: i32, code: times(n, get(0), get(0), get(0), opMisc, miscMemoryFill, 0)}}}.bytes()
		}, DefaultBlocks, "function 0: 5001 loops, the limit is 5000"},
		{"loops of all functions", func(n int) []byte { return many(n, fn{code: times(1000, loop())}) },
			49,
			"module: 501100200 squared blocks and loops, the limit is 500000000"},
		{"values carried", func(n int) []byte {
			return program{
				types: [][]byte{functype("", string(times(100, i32)))},
				funcs: []fn{{params: i32, code: cat(opBlock, 0, times(100, get(0)), times(n, get(0), brIf(0)), opEnd, times(100, 0x1a))}},
			}.bytes()
		}, DefaultValues / 100, "function 0: 200100 values carried by branches and calls, the limit is 200000"},
		{"globals read again after calls", func(n int) []byte {
			return program{globals: globalsOf(998), funcs: []fn{{code: times(n, call(0))}}}.bytes()
		}, DefaultValues / 1000, "function 0: 201000 values carried by branches and calls, the limit is 200000"},
		{"values carried in all functions", func(n int) []byte {
			p := program{globals: globalsOf(998)}
			for range n {
				p.funcs = append(p.funcs, fn{code: times(200, call(0))})
			}
			return p.bytes()
		}, DefaultValuesTotal / 200_000, "module: 10200000 values carried by branches and calls, the limit is 10000000"},
		{"values to merge", func(n int) []byte {
			return single(fn{locals: cat(1, leb(9_996), i32), code: times(n, loop())})
		}, DefaultMerges/10_000 - 2, "function 0: 5010000 values to merge (locals and mutable globals times blocks), the limit is 5000000"},
		{"values to merge in all functions", func(n int) []byte {
			p := program{}
			for range n {
				p.funcs = append(p.funcs, fn{locals: cat(1, leb(9_996), i32), code: times(98, loop())})
			}
			return p.bytes()
		}, 50, "module: 51000000 values to merge (locals and mutable globals times blocks), the limit is 50000000"},
		{"memory", func(n int) []byte { return module(sec(sectionMemory, 1, 0, leb(n))) },
			DefaultMemoryPages,
			"memory: 1025 pages at start, the limit is 1024"},
		{"memories", func(n int) []byte { return module(sec(sectionMemory, leb(n), times(n, 0, 1))) },
			1,
			"module: 2 memories, the limit is 1"},
		{"a chain of calls without recursion", func(n int) []byte {
			return module(
				sec(sectionType, vec(functype("", ""))), sec(sectionFunction, leb(n), times(n, 0)),
				sec(sectionCode, leb(n), each(n, func(i int) []byte {
					if i == n-1 {
						return cat(2, 0, opEnd)
					}
					c := call(i + 1)
					return cat(len(c)+2, 0, c, opEnd)
				})))
		}, DefaultDepth, "module: 10001 units of depth in a chain of calls, the limit is 10000"},
	} {
		t.Run(c.bound, func(t *testing.T) {
			_, err := Rewrite(c.build(c.most), Limits{})
			require.NoError(t, err)
			beyond := c.build(c.most + 1)
			began := time.Now()
			m, err := Rewrite(beyond, Limits{})
			require.EqualError(t, err, c.err)
			require.Nil(t, m)
			var bound *BoundError
			require.ErrorAs(t, err, &bound)
			require.Less(t, time.Since(began), time.Second)
		})
	}
}

// TestRewrite_bombs holds the modules that took a compiler down before there were bounds: seconds of compiling, or hundreds of megabytes, from few bytes.
func TestRewrite_bombs(t *testing.T) {
	for _, c := range []struct {
		bomb string
		wasm []byte
		err  string
	}{
		{"160,000 nested blocks", single(fn{code: nested(160_000, opBlock)}), "function 0: 5001 blocks, the limit is 5000"},
		{"20,000 loops", single(fn{params: i32, code: times(20_000, loop(get(0), brIf(0)))}), "function 0: 5001 loops, the limit is 5000"},
		{"20M locals", single(fn{locals: cat(1, leb(20_000_000), i64)}), "function 0: 20000002 locals, the limit is 10000"},
		{"locals that overflow", single(fn{locals: cat(3, times(3, leb(1<<32-1), i64))}), "function 0: 4294967297 locals, the limit is 10000"},
		{"a table of 100M", module(sec(sectionTable, 1, typeFunc, 0, leb(100_000_000))), "module: 100000000 table entries, the limit is 100000"},
		{"4 billion functions", module(sec(sectionType, vec(functype("", ""))), sec(sectionFunction, leb(1<<32-1))), "malformed at byte 16: 4294967295 functions in 0 bytes"},
		{"4 billion imports", module(sec(sectionImport, leb(1<<32-1))), "malformed at byte 10: 4294967295 imports in 0 bytes"},
		{"4 billion elements", program{funcs: []fn{{}}, elems: cat(1, 1, 0, leb(1<<32-1))}.bytes(), "malformed at byte 23: 4294967295 elements in 0 bytes"},
		{"4 billion data bytes", module(sec(sectionData, 1, 1, leb(1<<32-1))), "malformed at byte 12: 4294967295 data bytes in 0 bytes"},
		{"4 billion br_table targets", single(fn{code: cat(opBrTable, leb(1<<32-1), 0)}), "malformed at byte 24: 4294967295 br_table targets in 2 bytes"},
		{"a section beyond the end", cat(header, sectionType, leb(1<<32-1)), "malformed at byte 9: 4294967295 section bytes in 0 bytes"},
	} {
		t.Run(c.bomb, func(t *testing.T) {
			began := time.Now()
			_, err := Rewrite(c.wasm, Limits{})
			require.EqualError(t, err, c.err)
			require.Less(t, time.Since(began), 100*time.Millisecond)
		})
	}
}

// TestRewrite_names: a name section with four billion names is dropped and the module runs without names.
func TestRewrite_names(t *testing.T) {
	guest := program{funcs: []fn{{}, {}}}
	plain, err := Rewrite(guest.bytes(), Limits{})
	require.NoError(t, err)
	long := string(times(2000, "x"))
	for _, c := range []struct {
		name          string
		content, want []byte
	}{
		{"bomb", cat(1, 5, leb(1<<32-1)), nil},
		{"not UTF-8", cat(1, 4, 1, 0, 1, 0xff), nil},
		{"subsections out of order", cat(sec(1, 0), sec(0, named("m"))), nil},
		{"kept", cat(sec(0, named("m")), sec(1, vec(cat(0, named("f"))))), cat(sec(0, named("m")), sec(1, vec(cat(0, named("f")))))},
		{"locals", cat(sec(1, vec(cat(0, named("f")))), sec(2, vec(cat(0, leb(1<<32-1))))), sec(1, vec(cat(0, named("f"))))},
		{"too long", sec(1, vec(cat(0, named(long)), cat(1, named("g")))), sec(1, vec(cat(1, named("g"))))},
		{"of no function", sec(1, vec(cat(0, named("f")), cat(2, named("g")))), sec(1, vec(cat(0, named("f"))))},
	} {
		t.Run(c.name, func(t *testing.T) {
			guest.extra = sec(sectionCustom, named("name"), c.content)
			m, err := Rewrite(guest.bytes(), Limits{})
			require.NoError(t, err)
			want := plain.Bytes
			if c.want != nil {
				want = cat(plain.Bytes, sec(sectionCustom, named("name"), c.want))
			}
			require.Equal(t, want, m.Bytes)
		})
	}
}

// TestRewrite_namesTwice: wazero refuses a second name section, so only the first is kept.
func TestRewrite_namesTwice(t *testing.T) {
	names := sec(sectionCustom, named("name"), sec(0, named("m")))
	once, err := Rewrite(cat(single(fn{}), names), Limits{})
	require.NoError(t, err)
	twice, err := Rewrite(cat(single(fn{}), names, names), Limits{})
	require.NoError(t, err)
	require.Equal(t, once.Bytes, twice.Bytes)
}

// TestRewrite_customSections: they are skipped whatever their name; those for debuggers go.
func TestRewrite_customSections(t *testing.T) {
	plain, err := Rewrite(single(fn{}), Limits{})
	require.NoError(t, err)
	for name, kept := range map[string]bool{
		"code": true, "\x0a": true, "": true, "target_features": true,
		".debug_info": false, ".debug_": false, "sourceMappingURL": false, "producers": false,
	} {
		custom := sec(sectionCustom, named(name), "content")
		m, err := Rewrite(append(single(fn{}), custom...), Limits{})
		require.NoError(t, err)
		if kept {
			require.Equal(t, cat(plain.Bytes, custom), m.Bytes, "%q", name)
		} else {
			require.Equal(t, plain.Bytes, m.Bytes, "%q", name)
		}
	}
}
