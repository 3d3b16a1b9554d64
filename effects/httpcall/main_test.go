package httpcall_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/httpcall"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type args = map[string]any

const key = "00112233445566778899aabbccddeeff/7/0"

// granted is a config that lets tests reach loopback.
func granted() httpcall.Config {
	return httpcall.Config{Private: func(store abi.Address, _ string) bool { return store.Tenant == "acme" }}
}

// peer serves on loopback until the test ends.
func peer(t *testing.T, serve http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(serve)
	t.Cleanup(s.Close)
	return s
}

// handler is one under test. Its connections are gone when the test ends.
func handler(t *testing.T, c httpcall.Config) *httpcall.Handler {
	t.Helper()
	require.NoError(t, c.Validate())
	h := httpcall.New(c)
	t.Cleanup(h.Close)
	return h
}

// request is a call of a, to the host of its url.
func request(t require.TestingT, a args) *effects.Request {
	b, err := msgpack.Marshal(a)
	require.NoError(t, err)
	target := "http:none"
	if u, err := url.Parse(a["url"].(string)); err == nil {
		target = "http:" + u.Host
	}
	return &effects.Request{
		Key: key, Store: abi.Address{Tenant: "acme", Module: "orders", Key: "1"}, Drive: 1, Attempt: 1,
		Effect: &abi.Effect{Kind: abi.KindCall, Target: target, Body: b},
	}
}

type result struct {
	Status  int
	Headers map[string][]string
	Body    []byte
}

func do(t *testing.T, h *httpcall.Handler, a args) result {
	t.Helper()
	b, err := h.Do(t.Context(), request(t, a))
	require.NoError(t, err)
	var r struct {
		Status  int                 `msgpack:"status"`
		Headers map[string][]string `msgpack:"headers"`
		Body    []byte              `msgpack:"body"`
	}
	require.NoError(t, msgpack.Unmarshal(b, &r))
	return result(r)
}

// failure is how a call fails.
func failure(t *testing.T, h *httpcall.Handler, a args) (*effects.Error, error) {
	t.Helper()
	b, err := h.Do(t.Context(), request(t, a))
	require.Nil(t, b)
	var e *effects.Error
	require.ErrorAs(t, err, &e)
	return e, err
}

// stall reads the request and then waits until its connection is gone.
func stall(r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func fields(t *testing.T, e *effects.Error) (m map[string]any) {
	t.Helper()
	require.NoError(t, msgpack.Unmarshal(e.Fields, &m))
	return m
}

var errStopped = errors.New("stopped")

// during calls h, and ends the context when started is closed.
func during(t *testing.T, h *httpcall.Handler, a args, started <-chan struct{}) error {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-started
		cancel(errStopped)
	}()
	_, err := h.Do(ctx, request(t, a))
	return err
}

func hostOf(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
