package effects_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
)

func explode(v any) { panic(v) }

// A handler that panics or exits is a failed attempt, not a dead host.
func TestSafely(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("stopped")
	cancel(why)
	request := &effects.Request{Key: "k"}
	do := func(f effects.HandlerFunc) ([]byte, error) { return effects.Safely(f).Do(ctx, request) }

	result, err := do(func(c context.Context, r *effects.Request) ([]byte, error) {
		require.Same(t, request, r)
		return []byte(r.Key), context.Cause(c)
	})
	require.Equal(t, []byte("k"), result)
	require.Equal(t, why, err)

	for name, thrown := range map[string]any{"boom": "boom", "permanent": retry.Permanent(errors.New("permanent")), "runtime": nil} {
		_, err := do(func(context.Context, *effects.Request) ([]byte, error) { explode(thrown); return nil, nil })
		var p *effects.PanicError
		require.ErrorAs(t, err, &p, name)
		require.Contains(t, string(p.Stack), "effects_test.explode", "the stack is that of the panic")
		require.NotContains(t, err.Error(), "explode", "and is not for guests")
		require.False(t, retry.IsPermanent(err), "a panic is retried, whatever was thrown")
		if thrown != nil {
			require.Equal(t, "the handler panicked: "+name, err.Error())
		}
	}

	result, err = do(func(context.Context, *effects.Request) ([]byte, error) { runtime.Goexit(); return []byte("x"), nil })
	require.ErrorIs(t, err, effects.ErrExited)
	require.Nil(t, result)
	require.False(t, retry.IsPermanent(err))
}

func TestRegistry(t *testing.T) {
	named := func(name string) effects.Handler {
		return effects.HandlerFunc(func(context.Context, *effects.Request) ([]byte, error) { return []byte(name), nil })
	}
	r := effects.Registry{
		Calls: map[string]effects.Handler{"http": named("http"), "stripe.charge": named("charge")},
		Kinds: map[abi.Kind]effects.Handler{abi.KindPublish: named("publish"), abi.KindAppend: named("append")},
	}
	require.NoError(t, r.Validate())
	for _, c := range []struct {
		kind         abi.Kind
		target, want string
	}{
		{abi.KindCall, "http:example.com", "http"}, {abi.KindCall, "http:[::1]:80", "http"}, {abi.KindCall, "http", "http"}, {abi.KindCall, "stripe.charge", "charge"},
		{abi.KindPublish, "orders", "publish"}, {abi.KindPublish, "http:x", "publish"}, {abi.KindAppend, "order-1", "append"},
		{abi.KindCall, "publish:orders", ""}, {abi.KindCall, "append", ""}, {abi.KindCall, "other", ""}, {abi.KindCall, "", ""}, {abi.KindCall, "HTTP:x", ""},
		{abi.KindLoad, "order-1", ""}, {abi.KindDelay, "", ""}, {abi.KindCancel, "", ""}, {abi.KindDispatch, "t/m/k", ""}, {abi.KindSequential, "", ""},
	} {
		h, err := r.Handler(&abi.Effect{Kind: c.kind, Target: c.target})
		if c.want == "" {
			require.ErrorIs(t, err, effects.ErrNoHandler, "%s %s", c.kind, c.target)
			require.True(t, retry.IsPermanent(err))
			continue
		}
		require.NoError(t, err)
		got, _ := h.Do(context.Background(), nil)
		require.Equal(t, c.want, string(got))
	}
	_, err := effects.Registry{}.Handler(&abi.Effect{Kind: abi.KindCall, Target: "x:y"})
	require.EqualError(t, err, `call of "x": no handler`)
}

func TestRegistry_validate(t *testing.T) {
	h := effects.HandlerFunc(func(context.Context, *effects.Request) ([]byte, error) { return nil, nil })
	err := effects.Registry{
		Calls: map[string]effects.Handler{"a:b": h, "": h, "nil": nil},
		Kinds: map[abi.Kind]effects.Handler{abi.KindDelay: h, abi.KindCall: h, abi.KindLoad: nil},
	}.Validate()
	require.EqualError(t, err, `calls of "": want 1 to 64 of a-z, 0-9, _ and . for a name
calls of "a:b": want 1 to 64 of a-z, 0-9, _ and . for a name
calls of "nil": the handler is nil
kind "call": no handler does it, want one of [publish append load project]
kind "delay": no handler does it, want one of [publish append load project]
kind "load": the handler is nil`)
}

func ExampleHandler() {
	charge := effects.HandlerFunc(func(ctx context.Context, r *effects.Request) ([]byte, error) {
		if err := r.Emit(ctx, effects.Emission{Token: []byte("asked")}); err != nil {
			return nil, err
		}
		panic("no terminal")
	})
	r := &effects.Request{Emit: func(_ context.Context, e effects.Emission) error {
		fmt.Printf("emitted, resumes after %q\n", e.Token)
		return nil
	}}
	_, err := effects.Safely(charge).Do(context.Background(), r)
	fmt.Println(err)
	// Output:
	// emitted, resumes after "asked"
	// the handler panicked: no terminal
}

func BenchmarkSafely(b *testing.B) {
	h := effects.Safely(effects.HandlerFunc(func(context.Context, *effects.Request) ([]byte, error) { return nil, nil }))
	b.ReportAllocs()
	for b.Loop() {
		h.Do(context.Background(), nil)
	}
}
