package host_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
)

// calling is a host with the caller guest, whose calls are answered at once.
func calling(b *testing.B, shards int) *host.Host {
	h := observed(b, host.Config{Shards: shards, Calls: map[string]effects.Handler{
		"echo": effects.HandlerFunc(func(context.Context, *effects.Request) ([]byte, error) { return nil, nil }),
	}})
	deploy(b, h, "caller", "./internal/guests/caller")
	return h
}

// rounds sends n actions that call, so many at a time, and returns when all has been fed back.
func rounds(tb testing.TB, h *host.Host, senders, n int) {
	var wg sync.WaitGroup
	call := enginetest.Action("call")
	for i := range senders {
		s := h.Store(abi.Address{Module: "caller", Key: fmt.Sprint(i)})
		wg.Go(func() {
			var last host.Receipt
			for range n / senders {
				r, err := s.Send(context.Background(), call)
				if err != nil {
					tb.Error(err)
					return
				}
				last = r
			}
			if err := last.Wait(context.Background()); err != nil {
				tb.Error(err)
			}
		})
	}
	wg.Wait()
}

// BenchmarkEffect is a call whose handler does nothing, from its action to the action fed back, beside a bare send of the same guest; and how many a
// second on all cores.
func BenchmarkEffect(b *testing.B) {
	b.Run("vs=send", func(b *testing.B) {
		h := calling(b, 1)
		plain := sender(b, h.Store(abi.Address{Module: "caller", Key: "plain"}), enginetest.Action("plain"))
		one, call := h.Store(abi.Address{Module: "caller", Key: "one"}), enginetest.Action("call")
		compare(b, 5_000, side{"send", plain}, side{"effect", func(n int) {
			for range n {
				r, err := one.Send(context.Background(), call)
				if err == nil {
					err = r.Wait(context.Background())
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		}}, side{"pipelined-effect", func(n int) { rounds(b, h, 64, n) }})
	})
	b.Run("throughput", func(b *testing.B) {
		h := calling(b, 2)
		const n = 50_000
		rounds(b, h, 64, n)
		start, done := time.Now(), 0
		for b.Loop() {
			rounds(b, h, 64, n)
			done += n
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(done)/time.Since(start).Seconds(), "effects/s")
	})
}

// BenchmarkWaiting is what effects that wait cost in memory: timers, and calls behind a breaker that is open.
func BenchmarkWaiting(b *testing.B) {
	for _, c := range []struct {
		action string
		n      int
	}{{"wait", 1_000_000}, {"call", 100_000}} {
		b.Run(fmt.Sprintf("action=%s/n=%d", c.action, c.n), func(b *testing.B) {
			h := calling(b, 2)
			require.NoError(b, h.SetBreaker("", "call=echo", host.ForceOpen))
			var stores []*host.Store
			for i := range c.n / 1000 {
				stores = append(stores, h.Store(abi.Address{Module: "caller", Key: fmt.Sprint(i)}))
			}
			for _, s := range stores { // all that a store needs by itself
				sender(b, s, enginetest.Action("plain"))(1)
			}
			heap := func() float64 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return float64(m.HeapAlloc)
			}
			before, goroutines := heap(), runtime.NumGoroutine()
			for i := range c.n {
				if _, err := stores[i%len(stores)].Send(context.Background(), enginetest.Action(c.action)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric((heap()-before)/float64(c.n), "B/waiting")
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
		})
	}
}
