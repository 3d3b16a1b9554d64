package host_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe/otel"
)

// The caller's span, of which nothing but its traceparent comes along.
const (
	callerTrace = "0af7651916cd43dd8448eb211c80319c"
	callerSpan  = "b7ad6b7169203331"
	caller      = "00-" + callerTrace + "-" + callerSpan + "-01"
)

// traced starts the world's host anew, with spans.
func (w *world) traced() *tracetest.InMemoryExporter {
	exporter := tracetest.NewInMemoryExporter()
	w.stop()
	w.config.Observer = otel.New(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)))
	w.start()
	return exporter
}

// post sends an action over HTTP, with the caller's trace.
func (w *world) post(key, body string) {
	w.Helper()
	api, err := httpapi.New(httpapi.Config{Host: w.host, Context: func(r *http.Request) context.Context {
		return propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	}})
	require.NoError(w, err)
	r := httptest.NewRequestWithContext(w.Context(), http.MethodPost, "/v1/tenants/default/modules/script/stores/"+key+"/actions", strings.NewReader(body))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Traceparent", caller)
	answer := httptest.NewRecorder()
	api.ServeHTTP(answer, r)
	require.Equal(w, http.StatusOK, answer.Code, answer.Body.String())
}

// tree draws the spans that descend from the caller's, each as a line with what tells it apart, below the span that it is a child of.
func tree(t *testing.T, exporter *tracetest.InMemoryExporter) string {
	t.Helper()
	spans := exporter.GetSpans()
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int {
		if c := a.StartTime.Compare(b.StartTime); c != 0 {
			return c
		}
		return strings.Compare(b.Name, a.Name)
	})
	var lines []string
	var below func(parent trace.SpanID, indent string)
	below = func(parent trace.SpanID, indent string) {
		for _, s := range spans {
			if s.Parent.SpanID() == parent {
				lines = append(lines, indent+line(s))
				below(s.SpanContext.SpanID(), indent+"  ")
			}
		}
	}
	root, err := trace.SpanIDFromHex(callerSpan)
	require.NoError(t, err)
	below(root, "")
	require.Len(t, lines, len(spans), "spans of another trace")
	for _, s := range spans {
		require.Equal(t, callerTrace, s.SpanContext.TraceID().String())
	}
	return strings.Join(lines, "\n")
}

func line(s tracetest.SpanStub) string {
	words := []string{s.Name}
	for _, key := range []attribute.Key{
		otel.KeyStoreKey, otel.KeyCause, otel.KeyAction, otel.KeyKind, otel.KeyTarget, otel.KeyDrive, otel.KeyAttempt, otel.KeyOutcome, otel.KeyCode,
	} {
		for _, kv := range s.Attributes {
			if kv.Key == key {
				words = append(words, kv.Value.String())
			}
		}
	}
	return strings.Join(words, " ")
}

// One trace goes from the HTTP request through the action, its call, what that feeds back, the dispatch that this describes, and the other
// store's action. In real time: where no time passes, no reduce takes any, and is not told of.
func TestTrace_throughEffects(t *testing.T) {
	dir, err := compiled()
	require.NoError(t, err)
	exporter := tracetest.NewInMemoryExporter()
	w := &world{T: t, journal: inMemory{memory.New(memory.Config{})}, config: host.Config{
		Shards: 2, CacheDir: dir, Observer: otel.New(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))),
		Calls: map[string]effects.Handler{"chain": effects.HandlerFunc(func(context.Context, *effects.Request) ([]byte, error) {
			return msgpack.Marshal(m{"do": []m{{"kind": "dispatch", "target": "script/b", "id": "hello", "ok": "ok", "err": "err"}}})
		})},
	}}
	w.start()
	_, err = w.host.Deploy(t.Context(), host.DeployRequest{Module: "script", Wasm: enginetest.BuildGo(t, "./internal/guests/script")})
	require.NoError(t, err)
	w.post("a", `{"type":"do","effects":[{"kind":"call","target":"chain","ok":"ok","err":"err"}]}`)
	sub, err := w.store("a").Subscribe(t.Context(), host.SubscribeOptions{From: 1})
	require.NoError(t, err)
	for range 3 {
		_, err := sub.Next(t.Context())
		require.NoError(t, err)
	}
	sub.Close()
	w.stop() // every span has ended then
	require.Equal(t, strings.TrimSpace(`
store.send a command do
  reducer.reduce do
  effect.execute a call chain 1 1 done
    store.send a feedback ok
      reducer.reduce ok
      effect.execute a dispatch script/b 1 1 done
        store.send b dispatch do
          reducer.reduce do
        store.send a feedback ok
          reducer.reduce ok`), tree(t, exporter))
}

// Each attempt has its span, appends and publishes one inside; what is given up is fed back in the trace, and a redrive goes on with it.
func TestTrace_attempts(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		exporter := w.traced()
		tries := 0
		w.peer("stream", func(context.Context, *effects.Request) error {
			time.Sleep(time.Millisecond)
			if tries++; tries == 1 {
				return errDown
			}
			return nil
		})
		w.peer("peer", func(context.Context, *effects.Request) error { return retry.Permanent(errDown) })
		w.post("a", `{"type":"do","effects":[{"kind":"sequential","children":[
			{"kind":"append","target":"stream","events":[{"type":"x"}],"ok":"ok"},{"kind":"publish","target":"topic","body":{}},
			{"kind":"call","target":"peer","ok":"ok","err":"err"}]}]}`)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"ok stream", "err failed"}, w.log("a"))
		w.peer("peer", nil)
		_, err := w.store("a").RetryDLQ(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"ok stream", "err failed", "ok peer"}, w.log("a"))
		require.Equal(t, strings.TrimSpace(`
store.send a command do
  effect.execute a append stream 1 1 failed
    event_store.append stream
  effect.execute a append stream 1 2 done
    event_store.append stream
    store.send a feedback ok
  effect.execute a publish topic 1 1 done
    event_bus.publish topic
  effect.execute a call peer 1 1 dead
    store.send a feedback err
  effect.execute a call peer 2 1 done
    store.send a feedback ok`), tree(t, exporter))
	})
}

// A trace goes on after a restart, and after a delay, as a child of the action's span, of which only the traceparent was kept; also when a host
// without traces worked in between.
func TestTrace_goesOnAfterRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		exporter := w.traced()
		w.peer("peer", func(ctx context.Context, _ *effects.Request) error { <-ctx.Done(); return ctx.Err() })
		w.post("a", `{"type":"do","effects":[{"kind":"call","target":"peer","ok":"loop","err":"err"},{"kind":"delay","target":"x","id":"t","after":3600000000000}]}`)
		synctest.Wait()
		w.crash()
		synctest.Wait()
		w.peer("peer", nil)
		w.config.CascadeLimit = 2 // the loop of the guest calls echo for ever
		w.peer("echo", func(ctx context.Context, _ *effects.Request) error { <-ctx.Done(); return ctx.Err() })
		w.crash()
		time.Sleep(time.Second)
		observer, answered := w.config.Observer, false
		w.config.Observer = nil // one step that nobody traces
		w.peer("echo", func(ctx context.Context, _ *effects.Request) error {
			if !answered {
				answered = true
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		w.crash()
		time.Sleep(time.Second)
		w.config.Observer = observer
		w.peer("echo", nil)
		w.crash()
		time.Sleep(2 * time.Hour)
		require.Equal(t, strings.TrimSpace(`
store.send a command do
  effect.execute a call peer 1 1 canceled
  effect.execute a call peer 1 1 canceled
  effect.execute a call peer 1 1 done
    store.send a feedback loop
      effect.execute a call echo 1 1 canceled
      effect.execute a call echo 1 1 done
        store.send a feedback loop cascade
  store.send a timer tick`), tree(t, exporter))
		letters, err := w.store("a").DeadLetters()
		require.NoError(t, err)
		require.Len(t, letters, 1)
	})
}

// Guests never see a trace: no meta, state or action holds one.
func TestTrace_hiddenFromGuests(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.traced()
		w.post("a", `{"type":"do","effects":[{"kind":"call","target":"echo","ok":"ok"}]}`)
		require.Len(t, w.log("a"), 1)
		for a, err := range w.store("a").History(t.Context(), 0, 0) {
			require.NoError(t, err)
			require.NotContains(t, fmt.Sprintf("%s %+v", a.Body, a), callerTrace)
		}
	})
}

// A peer gets the trace of the attempt, and nothing when nobody traces.
func TestTrace_toPeers(t *testing.T) {
	headers := make(chan string, 1)
	peer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { headers <- r.Header.Get("Traceparent") }))
	defer peer.Close()
	dir, err := compiled()
	require.NoError(t, err)
	call := func(observer *host.Observer) string {
		h, err := host.Open(t.Context(), host.Config{Shards: 1, CacheDir: dir, Observer: observer})
		require.NoError(t, err)
		defer func() { require.NoError(t, h.Shutdown(context.Background())) }()
		address := strings.TrimPrefix(peer.URL, "http://")
		name, _, _ := strings.Cut(address, ":")
		_, err = h.Deploy(t.Context(), host.DeployRequest{
			Module: "script", Wasm: enginetest.BuildGo(t, "./internal/guests/script"), Grants: []string{"call=http:" + address, "call=http:" + name},
		})
		require.NoError(t, err)
		s, err := h.StoreAt("script")
		require.NoError(t, err)
		r, err := s.Send(t.Context(), pack(t, m{"type": "do", "effects": []m{
			{"kind": "call", "target": "http:" + address, "body": m{"url": peer.URL}, "ok": "ok", "err": "err"},
		}}))
		require.NoError(t, err)
		require.NoError(t, r.Wait(t.Context()))
		select {
		case header := <-headers:
			return header
		default:
			letters, err := s.DeadLetters()
			require.NoError(t, err)
			require.Fail(t, "the peer was not called", "%+v", letters)
			return ""
		}
	}
	require.Empty(t, call(nil))
	exporter := tracetest.NewInMemoryExporter()
	header := call(otel.New(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))))
	spans := exporter.GetSpans()
	i := slices.IndexFunc(spans, func(s tracetest.SpanStub) bool { return s.Name == "effect.execute" })
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, fmt.Sprintf("00-%s-%s-01", spans[i].SpanContext.TraceID(), spans[i].SpanContext.SpanID()), header)
}
