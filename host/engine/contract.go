package engine

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/crhost/crhost/host/engine/meter"
	"github.com/tetratelabs/wazero/api"
)

// signature is the type of a function; value types are those of the binary format.
type signature struct{ params, results []byte }

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

func (s signature) String() string { return typeNames(s.params) + " -> " + typeNames(s.results) }

func (s signature) equal(o signature) bool {
	return bytes.Equal(s.params, o.params) && bytes.Equal(s.results, o.results)
}

func typeNames(types []byte) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = api.ValueTypeName(t)
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// exported is a function that the ABI asks a guest for.
type exported struct {
	name string
	signature
	optional bool
}

// The names of the exports.
const (
	exportMemory      = "memory"
	exportInitialize  = "_initialize"
	exportBuffer      = "cr1_buffer"
	exportDescribe    = "cr1_describe"
	exportConfigure   = "cr1_configure"
	exportReduce      = "cr1_reduce"
	exportState       = "cr1_state"
	exportEvict       = "cr1_evict"
	exportMigrate     = "cr1_migrate"
	exportMigrateDown = "cr1_migrate_down"
	exportIdle        = "cr1_idle"
	exportQuery       = "cr1_query" // reserved
)

var exports = []exported{
	{exportInitialize, signature{nil, nil}, true},
	{exportBuffer, signature{[]byte{i32}, []byte{i32}}, false},
	{exportDescribe, signature{nil, []byte{i64}}, false},
	{exportConfigure, signature{[]byte{i32}, []byte{i64}}, true},
	{exportReduce, signature{[]byte{i32}, []byte{i64}}, false},
	{exportState, signature{[]byte{i32, i64}, []byte{i64}}, false},
	{exportEvict, signature{[]byte{i32, i64}, nil}, false},
	{exportMigrate, signature{[]byte{i32}, []byte{i64}}, true},
	{exportMigrateDown, signature{[]byte{i32}, []byte{i64}}, true},
	{exportIdle, signature{[]byte{i64}, nil}, true},
}

// checkContract refuses a module whose imports and exports are not those of the ABI.
func checkContract(m *meter.Module) error {
	if m.Start {
		return fmt.Errorf("the module has a start section: what has to run first belongs into %s", exportInitialize)
	}
	for _, im := range m.Imports {
		f, ok := hostFuncNamed(im.Module, im.Name)
		if !ok {
			return fmt.Errorf("import %s.%s is not offered: a guest may import %s.log and %d functions of %s",
				clipName(im.Module), clipName(im.Name), hostModule, len(hostFuncs)-1, wasiModule)
		}
		if have := (signature{im.Params, im.Results}); !have.equal(f.signature) {
			return fmt.Errorf("import %s.%s has type %s, want %s", im.Module, im.Name, have, f.signature)
		}
	}
	found := make(map[string]meter.Export, len(m.Exports))
	for _, ex := range m.Exports {
		found[ex.Name] = ex
	}
	if _, reserved := found[exportQuery]; reserved {
		return fmt.Errorf("export %s is reserved", exportQuery)
	}
	memory, ok := found[exportMemory]
	if !ok {
		return fmt.Errorf("export %s is missing", exportMemory)
	}
	if memory.Kind != api.ExternTypeMemory {
		return fmt.Errorf("export %s is a %s, want a memory", exportMemory, api.ExternTypeName(memory.Kind))
	}
	for _, want := range exports {
		ex, ok := found[want.name]
		switch {
		case !ok && want.optional:
			continue
		case !ok:
			if _, command := found["_start"]; command {
				return fmt.Errorf("export %s is missing, and _start is there: build a reactor and not a command (Go: -buildmode=c-shared)", want.name)
			}
			return fmt.Errorf("export %s is missing", want.name)
		case ex.Kind != api.ExternTypeFunc:
			return fmt.Errorf("export %s is a %s, want a function", want.name, api.ExternTypeName(ex.Kind))
		}
		if have := (signature{ex.Params, ex.Results}); !have.equal(want.signature) {
			return fmt.Errorf("export %s has type %s, want %s", want.name, have, want.signature)
		}
	}
	return nil
}

func clipName(s string) string { return fmt.Sprintf("%.64s", s) }
