package meter

// The parts of the name section that are kept. Names of locals, labels and the like are dropped: nobody prints them.
const (
	namesModule    = 0
	namesFunctions = 1
)

// nameSection copies the names that stack traces print. As the binary format asks, a fault in it is no fault of the module: then there are
// no names. Names that are too long or belong to no function are left out. r stands behind the section's own name.
func (s *source) nameSection(r *reader) []byte {
	out := append(appendU32(nil, 4), "name"...)
	seen := -1
	for !r.done() {
		id := r.byte()
		size := r.count("name bytes", 1)
		if r.err != nil || int(id) <= seen {
			return nil
		}
		seen = int(id)
		sub := &reader{module: s.bytes, pos: r.pos, end: r.pos + size}
		r.skip(size)
		var content []byte
		switch id {
		case namesModule:
			name := sub.name(s.limits.NameBytes)
			content = append(appendU32(nil, uint32(len(name))), name...)
		case namesFunctions:
			content = s.functionNames(sub)
		default:
			continue
		}
		if sub.err != nil || !sub.done() {
			return nil
		}
		out = appendSection(out, id, content)
	}
	return out
}

func (s *source) functionNames(r *reader) []byte {
	n := r.count("names", 2)
	kept := 0
	items := make([]byte, 0, r.end-r.pos)
	for i := 0; i < n && r.err == nil; i++ {
		start := r.pos
		index := r.u32()
		at := r.pos
		size := r.count("name bytes", 1)
		if r.err == nil && (int(index) >= len(s.functions) || size > s.limits.NameBytes) {
			r.skip(size)
			continue
		}
		r.pos = at
		r.name(s.limits.NameBytes)
		items = append(items, s.bytes[start:r.pos]...)
		kept++
	}
	return append(appendU32(nil, uint32(kept)), items...)
}
