package meter

import "strings"

// appendedTypes are the types without parameters that blocks around a function with several results need.
type appendedTypes struct {
	known map[string]uint32 // by results
	added []functionType
	next  uint32
}

func newAppendedTypes(existing []functionType) appendedTypes {
	a := appendedTypes{known: map[string]uint32{}, next: uint32(len(existing))}
	for i, t := range existing {
		if _, ok := a.known[string(t.results)]; len(t.params) == 0 && !ok {
			a.known[string(t.results)] = uint32(i)
		}
	}
	return a
}

// appendBlock appends the type of a block without parameters.
func (a *appendedTypes) appendBlock(b, results []byte) []byte {
	switch len(results) {
	case 0:
		return append(b, blockEmpty)
	case 1:
		return append(b, results[0])
	}
	index, ok := a.known[string(results)]
	if !ok {
		index = a.next
		a.next++
		a.known[string(results)] = index
		a.added = append(a.added, functionType{results: results})
	}
	return appendS64(b, int64(index))
}

// rewrite writes the metered module.
func (s *source) rewrite(c *code) ([]byte, error) {
	w := &rewriter{
		source: s, code: c,
		d:          decoder{reader: reader{module: s.bytes}, opcodes: opcodeTable()},
		types:      newAppendedTypes(s.types),
		fuelGlobal: uint32(len(s.globals)), depthGlobal: uint32(len(s.globals)) + 1,
	}
	bodies, err := w.bodies()
	if err != nil {
		return nil, err
	}
	if err := bound("module", "types", int(w.types.next), s.limits.Types); err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(s.bytes)+len(bodies))
	out = append(out, s.bytes[:8]...)
	// Global and export section are written even where the original has none.
	wroteGlobals, wroteExports, named := false, false, false
	missing := func(place int) {
		if !wroteGlobals && place > 2*sectionGlobal {
			out, wroteGlobals = appendSection(out, sectionGlobal, s.globalSection(section{})), true
		}
		if !wroteExports && place > 2*sectionExport {
			out, wroteExports = appendSection(out, sectionExport, s.exportSection(section{})), true
		}
	}
	for _, sec := range s.sections {
		content := s.bytes[sec.start:sec.end]
		if sec.id != sectionCustom {
			missing(place(sec.id))
		}
		switch sec.id {
		case sectionCustom:
			content = s.customSection(sec, &named)
			if content == nil {
				continue
			}
		case sectionType:
			content = s.typeSection(w, sec)
		case sectionTable:
			content = s.tableSection()
		case sectionMemory:
			content = s.memorySection()
		case sectionGlobal:
			content, wroteGlobals = s.globalSection(sec), true
		case sectionExport:
			content, wroteExports = s.exportSection(sec), true
		case sectionCode:
			content = bodies
		}
		out = appendSection(out, sec.id, content)
	}
	missing(2 * sectionTag)
	if err := bound("module", "bytes", len(out), s.limits.ModuleBytes); err != nil {
		return nil, err
	}
	return out, nil
}

func appendSection(out []byte, id byte, content []byte) []byte {
	return append(appendU32(append(out, id), uint32(len(content))), content...)
}

// extend copies a vector with added more items announced; the items follow. A zero section is an empty vector.
func (s *source) extend(sec section, count, added int) []byte {
	out := appendU32(make([]byte, 0, sec.end-sec.start+64), uint32(count+added))
	if sec.end == 0 {
		return out
	}
	r := &reader{module: s.bytes, pos: sec.start, end: sec.end}
	r.u32()
	return append(out, s.bytes[r.pos:sec.end]...)
}

func (s *source) typeSection(w *rewriter, sec section) []byte {
	out := s.extend(sec, len(s.types), len(w.types.added))
	for _, t := range w.types.added {
		out = append(appendU32(append(out, 0x60, 0), uint32(len(t.results))), t.results...)
	}
	return out
}

func (s *source) globalSection(sec section) []byte {
	out := s.extend(sec, len(s.globals), addedGlobals)
	for _, value := range []int64{s.limits.StartFuel, s.limits.Depth} {
		out = append(appendS64(append(out, typeI64, 1, opI64Const), value), opEnd)
	}
	return out
}

func (s *source) exportSection(sec section) []byte {
	out := s.extend(sec, len(s.exports), addedExports)
	for i, name := range []string{FuelGlobal, DepthGlobal} {
		out = append(appendU32(out, uint32(len(name))), name...)
		out = appendU32(append(out, KindGlobal), uint32(len(s.globals)+i))
	}
	return out
}

func (s *source) tableSection() []byte {
	out := appendU32(nil, uint32(len(s.tables)))
	for _, t := range s.tables {
		out = appendU32(appendU32(append(out, t.ref, 1), t.min), t.max)
	}
	return out
}

func (s *source) memorySection() []byte {
	if s.memory == nil {
		return []byte{0}
	}
	return appendU32(appendU32([]byte{1, 1}, s.memory.min), s.memory.max)
}

// customSection is the content of a custom section to keep, or nil. named says whether a name section was kept already.
func (s *source) customSection(sec section, named *bool) []byte {
	r := &reader{module: s.bytes, pos: sec.start, end: sec.end}
	switch name := r.name(s.limits.NameBytes); {
	case name == "name":
		if *named {
			return nil
		}
		content := s.nameSection(r)
		*named = content != nil
		return content
	case strings.HasPrefix(name, ".debug_"), name == "sourceMappingURL", name == "producers":
		return nil
	}
	return s.bytes[sec.start:sec.end]
}
