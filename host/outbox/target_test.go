package outbox

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

// taker takes whatever is delivered.
type taker struct{}

func (taker) Deliver(context.Context, *ledger.Delivery) error                  { return nil }
func (taker) Start(ctx context.Context, _ *ledger.Leaf, _ int) context.Context { return ctx }
func (taker) Performed(*Performed)                                             {}

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
			Store: func(journal.StoreID) Store { return taker{} },
		})
		store := journal.StoreID{Tenant: "t", Module: "m", Key: "k"}
		call := func(i int, target string) {
			ref := ledger.Ref{Seq: uint64(i)}
			o.Moved(store, journal.Incarnation{1}, &ledger.Moves{Start: []*ledger.Leaf{{
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

// So are those of modules that are not loaded, once nothing waits for them: a module may dispatch to any name.
func TestTargets_ofModulesForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loaded := false
		o := New(Config{
			Store: func(journal.StoreID) Store { return taker{} },
			Dispatch: func(context.Context, *ledger.Dispatch) ([]byte, error) {
				if loaded {
					return nil, nil
				}
				return nil, &abi.Error{Code: abi.CodeNotFound}
			},
		})
		store := journal.StoreID{Tenant: "t", Module: "m", Key: "k"}
		moved := func(m *ledger.Moves) {
			o.Moved(store, journal.Incarnation{1}, m)
			synctest.Wait()
		}
		for i := range 3 * manyTargets {
			ref := ledger.Ref{Seq: uint64(i)}
			moved(&ledger.Moves{Start: []*ledger.Leaf{{
				Ref: ref, Store: store, Life: journal.Incarnation{1}, Drive: 1, Effect: &abi.Effect{Kind: abi.KindDispatch, Target: fmt.Sprintf("m%d/k", i)},
			}}})
			if i > 0 {
				moved(&ledger.Moves{Stop: []ledger.Ref{ref}})
			}
		}
		require.LessOrEqual(t, len(o.tenants["t"].targets), manyTargets)
		m0 := journal.ModuleID{Tenant: "t", Module: "m0"}
		require.Equal(t, []Unloaded{{m0, 1}}, o.Unloaded(""))
		require.Equal(t, Stats{Tasks: 1, Parked: 1}, o.Stats(moduleID(store)))
		loaded = true
		o.Loaded(m0)
		synctest.Wait()
		require.Empty(t, o.Unloaded("t"))
		require.Equal(t, Stats{}, o.Stats(moduleID(store)))
		open := 0
		for _, g := range o.tenants["t"].targets {
			if g.open {
				open++
			}
		}
		require.Equal(t, open, o.tenants["t"].unloaded)
		require.NoError(t, o.Close(t.Context()))
	})
}

func moduleID(s journal.StoreID) journal.ModuleID {
	return journal.ModuleID{Tenant: s.Tenant, Module: s.Module}
}

// A module that is loaded just after a dispatch found that it is not, is not waited for.
func TestUnloaded_loadedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		var o *Outbox
		o = New(Config{
			Store: func(journal.StoreID) Store { return taker{} },
			Dispatch: func(context.Context, *ledger.Dispatch) ([]byte, error) {
				if calls++; calls == 1 {
					o.Loaded(journal.ModuleID{Tenant: "t", Module: "m0"}) // before the outbox hears that it was not
					return nil, &abi.Error{Code: abi.CodeNotFound}
				}
				return nil, nil
			},
		})
		store := journal.StoreID{Tenant: "t", Module: "m", Key: "k"}
		o.Moved(store, journal.Incarnation{1}, &ledger.Moves{Start: []*ledger.Leaf{{
			Store: store, Life: journal.Incarnation{1}, Drive: 1, Effect: &abi.Effect{Kind: abi.KindDispatch, Target: "m0/k"},
		}}})
		time.Sleep(30 * time.Second)
		synctest.Wait()
		left := o.Stats(moduleID(store))
		require.NoError(t, o.Close(t.Context()))
		require.Equal(t, Stats{}, left)
	})
}
