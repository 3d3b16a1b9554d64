package prometheus

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// durationBounds are the upper ends, included, of the buckets of every duration but compiling and deploying. They reach from a fast guest's
// reduce to an effect's timeout.
var durationBounds = [...]time.Duration{
	100, 250, 500,
	1 * time.Microsecond, 2500, 5 * time.Microsecond,
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second,
}

// firstBucket is, for the number of bits of a duration that is not negative, the bucket of the shortest duration with so many bits. From there the right
// bucket is at most two steps away.
var firstBucket = func() (first [64]uint8) {
	for n := range first {
		shortest := uint64(1) << n >> 1
		i := 0
		for i < len(durationBounds) && shortest > uint64(durationBounds[i]) {
			i++
		}
		first[n] = uint8(i)
	}
	return first
}()

// distribution counts durations by bucket and sums them up, in nanoseconds. The last bucket is for all beyond the last bound.
type distribution struct {
	sum     atomic.Int64
	buckets [len(durationBounds) + 1]atomic.Uint64
}

// add counts d; a clock that went back counts as 0.
func (h *distribution) add(d time.Duration) {
	d = max(d, 0)
	i := int(firstBucket[bits.Len64(uint64(d))])
	for i < len(durationBounds) && d > durationBounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}
