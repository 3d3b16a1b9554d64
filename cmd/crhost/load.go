package main

import (
	"context"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// load is what bench does.
type load struct {
	Concurrency int           `json:"concurrency"`
	Stores      int           `json:"stores"`
	Duration    time.Duration `json:"-"`
	Count       uint64        `json:"-"` // 0 = no bound
}

// result is what it saw. Durations are in nanoseconds.
type result struct {
	load
	Actions uint64        `json:"actions"` // accepted
	Refused uint64        `json:"refused"`
	First   string        `json:"first_refusal,omitempty"`
	Seconds float64       `json:"seconds"`
	Rate    float64       `json:"rate"` // accepted a second
	P50     time.Duration `json:"p50"`
	P90     time.Duration `json:"p90"`
	P99     time.Duration `json:"p99"`
	P999    time.Duration `json:"p999"`
	Longest time.Duration `json:"longest"`
	err     error         // the first refusal, or why it broke off
}

func (l load) check() error {
	switch {
	case l.Concurrency < 1:
		return usage("for example: --concurrency 16", "--concurrency %d: want 1 or more", l.Concurrency)
	case l.Stores < 1:
		return usage("for example: --stores 100", "--stores %d: want 1 or more", l.Stores)
	case l.Duration <= 0:
		return usage("for example: --duration 5s", "--duration %v: want more than 0", l.Duration)
	}
	return nil
}

// run sends until the time is over, the count is reached, ctx ends, or an error is not a refusal.
func (l load) run(ctx context.Context, key string, send func(ctx context.Context, key string) error) result {
	keys := make([]string, l.Stores)
	for i := range keys {
		keys[i] = key
		if i > 0 {
			keys[i] = fmt.Sprintf("%s-%d", key, i)
		}
	}
	var started atomic.Uint64
	var over atomic.Bool
	timer := time.AfterFunc(l.Duration, func() { over.Store(true) })
	defer timer.Stop()
	stop := context.AfterFunc(ctx, func() { over.Store(true) })
	defer stop()

	var mu sync.Mutex // guards all
	all := tally{}
	var workers sync.WaitGroup
	start := time.Now()
	for range l.Concurrency {
		workers.Go(func() {
			mine := tally{}
			for !over.Load() {
				n := started.Add(1)
				if l.Count > 0 && n > l.Count {
					break
				}
				begun := time.Now()
				err := send(ctx, keys[n%uint64(len(keys))])
				mine.add(time.Since(begun), err)
				if err != nil && !isRefusal(err) {
					over.Store(true)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.merge(&mine)
		})
	}
	workers.Wait()
	return l.result(&all, time.Since(start))
}

func (l load) result(t *tally, took time.Duration) result {
	r := result{load: l, Actions: t.accepted, Refused: t.refused, Seconds: took.Seconds(), err: t.err}
	if t.err != nil {
		r.First = t.err.Error()
	}
	r.Rate = float64(t.accepted) / r.Seconds
	r.P50, r.P90, r.P99, r.P999 = t.times.quantile(0.5), t.times.quantile(0.9), t.times.quantile(0.99), t.times.quantile(0.999)
	r.Longest = t.times.longest
	return r
}

// tally counts what one worker saw.
type tally struct {
	accepted, refused uint64
	err               error // the first
	times             histogram
}

func (t *tally) add(d time.Duration, err error) {
	if err != nil {
		t.refused++
		if t.err == nil {
			t.err = err
		}
		return
	}
	t.accepted++
	t.times.add(d)
}

func (t *tally) merge(o *tally) {
	t.accepted += o.accepted
	t.refused += o.refused
	if t.err == nil {
		t.err = o.err
	}
	t.times.merge(&o.times)
}

// histogram counts durations in buckets whose width is at most 1/32 of their value.
type histogram struct {
	counts  [64 * 32]uint64
	total   uint64
	longest time.Duration
}

// bucket numbers durations: below 64 ns each its own, then 32 for each power of two.
func bucket(d time.Duration) int {
	n := uint64(max(d, 0))
	shift := max(bits.Len64(n)-6, 0)
	return shift*32 + int(n>>shift)
}

// ceiling is the longest duration of a bucket.
func ceiling(i int) time.Duration {
	if i < 64 {
		return time.Duration(i)
	}
	shift := i/32 - 1
	return time.Duration(uint64(i-shift*32+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
	h.longest = max(h.longest, d)
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.longest = max(h.longest, o.longest)
}

// quantile is a duration that the share q of them does not exceed, 0 when there are none.
func (h *histogram) quantile(q float64) time.Duration {
	left := uint64(q * float64(h.total))
	for i, n := range h.counts {
		if left < n {
			return min(ceiling(i), h.longest)
		}
		left -= n
	}
	return h.longest
}
