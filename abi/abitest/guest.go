package abitest

// A Guest is one instance, with its exports as methods: nothing is added or checked on the way, since that is what a run is to see.
//
// An error of a method is a trap (or anything else after which a host would not call the instance again); the instance gets no
// further call but Close. It belongs to one goroutine.
type Guest interface {
	Buffer(size uint32) (ptr uint32, err error)                // cr1_buffer
	Describe() (span uint64, err error)                        // cr1_describe
	Reduce(n uint32) (span uint64, err error)                  // cr1_reduce
	State(slot uint32, ticket uint64) (span uint64, err error) // cr1_state
	Evict(slot uint32, ticket uint64) error                    // cr1_evict
	Idle(budget int64) error                                   // cr1_idle; nil when it is not exported
	Memory() []byte                                            // a view, until the next call
	Close() error                                              // frees the instance
}
