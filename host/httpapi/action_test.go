package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

// A msgpack action is answered in msgpack, unless the client says otherwise.
func TestSend_msgpack(t *testing.T) {
	h := open(t, httpapi.Config{})
	w := do(h, http.MethodPost, storeURL+"/actions", enginetest.Action("increment", 3), "Content-Type", "application/msgpack")
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, "application/msgpack", w.Header().Get("Content-Type"))
	text, err := jsonpack.ToJSON(nil, w.Body.Bytes())
	require.NoError(t, err)
	require.Contains(t, string(text), `{"seq":1,"revision":"r1-`)

	w = do(h, http.MethodPost, storeURL+"/actions", enginetest.Action("increment"), "Content-Type", "application/msgpack", "Accept", "application/json")
	require.Equal(t, uint64(2), decode[httpapi.Receipt](t, w).Seq)
	require.Contains(t, get(h, storeURL+"/state").Body.String(), `"state":{"count":4}`)

	w = do(h, http.MethodPost, storeURL+"/actions", []byte{0xc1}, "Content-Type", "application/msgpack")
	require.Equal(t, 400, w.Code)
	require.Equal(t, "malformed", decode[httpapi.Problem](t, w).Code)
}

// What a reducer is given is what was written: integers stay integers, floats floats, whatever their value.
func TestSend_numbers(t *testing.T) {
	h := open(t, httpapi.Config{})
	for _, action := range []string{
		`{"type":"increment","by":9007199254740993}`,
		`{"type":"decrement","by":9007199254740993}`,
	} {
		w := do(h, http.MethodPost, storeURL+"/actions", []byte(action), "Content-Type", "application/json")
		require.Equal(t, 200, w.Code, w.Body)
	}
	require.Contains(t, get(h, storeURL+"/state").Body.String(), `"state":{"count":0}`)
	require.Contains(t, get(h, storeURL+"/actions/1").Body.String(), `"by":9007199254740993}`)
	w := do(h, http.MethodPost, storeURL+"/actions", []byte(`{"type":"increment","by":1.0}`), "Content-Type", "application/json")
	require.Equal(t, "bad_action", decode[httpapi.Problem](t, w).Code)
}

// A body over a limit is refused, by the door or by the module's manifest.
func TestSend_tooLarge(t *testing.T) {
	h := open(t, httpapi.Config{})
	for _, size := range []int{abi.HardActionBytes + 1, abi.DefaultActionBytes + 1} {
		w := do(h, http.MethodPost, storeURL+"/actions", []byte(`{"type":"increment","pad":"`+strings.Repeat("x", size)+`"}`), "Content-Type", "application/json")
		require.Equal(t, 413, w.Code, w.Body)
		require.Equal(t, "too_large", decode[httpapi.Problem](t, w).Code)
	}
	w := do(h, http.MethodPost, moduleURL+"/versions", make([]byte, abi.DefaultModuleBytes+2<<20), "Content-Type", "application/wasm")
	require.Equal(t, 413, w.Code, w.Body)
}

// A trap is 422 with its cause, a halted store 503; reading goes on, and resume ends it.
func TestSend_halted(t *testing.T) {
	hc := openHost(t, host.Config{HaltOnCommandTrap: true})
	_, err := hc.Deploy(context.Background(), host.DeployRequest{
		Module: "attack", Wasm: enginetest.Attacker(t, `(func (export "cr1_reduce") (param $len i32) (result i64) unreachable)`),
	})
	require.NoError(t, err)
	h := open(t, httpapi.Config{Host: hc})
	const store = "/v1/tenants/default/modules/attack/stores/main"
	send := func(typ string) (int, httpapi.Problem, http.Header) {
		w := do(h, http.MethodPost, store+"/actions", []byte(`{"type":"`+typ+`"}`), "Content-Type", "application/json")
		return w.Code, decode[httpapi.Problem](t, w), w.Header()
	}
	status, _, _ := send("increment")
	require.Equal(t, 200, status)
	status, p, header := send("attack")
	require.Equal(t, 503, status)
	require.Equal(t, "halted", p.Code)
	require.Equal(t, "once the cause is gone: crhost resume default/attack/main", p.Hint)
	require.NotEmpty(t, header.Get("Retry-After"))
	status, p, _ = send("increment")
	require.Equal(t, 503, status)
	require.Equal(t, "halted", p.Code)
	require.Equal(t, 200, get(h, store+"/state").Code)
	require.Equal(t, "degraded", decode[httpapi.Health](t, get(h, "/v1/health")).Status)
	require.Equal(t, 204, do(h, http.MethodPost, store+"/resume", nil).Code)
	status, _, _ = send("increment")
	require.Equal(t, 200, status)
	require.Equal(t, "healthy", decode[httpapi.Health](t, get(h, "/v1/health")).Status)
}

func TestSend_trapped(t *testing.T) {
	hc := openHost(t, host.Config{})
	_, err := hc.Deploy(context.Background(), host.DeployRequest{
		Module: "attack", Wasm: enginetest.Attacker(t, `(func (export "cr1_reduce") (param $len i32) (result i64) unreachable)`),
	})
	require.NoError(t, err)
	w := do(open(t, httpapi.Config{Host: hc}), http.MethodPost, "/v1/tenants/default/modules/attack/stores/main/actions", []byte(`{"type":"attack"}`), "Content-Type", "application/json")
	require.Equal(t, 422, w.Code)
	p := decode[httpapi.Problem](t, w)
	require.Equal(t, "trapped", p.Code)
	require.Equal(t, "trap", p.Reason)
}

// A timeout after the action was accepted says so, with its number.
func TestSend_timeoutAfterAcceptance(t *testing.T) {
	h := open(t, httpapi.Config{})
	w := do(h, http.MethodPost, storeURL+"/actions?wait_for=decrement&any&timeout=50ms", []byte(`{"type":"increment"}`), "Content-Type", "application/json")
	require.Equal(t, 504, w.Code, w.Body)
	p := decode[httpapi.Problem](t, w)
	require.Equal(t, "timeout", p.Code)
	require.Equal(t, uint64(1), p.Seq)
}

func TestReady(t *testing.T) {
	var why error
	h := open(t, httpapi.Config{Ready: func() error { return why }})
	require.Equal(t, 200, get(h, "/readyz").Code)
	why = errors.New("deploying counter")
	w := get(h, "/readyz")
	require.Equal(t, 503, w.Code)
	require.JSONEq(t, `{"status":"not ready","reason":"deploying counter"}`, w.Body.String())
	require.Equal(t, 200, get(h, "/healthz").Code)
}

// After the host's shutdown the door says so, and that one may come back.
func TestShutdown(t *testing.T) {
	hc := openHost(t, host.Config{})
	h := open(t, httpapi.Config{Host: hc})
	require.NoError(t, hc.Shutdown(context.Background()))
	w := do(h, http.MethodPost, storeURL+"/actions", []byte(`{"type":"increment"}`), "Content-Type", "application/json")
	require.Equal(t, 503, w.Code, w.Body)
	require.Equal(t, "shutting_down", decode[httpapi.Problem](t, w).Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.Equal(t, "unhealthy", decode[httpapi.Health](t, get(h, "/v1/health")).Status)
}

// The work of a request runs under the context that Config.Context makes.
func TestContext(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	h := open(t, httpapi.Config{Context: func(*http.Request) context.Context { return ended }})
	w := do(h, http.MethodPost, storeURL+"/actions", []byte(`{"type":"increment"}`), "Content-Type", "application/json")
	require.Equal(t, "canceled", decode[httpapi.Problem](t, w).Code)
}

func TestConfig_Validate(t *testing.T) {
	_, err := httpapi.New(httpapi.Config{KeepAlive: -1, WriteTimeout: -1, WaitTimeout: -1})
	for _, fault := range []string{"no host", "keep-alive", "write timeout", "wait timeout"} {
		require.ErrorContains(t, err, fault)
	}
}
