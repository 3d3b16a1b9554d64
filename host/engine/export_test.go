package engine

// CodesOf counts the compiled modules that e holds.
func CodesOf(e *Engine) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, d := range e.domains {
		n += len(d.codes)
	}
	return n
}

// DomainsOf counts the runtimes that e holds.
func DomainsOf(e *Engine) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.domains)
}

// DepthLeft is what i's next call may nest.
func DepthLeft(i *Instance) int64 { return int64(i.depth.Get()) }
