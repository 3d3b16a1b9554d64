package meter

import "fmt"

// The kinds of imports and exports.
const (
	KindFunction byte = iota
	KindTable
	KindMemory
	KindGlobal
	kindTag
)

func (s *source) readImports(r *reader) {
	n := r.count("imports", 4)
	if !r.bound("module", "functions", n, s.limits.Functions) {
		return
	}
	for i := 0; i < n && r.err == nil; i++ {
		module, name := r.name(s.limits.NameBytes), r.name(s.limits.NameBytes)
		where := fmt.Sprintf("import %d %s.%s", i, module, name)
		at := r.pos
		kind := r.byte()
		if r.err != nil {
			return
		}
		switch kind {
		case KindFunction:
		case KindTable:
			r.refuse(&FeatureError{Feature: "imported table", Where: where})
		case KindMemory:
			r.refuse(&FeatureError{Feature: "imported memory", Where: where})
		case KindGlobal:
			r.refuse(&FeatureError{Feature: "imported global", Where: where})
		case kindTag:
			r.refuse(&FeatureError{Feature: "exceptions", Where: where})
		default:
			r.fail(at, "%s: unknown kind 0x%02x", where, kind)
		}
		t := s.typeIndex(r, where)
		if r.err != nil {
			return
		}
		s.functions = append(s.functions, t)
		s.imports = append(s.imports, Import{
			Module: module, Name: name, Kind: kind,
			Params: s.types[t].params, Results: s.types[t].results,
		})
	}
}

func (s *source) readExports(r *reader) {
	n := r.count("exports", 3)
	if !r.bound("module", "exports", n+addedExports, s.limits.Exports) {
		return
	}
	seen := make(map[string]bool, n)
	for i := 0; i < n && r.err == nil; i++ {
		nameAt := r.pos
		e := Export{Name: r.name(s.limits.NameBytes)}
		if r.err != nil {
			return
		}
		where := fmt.Sprintf("export %q", e.Name)
		e.Kind = r.byte()
		at := r.pos
		e.Index = r.u32()
		if r.err != nil {
			return
		}
		var size int
		switch e.Kind {
		case KindFunction:
			size = len(s.functions)
		case KindTable:
			size = len(s.tables)
		case KindMemory:
			if s.memory != nil {
				size = 1
			}
		case KindGlobal:
			size = len(s.globals)
		case kindTag:
			r.refuse(&FeatureError{Feature: "exceptions", Where: where})
			return
		default:
			r.fail(at-1, "%s: unknown kind 0x%02x", where, e.Kind)
			return
		}
		switch {
		case uint64(e.Index) >= uint64(size):
			r.fail(at, "%s: index %d of %d", where, e.Index, size)
		case seen[e.Name]:
			r.fail(nameAt, "%s: exported twice", where)
		case e.Name == FuelGlobal || e.Name == DepthGlobal:
			r.refuse(&FeatureError{Feature: "a name reserved for metering", Where: where})
		case e.Kind == KindFunction:
			t := s.signature(int(e.Index))
			e.Params, e.Results = t.params, t.results
		case e.Kind == KindGlobal:
			e.Results = []byte{s.globals[e.Index].typ}
		}
		seen[e.Name] = true
		s.exports = append(s.exports, e)
	}
}
