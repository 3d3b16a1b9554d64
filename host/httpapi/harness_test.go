package httpapi_test

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/httpapi"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open makes a handler whose host serves the module counter.
func open(t testing.TB, c httpapi.Config) http.Handler {
	t.Helper()
	if c.Host == nil {
		c.Host = openHost(t, host.Config{})
	}
	h, err := httpapi.New(c)
	require.NoError(t, err)
	return h
}

// openHost opens a host that serves the module counter.
func openHost(t testing.TB, c host.Config) *host.Host {
	t.Helper()
	if c.Shards == 0 {
		c.Shards = 1
	}
	h, err := host.Open(context.Background(), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Shutdown(context.Background()) })
	_, err = h.Deploy(context.Background(), host.DeployRequest{Tenant: "default", Module: "counter", Wasm: enginetest.Counter(t)})
	require.NoError(t, err)
	return h
}

// doerHost opens a host that serves the module doer, and performs its calls as TestConversations_effects says.
func doerHost(t testing.TB) *host.Host {
	t.Helper()
	peer := effects.HandlerFunc(func(_ context.Context, r *effects.Request) ([]byte, error) {
		if r.Effect.Target == "peer:down" || r.Effect.Target == "peer:heals" && r.Drive == 1 {
			return nil, retry.Permanent(&effects.Error{Code: "down", Message: "the peer is down"})
		}
		return nil, nil
	})
	h, err := host.Open(context.Background(), host.Config{Shards: 1, Calls: map[string]effects.Handler{"peer": peer}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Shutdown(context.Background()) })
	wasm := enginetest.Doer(t,
		abi.EffectGrant{Kind: abi.KindCall, Targets: []string{"peer:*"}}, abi.EffectGrant{Kind: abi.KindDelay}, abi.EffectGrant{Kind: abi.KindSequential},
		abi.EffectGrant{Kind: abi.KindCancel}, abi.EffectGrant{Kind: abi.KindDispatch, Targets: []string{"*"}},
		abi.EffectGrant{Kind: abi.KindAppend, Targets: []string{"*"}},
	)
	_, err = h.Deploy(context.Background(), host.DeployRequest{Module: "doer", Wasm: wasm})
	require.NoError(t, err)
	return h
}

// get answers a GET from this machine.
func get(h http.Handler, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// expand puts the counter's bytes for {WASM}, and the line ends that a form has.
func expand(t *testing.T, body string) string {
	if strings.HasPrefix(body, "--") {
		body = strings.ReplaceAll(body, "\n", "\r\n")
	}
	if strings.Contains(body, "{WASM}") {
		body = strings.ReplaceAll(body, "{WASM}", string(enginetest.Counter(t)))
	}
	return body
}
