package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
)

// Whatever a key holds, the path has it as one segment, which comes back as it was.
func TestStorePath(t *testing.T) {
	var got string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tenants/{tenant}/modules/{module}/stores/{key}/state", func(_ http.ResponseWriter, r *http.Request) { got = r.PathValue("key") })
	web := httptest.NewServer(mux)
	defer web.Close()
	c := &cli{url: web.URL}
	for _, key := range []string{"a", "a/b", ".", "..", "../..", "//", "%2F", "a b", "é€", "?x=1#y", "a;b,c", "+"} {
		got = ""
		resp, err := c.open(context.Background(), request{method: http.MethodGet, path: storePath(abi.Address{Tenant: "t", Module: "m", Key: key}, "state")})
		require.NoError(t, err, key)
		resp.Body.Close()
		require.Equal(t, key, got)
	}
}

// What is no crhost is said to be none.
func TestOpen_anotherServer(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	_, err := (&cli{url: web.URL}).open(context.Background(), request{method: http.MethodGet, path: "/"})
	require.ErrorContains(t, err, "404 Not Found")
	require.Equal(t, "is there a crhost behind --url?", show(err).Hint)
}

func TestOpen_token(t *testing.T) {
	var got string
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") }))
	defer web.Close()
	resp, err := (&cli{url: web.URL + "/", token: "secret"}).open(context.Background(), request{method: http.MethodGet, path: "/"})
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, "Bearer secret", got)
}

// A stream that just breaks is unavailable, with how to go on; its error frame is the host's refusal.
func TestFollow_end(t *testing.T) {
	var out strings.Builder
	c := &cli{process: process{stdout: &out}, output: "text"}
	const stream = ": subscribed\n\nid: 7\nevent: event\ndata: {\"type\":\"event\",\"seq\":7,\"action\":{\"type\":\"x\"}}\n\n" +
		"event: gap\ndata: {\"type\":\"gap\",\"from\":8,\"to\":9}\n\nevent: version\ndata: {\"type\":\"version\",\"revision\":\"r2-aa\"}\n\n"
	err := c.follow(context.Background(), strings.NewReader(stream), "counter", 0, 0)
	require.Equal(t, "7  {\"type\":\"x\"}\n-- missed 8 to 9\n-- from here on r2-aa\n", out.String())
	require.Equal(t, shown{Exit: exitUnavailable, Detail: "the stream broke", Hint: "go on: crhost watch counter --from 8"}, show(err))

	end := func(code string) shown {
		frame := "event: error\ndata: {\"type\":\"error\",\"code\":\"" + code + "\",\"message\":\"bye\",\"hint\":\"look\"}\n\n"
		return show(c.follow(context.Background(), strings.NewReader(frame), "counter", 3, 0))
	}
	require.Equal(t, shown{Exit: exitUnavailable, Code: "shutting_down", Detail: "bye", Hint: "go on: crhost watch counter --from 3"}, end("shutting_down"))
	require.Equal(t, shown{Exit: exitNotFound, Code: "not_found", Detail: "bye", Hint: "look"}, end("not_found"))

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, c.follow(ctx, strings.NewReader(""), "counter", 0, 0), "an interrupt is how a watch ends")
}

func TestBar(t *testing.T) {
	b := newBar(nil, "counter", 4<<10)
	require.Equal(t, "counter  [------------------------------] 0 of 4 KiB", b.line(0))
	b.sent.Store(2 << 10)
	require.Equal(t, "counter  [###############---------------] 2 of 4 KiB", b.line(0))
	b.sent.Store(4 << 10)
	require.Equal(t, "counter  the host checks and compiles it, 1.5 s", b.line(1500*time.Millisecond))
}
