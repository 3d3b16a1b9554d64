package shard

import (
	"sync"
	"time"

	"github.com/crhost/crhost/abi"
)

// trapMemory is how long a store counts as having trapped lately.
const trapMemory = 10 * time.Second

// Traps rations what traps cost a module: each one takes a token, and while none is left, outside actions of the stores that trapped lately are
// refused. Others never notice.
type Traps struct {
	rate float64 // tokens per second, and their number at most

	mu     sync.Mutex // guards what follows
	tokens float64
	at     time.Time
}

// NewTraps returns a full bucket of rate tokens, refilled at rate per second.
func NewTraps(rate float64) *Traps {
	return &Traps{rate: rate, tokens: rate}
}

func (t *Traps) refill(now time.Time) {
	if !t.at.IsZero() {
		t.tokens = min(t.rate, t.tokens+now.Sub(t.at).Seconds()*t.rate)
	}
	t.at = now
}

// take counts a trap.
func (t *Traps) take(now time.Time) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refill(now)
	t.tokens = max(t.tokens-1, -t.rate)
}

// spent reports whether no token is left.
func (t *Traps) spent(now time.Time) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refill(now)
	return t.tokens < 1
}

// trapping refuses a store that trapped lately while its module's traps are spent.
//
// REQUIRES: mu is held.
func (s *Shard) trapping(st *store) error {
	if st.trapped.IsZero() {
		return nil
	}
	now := time.Now()
	if now.Sub(st.trapped) >= trapMemory {
		st.trapped = time.Time{}
		return nil
	}
	if s.config.Traps.spent(now) {
		return refuse(abi.CodeTrapping, "the store trapped lately and its module traps too often")
	}
	return nil
}
