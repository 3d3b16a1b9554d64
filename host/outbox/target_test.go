package outbox

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

// A tenant's targets that are of no interest any more are forgotten, those with something to tell are not.
func TestTargets_forgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := New(Config{
			Handlers: effects.Registry{Calls: map[string]effects.Handler{"x": effects.HandlerFunc(
				func(_ context.Context, r *effects.Request) ([]byte, error) {
					if r.Effect.Target == "x:bad" {
						return nil, fmt.Errorf("down")
					}
					return nil, nil
				})}},
			Deliver: func(context.Context, *ledger.Delivery) error { return nil },
		})
		store := journal.StoreID{Tenant: "t", Module: "m", Key: "k"}
		call := func(i int, target string) {
			ref := ledger.Ref{Seq: uint64(i)}
			o.Moved(store, journal.Incarnation{1}, &ledger.Moves{Start: []ledger.Leaf{{
				Ref: ref, Store: store, Life: journal.Incarnation{1}, Drive: 1, Effect: &abi.Effect{Kind: abi.KindCall, Target: target},
			}}})
		}
		call(0, "x:bad")
		synctest.Wait()
		require.NoError(t, o.SetBreaker("t", "call=x:held", ForceOpen))
		for i := range 3 * manyTargets {
			call(i+1, fmt.Sprintf("x:%d", i))
			synctest.Wait()
		}
		targets := o.Targets("t")
		require.LessOrEqual(t, len(targets), manyTargets)
		var names []string
		for _, g := range targets {
			names = append(names, g.Name)
		}
		require.Contains(t, names, "call=x:bad")
		require.Contains(t, names, "call=x:held")
		require.NoError(t, o.Close(t.Context()))
	})
}
