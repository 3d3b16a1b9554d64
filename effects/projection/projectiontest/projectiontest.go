// Package projectiontest checks an implementation of projection.Store against what package projection promises.
//
// A store's own tests call Run, its benchmarks Benchmark. Findings runs the same checks and returns what they found instead of failing: so
// this package's tests show that each of many known-broken stores fails the check that is about it.
package projectiontest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/internal/conformance"
)

// Features says what more than the contract an implementation lets us check.
type Features struct {
	// Bubble says that the store does no I/O, so that checks can run in a synctest bubble.
	Bubble bool

	// Reopen returns the store as it is found after the process died now, the given store still open. Nil when nothing is kept.
	Reopen func(projection.Store) projection.Store
}

// Run runs every check as a subtest. Open returns an empty store; a check closes what it opens.
func Run(t *testing.T, open func() projection.Store, features Features) {
	conformance.Run(t, features.Bubble, checks(open, features))
}

// Findings runs every check and returns the first complaint of each that has one, by its name.
func Findings(t *testing.T, open func() projection.Store, features Features) map[string]string {
	return conformance.Findings(t, features.Bubble, checks(open, features))
}

func checks(open func() projection.Store, features Features) []conformance.Check {
	var all []conformance.Check
	for _, c := range append(rowChecks(), buildChecks()...) {
		if c.reopens && features.Reopen == nil {
			continue
		}
		all = append(all, conformance.Check{Name: c.name, Crowd: c.crowd, Run: func(t conformance.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			t.Cleanup(cancel)
			k := &kit{T: t, ctx: ctx, Store: open(), features: features}
			t.Cleanup(func() { _ = k.Close() })
			c.run(k)
		}})
	}
	return all
}

// check is one promise.
type check struct {
	name    string
	crowd   bool
	reopens bool
	run     func(*kit)
}

// kit is what a check works with.
type kit struct {
	conformance.T
	projection.Store
	ctx      context.Context
	features Features
}

// model is the read model that checks write to.
const model = "orders"

func (k *kit) builds() projection.Builds {
	k.Helper()
	b, err := k.Builds(k.ctx, model)
	require.NoError(k, err)
	return b
}

func (k *kit) begin() projection.Build {
	k.Helper()
	b, err := k.Begin(k.ctx, model)
	require.NoError(k, err)
	return b
}

// update commits to a build and returns it as it is then.
func (k *kit) update(b projection.Build, to uint64, write func(projection.Tx)) projection.Build {
	k.Helper()
	require.NoError(k, k.Update(k.ctx, model, b, to, func(tx projection.Tx) error { write(tx); return nil }))
	b.Checkpoint = to
	return b
}

// set returns a write of rows: key, value, key, value, ...
func (k *kit) set(pairs ...string) func(projection.Tx) {
	return func(tx projection.Tx) {
		for i := 0; i < len(pairs); i += 2 {
			require.NoError(k, tx.Set(pairs[i], []byte(pairs[i+1])))
		}
	}
}

// list returns the live rows with a prefix as key=value, read two at a time.
func (k *kit) list(prefix string) (rows []string) {
	k.Helper()
	for after := ""; ; {
		page, err := k.List(k.ctx, model, prefix, after, 2)
		require.NoError(k, err)
		require.LessOrEqual(k, len(page.Rows), 2)
		if len(page.Rows) == 0 {
			return rows
		}
		for _, r := range page.Rows {
			require.Greater(k, r.Key, after)
			rows = append(rows, r.Key+"="+string(r.Value))
			after = r.Key
		}
	}
}

func within(k *kit, tx projection.Tx, prefix string) (rows []string) {
	k.Helper()
	for r, err := range tx.Rows(prefix) {
		require.NoError(k, err)
		rows = append(rows, r.Key+"="+string(r.Value))
	}
	return rows
}

// Benchmark measures updates by rows, and reading.
func Benchmark(b *testing.B, open func() projection.Store) {
	ctx := context.Background()
	for _, rows := range []int{1, 100} {
		for _, size := range []int{100, 100_000} {
			b.Run(fmt.Sprintf("update/rows=%d/of=%d", rows, size), func(b *testing.B) {
				s := open()
				defer s.Close()
				at, value, n := projection.Build{ID: 1}, make([]byte, 100), 0
				write := func(tx projection.Tx) error {
					for range rows {
						n = (n*31 + 7) % size
						if err := tx.Set(fmt.Sprintf("customer-%d/order", n), value); err != nil {
							return err
						}
					}
					return nil
				}
				b.ReportAllocs()
				for b.Loop() {
					if err := s.Update(ctx, model, at, at.Checkpoint+1, write); err != nil {
						b.Fatal(err)
					}
					at.Checkpoint++
				}
			})
		}
	}
	s := open()
	defer s.Close()
	if err := s.Update(ctx, model, projection.Build{ID: 1}, 1, func(tx projection.Tx) error {
		for i := range 10_000 {
			if err := tx.Set(fmt.Sprintf("customer-%03d/%02d", i/100, i%100), []byte("order")); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	b.Run("list/rows=100", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if page, err := s.List(ctx, model, "customer-042/", "", 100); err != nil || len(page.Rows) != 100 {
				b.Fatal(len(page.Rows), err)
			}
		}
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Get(ctx, model, "customer-042/07"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
