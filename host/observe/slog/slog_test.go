package slog_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/observe"
	observeslog "github.com/crhost/crhost/host/observe/slog"
)

var update = flag.Bool("update", false, "write the golden files")

// logger writes text without the time of day, which no test can know.
func logger(out *bytes.Buffer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// everything reports one of each event, twice where it can go either way. Hooks that the observer did not set are passed over.
func everything(o *observe.Observer) {
	down := errors.New("disk\nlevel=INFO msg=fine")
	o.Compiled(observe.Compiled{Digest: "d1", Bytes: 100, MeteredBytes: 120, Duration: time.Second})
	o.Compiled(observe.Compiled{Digest: "d1", Bytes: 100, MeteredBytes: 120, Cached: true, Duration: time.Millisecond})
	o.Compiled(observe.Compiled{Digest: "d2", Bytes: 7, Err: errors.New("section 3 is out of order")})
	o.Deployed(observe.Deployed{Tenant: "default", Module: "counter", Revision: "r1", Digest: "d1", Outcome: "activated", Duration: 2 * time.Second})
	o.Deployed(observe.Deployed{Tenant: "default", Module: "counter", Digest: "d2", Outcome: "refused", Err: errors.New("bad module")})
	h := o.ModuleLoaded(observe.Module{Tenant: "default", Name: "counter", Actions: []string{"increment", "reset"}, EffectKinds: []string{"call"}})
	if h.Sent != nil {
		h.Sent(context.Background(), &observe.Sent{
			Key: "main", ActionType: "increment", Cause: observe.CauseFeedback, Seq: 1, Revision: "r1", LockWait: 80, Reduce: 200, Commit: 120, Total: 420, Fuel: 1000, CorrelationID: "c1",
		})
		h.Sent(context.Background(), &observe.Sent{Key: "main", ActionType: "no\tsuch", Code: "unknown_action", Err: errors.New("unknown action"), Total: 50})
	}
	h.Committed(&observe.Committed{Actions: 3, Bytes: 100})
	h.Committed(&observe.Committed{Actions: 3, Bytes: 100, Latency: time.Millisecond, Lag: 5, Err: down})
	if h.Rebuilt != nil {
		h.Rebuilt(&observe.Rebuilt{Key: "main", Replayed: 12, Duration: time.Millisecond, Cause: "trap"})
	}
	h.Trapped(&observe.Trapped{Key: "main", Cause: "unreachable", Message: "panic: \x1b[31mred\x1b[0m\nfunc[7]", Fuel: 99, Trace: "00-0af7-b7ad-01"})
	h.Halted(&observe.Halted{Key: "main", Code: "state_unreadable", Reason: "over 16 MiB"})
	h.Halted(&observe.Halted{Key: "main", Code: "state_unreadable", Reason: "deploy", Resumed: true})
	h.Gap(&observe.Gap{Key: "main", From: 3, To: 7})
	if h.Swapped != nil {
		h.Swapped(&observe.Swapped{Shard: 1, Revision: "r2", Pause: 20 * time.Microsecond})
	}
	start := observe.EffectStart{Attempt: 2, Leaf: observe.Leaf{
		Key: "main", Seq: 7, Index: 2, KindName: "call", Target: "http:a\n", Drive: 1, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}}
	untraced := start.Leaf
	untraced.Trace = ""
	h.Performed(context.Background(), &observe.Performed{EffectStart: start, Outcome: observe.OutcomeDone})
	h.Performed(context.Background(), &observe.Performed{EffectStart: start, Outcome: observe.OutcomeFailed, Duration: time.Second, Err: errors.New("timeout")})
	h.Performed(context.Background(), &observe.Performed{EffectStart: start, Outcome: observe.OutcomeCanceled, Err: context.Canceled})
	h.Buried(&observe.Buried{Leaf: start.Leaf, Reason: "exhausted", Err: "timeout", Fed: true})
	h.Buried(&observe.Buried{Leaf: untraced, Reason: "cascade"})
	h.Redriven(&observe.Redriven{Leaf: start.Leaf, Reason: "exhausted"})
	h.Redriven(&observe.Redriven{Leaf: untraced, Reason: "cascade", Discarded: true})
	for _, state := range []string{observe.BreakerOpen, observe.BreakerClosed} {
		o.BreakerChanged(observe.BreakerChanged{Tenant: "default", Target: "call=http:a\n", From: observe.BreakerHalfOpen, To: state, Manual: true})
	}
	for level := -1; level <= 4; level++ {
		h.Log(&observe.GuestLog{Key: "main", Level: level, Text: "hello"})
	}
	h.Unloaded()
}

func TestLines(t *testing.T) {
	for name, level := range map[string]slog.Level{"info.txt": slog.LevelInfo, "debug.txt": slog.LevelDebug} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			everything(observeslog.New(logger(&out, level)))
			path := "testdata/" + name
			if *update {
				require.NoError(t, os.WriteFile(path, out.Bytes(), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), out.String())
		})
	}
}

// Sends, rebuilds and swaps are not even asked for unless somebody wants to read about them.
func TestObserver_freeOfSends(t *testing.T) {
	var out bytes.Buffer
	hooks := observeslog.New(logger(&out, slog.LevelInfo)).ModuleLoaded(observe.Module{})
	require.Nil(t, hooks.SendStarted)
	require.Nil(t, hooks.Sent)
	require.Nil(t, hooks.Rebuilt)
	require.Nil(t, hooks.Swapped)
	require.NotNil(t, observeslog.New(logger(&out, slog.LevelDebug)).ModuleLoaded(observe.Module{}).Sent)
}

// What a guest writes stays within its line and its bounds, whatever the handler.
func TestText_clean(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", `héllo \ "wörld" 日本 �`, `héllo \ "wörld" 日本 �`},
		{"control", "a\nb\rc\x00d\x1b[2Je\x7f\tf", `a\x0ab\x0dc\x00d\x1b[2Je\x7f\x09f`},
		{"C1 control", "a\u009bb", `a\U0000009bb`},
		{"separators", "a\u2028b\u2029c", `a\U00002028b\U00002029c`},
		{"direction", "a\u202eb\u2066c", `a\U0000202eb\U00002066c`},
		{"replacement character", "\ufffd\n\xff", `�\x0a\xff`},
		{"not UTF-8", "a\xffb\xe2\x82", `a\xffb\xe2\x82`},
		{"as long as may be", strings.Repeat("x", observeslog.MaxText), strings.Repeat("x", observeslog.MaxText)},
		{"longer", strings.Repeat("x", observeslog.MaxText+1), strings.Repeat("x", observeslog.MaxText) + "..."},
		{"cut inside a character", "x" + strings.Repeat("ü", observeslog.MaxText), "x" + strings.Repeat("ü", observeslog.MaxText/2-1) + "..."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got string
			handler := slog.NewTextHandler(new(bytes.Buffer), &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == "text" {
					got = a.Value.String()
				}
				return a
			}})
			hooks := observeslog.New(slog.New(handler)).ModuleLoaded(observe.Module{})
			hooks.Log(&observe.GuestLog{Level: 1, Text: tc.in})
			require.Equal(t, tc.want, got)
		})
	}
}

func ExampleNew() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	hooks := observeslog.New(logger).ModuleLoaded(observe.Module{Tenant: "default", Name: "counter"})
	hooks.Trapped(&observe.Trapped{Key: "main", Cause: "fuel", Fuel: 50_000_000})
	// Output:
	// level=INFO msg="module loaded" tenant=default module=counter actions=0
	// level=WARN msg=trap tenant=default module=counter key=main cause=fuel message="" fuel=50000000
}
