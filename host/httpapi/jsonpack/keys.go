package jsonpack

// keys is the set of keys of one map. Few are compared one by one and cost nothing; many go into a hash map, which keeps a hostile
// map from costing its size squared.
type keys struct {
	few  [8][]byte
	n    int
	many map[string]struct{}
}

// add reports whether key is new. The set may keep key: REQUIRES: its bytes do not change as long as the set is used.
func (k *keys) add(key []byte) bool {
	if k.many != nil {
		before := len(k.many)
		k.many[string(key)] = struct{}{}
		return len(k.many) > before
	}
	for _, have := range k.few[:k.n] {
		if string(have) == string(key) {
			return false
		}
	}
	if k.n < len(k.few) {
		k.few[k.n] = key
		k.n++
		return true
	}
	k.many = make(map[string]struct{}, 4*len(k.few))
	for _, have := range k.few {
		k.many[string(have)] = struct{}{}
	}
	k.many[string(key)] = struct{}{}
	return true
}
