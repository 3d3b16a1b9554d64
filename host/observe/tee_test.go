package observe_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/crhost/crhost/host/observe"
	"github.com/stretchr/testify/require"
)

// spy returns an observer that writes "name.Callback" to trace for each call, with every field set.
func spy(name string, trace *[]string) *observe.Observer {
	note := func(what string) { *trace = append(*trace, name+"."+what) }
	return &observe.Observer{
		ModuleLoaded: func(m observe.Module) *observe.ModuleHooks {
			note("ModuleLoaded " + m.Name)
			return &observe.ModuleHooks{
				SendStarted: func(ctx context.Context, e *observe.SendStart) context.Context {
					note(fmt.Sprint("SendStarted ", ctx.Value(ctxKey{})))
					return context.WithValue(ctx, ctxKey{}, name)
				},
				Sent:      func(ctx context.Context, e *observe.Sent) { note(fmt.Sprint("Sent ", ctx.Value(ctxKey{}), " ", e.Seq)) },
				Committed: func(e *observe.Committed) { note("Committed") },
				Rebuilt:   func(e *observe.Rebuilt) { note("Rebuilt") },
				Trapped:   func(e *observe.Trapped) { note("Trapped") },
				Halted:    func(e *observe.Halted) { note("Halted") },
				Gap:       func(e *observe.Gap) { note("Gap") },
				Swapped:   func(e *observe.Swapped) { note("Swapped") },
				EffectStarted: func(ctx context.Context, e *observe.EffectStart) context.Context {
					note(fmt.Sprint("EffectStarted ", ctx.Value(ctxKey{})))
					return context.WithValue(ctx, ctxKey{}, name)
				},
				Performed: func(ctx context.Context, e *observe.Performed) { note(fmt.Sprint("Performed ", ctx.Value(ctxKey{}))) },
				Buried:    func(e *observe.Buried) { note("Buried") },
				Redriven:  func(e *observe.Redriven) { note("Redriven") },
				Log:       func(e *observe.GuestLog) { note("Log") },
				Unloaded:  func() { note("Unloaded") },
			}
		},
		Opened:   func(observe.Opened) { note("Opened") },
		Deployed: func(observe.Deployed) { note("Deployed") },
		Compiled: func(observe.Compiled) { note("Compiled") },

		BreakerChanged: func(observe.BreakerChanged) { note("BreakerChanged") },
		Traceparent:    func(context.Context) string { note("Traceparent"); return map[string]string{"b": "of b"}[name] },
	}
}

type ctxKey struct{}

func TestTee_everyFieldInOrder(t *testing.T) {
	var trace []string
	both := observe.Tee(spy("a", &trace), nil, spy("b", &trace))

	both.Opened(observe.Opened{})
	both.Deployed(observe.Deployed{})
	both.Compiled(observe.Compiled{})
	both.BreakerChanged(observe.BreakerChanged{})
	require.Equal(t, "of b", both.Traceparent(t.Context()))
	hooks := both.ModuleLoaded(observe.Module{Name: "counter"})
	ctx := hooks.SendStarted(t.Context(), &observe.SendStart{})
	hooks.Sent(ctx, &observe.Sent{Seq: 7})
	hooks.Committed(&observe.Committed{})
	hooks.Rebuilt(&observe.Rebuilt{})
	hooks.Trapped(&observe.Trapped{})
	hooks.Halted(&observe.Halted{})
	hooks.Gap(&observe.Gap{})
	hooks.Swapped(&observe.Swapped{})
	ctx = hooks.EffectStarted(t.Context(), &observe.EffectStart{})
	hooks.Performed(ctx, &observe.Performed{})
	hooks.Buried(&observe.Buried{})
	hooks.Redriven(&observe.Redriven{})
	hooks.Log(&observe.GuestLog{})
	hooks.Unloaded()

	require.Equal(t, []string{
		"a.Opened", "b.Opened",
		"a.Deployed", "b.Deployed",
		"a.Compiled", "b.Compiled",
		"a.BreakerChanged", "b.BreakerChanged",
		"a.Traceparent", "b.Traceparent",
		"a.ModuleLoaded counter", "b.ModuleLoaded counter",
		"a.SendStarted <nil>", "b.SendStarted a",
		"a.Sent b 7", "b.Sent b 7",
		"a.Committed", "b.Committed",
		"a.Rebuilt", "b.Rebuilt",
		"a.Trapped", "b.Trapped",
		"a.Halted", "b.Halted",
		"a.Gap", "b.Gap",
		"a.Swapped", "b.Swapped",
		"a.EffectStarted <nil>", "b.EffectStarted a",
		"a.Performed b", "b.Performed b",
		"a.Buried", "b.Buried",
		"a.Redriven", "b.Redriven",
		"a.Log", "b.Log",
		"a.Unloaded", "b.Unloaded",
	}, trace)
}

func TestTee_nobodyListens(t *testing.T) {
	one := &observe.Observer{}
	for _, tc := range []struct {
		name string
		in   []*observe.Observer
		want *observe.Observer
	}{
		{"none", nil, nil},
		{"only nil", []*observe.Observer{nil, nil}, nil},
		{"one", []*observe.Observer{one}, one},
		{"one and nil", []*observe.Observer{nil, one, nil}, one},
	} {
		t.Run(tc.name, func(t *testing.T) { require.Same(t, tc.want, observe.Tee(tc.in...)) })
	}
}

// A field that nobody sets stays nil, a field that one sets is that one's, and both survive a second tee.
func TestTee_fieldsStayNil(t *testing.T) {
	for _, set := range fieldNames(observe.Observer{}) {
		t.Run(set, func(t *testing.T) {
			var trace []string
			for _, in := range [][]*observe.Observer{
				{only(spy("a", &trace), set), {}},
				{{}, only(spy("a", &trace), set)},
				{{}, only(spy("a", &trace), set), {}},
			} {
				require.Equal(t, []string{set}, fieldsSet(*observe.Tee(in...)))
			}
		})
	}
	for _, set := range fieldNames(observe.ModuleHooks{}) {
		t.Run("hooks/"+set, func(t *testing.T) {
			var trace []string
			hooks := only(spy("a", &trace).ModuleLoaded(observe.Module{}), set)
			gives := func(h *observe.ModuleHooks) *observe.Observer {
				return &observe.Observer{ModuleLoaded: func(observe.Module) *observe.ModuleHooks { return h }}
			}
			for _, in := range [][]*observe.Observer{
				{gives(hooks), gives(nil)},
				{gives(nil), gives(hooks)},
				{gives(hooks), gives(&observe.ModuleHooks{})},
				{gives(&observe.ModuleHooks{}), gives(hooks), gives(nil)},
			} {
				require.Equal(t, []string{set}, fieldsSet(*observe.Tee(in...).ModuleLoaded(observe.Module{})))
			}
			require.Nil(t, observe.Tee(gives(nil), gives(nil)).ModuleLoaded(observe.Module{}))
		})
	}
}

func fieldNames(v any) (names []string) {
	for f := range reflect.TypeOf(v).Fields() {
		names = append(names, f.Name)
	}
	return names
}

func fieldsSet(v any) (names []string) {
	for _, name := range fieldNames(v) {
		if !reflect.ValueOf(v).FieldByName(name).IsNil() {
			names = append(names, name)
		}
	}
	return names
}

// only returns a copy of *v with nothing set but the named field.
func only[T any](v *T, field string) *T {
	var out T
	reflect.ValueOf(&out).Elem().FieldByName(field).Set(reflect.ValueOf(v).Elem().FieldByName(field))
	return &out
}

func ExampleTee() {
	hello := &observe.Observer{Deployed: func(d observe.Deployed) { fmt.Println("hello", d.Module) }}
	again := &observe.Observer{Deployed: func(d observe.Deployed) { fmt.Println("again", d.Module) }}
	both := observe.Tee(hello, nil, again)
	both.Deployed(observe.Deployed{Module: "counter"})
	fmt.Println(both.ModuleLoaded == nil)
	// Output:
	// hello counter
	// again counter
	// true
}
