package eventstoretest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/crhost/crhost/effects/eventstore"
)

// Benchmark measures what the suite checks: appending by events, streams and callers, repeating, and reading.
func Benchmark(b *testing.B, open func() eventstore.Store) {
	ctx := context.Background()
	for _, n := range []int{1, 10} {
		for _, streams := range []int{1, 10_000} {
			b.Run(fmt.Sprintf("append/events=%d/streams=%d", n, streams), func(b *testing.B) { benchAppend(b, open(), n, streams) })
		}
	}
	b.Run("append/callers", func(b *testing.B) {
		s := open()
		defer s.Close()
		var next atomic.Int64
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				id := next.Add(1)
				if _, err := s.Append(ctx, fmt.Sprintf("s%d", id%100), eventstore.Any, events(fmt.Sprintf("e%d", id))); err != nil {
					b.Error(err)
				}
			}
		})
	})

	s := open()
	defer s.Close()
	for i := range 10 {
		if _, err := s.Append(ctx, "s", eventstore.Any, events(names(fmt.Sprintf("%d/", i), 100)...)); err != nil {
			b.Fatal(err)
		}
	}
	again := events(names("5/", 100)...)
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"again/events=100", func() error { _, err := s.Append(ctx, "s", 0, again); return err }},
		{"load/events=100", func() error { _, err := s.Load(ctx, "s", 301, 100); return err }},
		{"all/events=100", func() error { _, err := s.All(ctx, 300, 100); return err }},
		{"head", func() error { _, err := s.Head(ctx); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchAppend(b *testing.B, s eventstore.Store, n, streams int) {
	defer s.Close()
	given := events(names("e", n)...)
	data := given[0].Data
	b.ReportAllocs()
	b.SetBytes(int64(n * len(data)))
	for i := 0; b.Loop(); i++ {
		for j := range given {
			given[j].ID = fmt.Sprintf("%d/%d", i, j)
		}
		if _, err := s.Append(context.Background(), fmt.Sprintf("s%d", i%streams), eventstore.Any, given); err != nil {
			b.Fatal(err)
		}
	}
}
