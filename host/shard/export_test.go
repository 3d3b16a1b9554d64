package shard

// Known is how many stores are in memory, those that do not exist (any more) included.
func (s *Shard) Known() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.dir)
}

// Knows reports whether a store is in memory.
func (s *Shard) Knows(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dir[key] != nil
}

// Waiting is how many wait for a store that is in memory.
func (s *Shard) Waiting(key string) int {
	s.dirMu.RLock()
	defer s.dirMu.RUnlock()
	return int(s.dir[key].waiting.Load())
}
