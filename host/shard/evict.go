package shard

// makeRoom lets idle stores leave memory while there are more than Config.Stores. It looks at a few, chosen at random, each time a store comes in: one that is idle
// gets a checkpoint, and when it is met again with that durable, it goes (SEMANTICS S9); so does what is left of one that was deleted, or whose actions were lost.
// Whoever needs it next reads it from the journal.
//
// REQUIRES: mu is held.
func (s *Shard) makeRoom(comer *store) {
	const looks = 8
	left := looks
	if len(s.dir) <= s.config.Stores || s.refusing != nil || s.recover() != nil {
		return
	}
	for _, st := range s.dir { // begins at a random place
		if left--; left < 0 {
			break
		}
		switch {
		case st == comer || st.shut || st.waiting.Load() > 0 || st.listened():
		case st.stale:
			_ = st.restore() // as long as the journal cannot be read, it stays
		case st.exists && st.halted() != nil:
		case st.exists && st.since > 0:
			_ = s.checkpoint(st) // a store that cannot be encoded halts, and stays
			st.cell.Drop()
		case max(st.pos, st.saved) <= s.committer.Watermark():
			s.remove(st)
			if st.exists && st.row.Stopped() { // by a revision that may become the active one again
				s.asleep[st.key] = st.row
			}
		}
	}
}
