package memory

// Topics is how many topics the bus remembers.
func (b *Bus) Topics() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.topics)
}
