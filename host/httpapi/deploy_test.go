package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/httpapi"
)

const moduleURL = "/v1/tenants/default/modules/counter"

// do answers a request from this machine. Header is name, value, name, value, ...
func do(h http.Handler, method, path string, body []byte, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Host = "localhost"
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v), w.Body)
	return v
}

// part is a part of a form.
type part struct{ name, content, body string }

func form(t *testing.T, parts ...part) (body []byte, content string) {
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, p := range parts {
		out, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf("form-data; name=%q", p.name)}, "Content-Type": {p.content}})
		require.NoError(t, err)
		_, err = out.Write([]byte(p.body))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.Bytes(), w.FormDataContentType()
}

// Config and grants make a revision of the same bytes; those that are not given are inherited.
func TestDeploy_form(t *testing.T) {
	h := open(t, httpapi.Config{})
	deploy := func(parts ...part) httpapi.Deployed {
		body, content := form(t, append(parts, part{"module", "application/wasm", string(enginetest.Counter(t))})...)
		w := do(h, http.MethodPost, moduleURL+"/versions", body, "Content-Type", content)
		require.Equal(t, 200, w.Code, w.Body)
		return decode[httpapi.Deployed](t, w)
	}
	require.Equal(t, "unchanged", deploy().Outcome)
	second := deploy(part{"config", "application/json", `{"limit":3}`})
	require.Equal(t, "activated", second.Outcome)
	require.Equal(t, "unchanged", deploy(part{"config", "application/msgpack", "\x81\xa5limit\x03"}).Outcome)
	require.Equal(t, "unchanged", deploy().Outcome)
	third := deploy(part{"config", "", `{"limit":4}`})
	require.Equal(t, "activated", third.Outcome)
	require.Equal(t, second.Revision, third.Previous)
}

// respond-async answers at once with the place where the end will be seen.
func TestDeploy_async(t *testing.T) {
	h := open(t, httpapi.Config{})
	for _, tc := range []struct {
		wasm    []byte
		outcome string
		code    string
	}{
		{enginetest.Counter(t), "unchanged", ""},
		{[]byte("junk"), "", "bad_module"},
	} {
		w := do(h, http.MethodPost, moduleURL+"/versions", tc.wasm, "Content-Type", "application/wasm", "Prefer", "respond-async")
		require.Equal(t, 202, w.Code, w.Body)
		require.Equal(t, "respond-async", w.Header().Get("Preference-Applied"))
		started := decode[httpapi.Deploy](t, w)
		require.Equal(t, "verify", started.Stage)
		require.Equal(t, moduleURL+"/deploys/"+started.ID, w.Header().Get("Location"))
		// A deploy of the module that waits for its turn comes after it.
		require.Equal(t, 200, do(h, http.MethodPost, moduleURL+"/versions", enginetest.Counter(t), "Content-Type", "application/wasm").Code)
		var ended httpapi.Deploy
		for ended.Deployed == nil && ended.Problem == nil {
			ended = decode[httpapi.Deploy](t, get(h, w.Header().Get("Location")))
		}
		require.Empty(t, ended.Stage)
		if tc.code != "" {
			require.Equal(t, tc.code, ended.Problem.Code)
		} else {
			require.Equal(t, tc.outcome, ended.Deployed.Outcome)
		}
	}
	require.Equal(t, 404, get(h, "/v1/tenants/other/modules/counter/deploys/1").Code)
}
