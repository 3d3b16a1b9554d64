package shard

// Known is how many stores are in memory, those that do not exist (any more) included.
func (s *Shard) Known() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.dir)
}
