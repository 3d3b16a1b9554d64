package httpapi_test

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/httpapi"
)

func TestIsLoopback(t *testing.T) {
	for name, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "localhost.": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"127.1": false, "2130706433": false, "evil.example": false,
	} {
		require.Equal(t, want, httpapi.IsLoopback(name), name)
	}
}

func TestDoor(t *testing.T) {
	h := open(t, httpapi.Config{Hostname: "crhost.example"})
	const allowed, refused = 200, 403
	for _, tc := range []struct {
		name, method, path string
		host, origin       string
		upgrade            bool
		want               int
	}{
		{name: "loopback", host: "127.0.0.1:8420", want: allowed},
		{name: "loopback v6", host: "[::1]:8420", want: allowed},
		{name: "loopback v6 without port", host: "[::1]", want: allowed},
		{name: "localhost", host: "localhost", want: allowed},
		{name: "the name given", host: "CRHOST.example:80", want: allowed},
		{name: "rebound name", host: "evil.example:8420", want: refused},
		{name: "rebound name that looks local", host: "127.0.0.1.evil.example", want: refused},
		{name: "all interfaces", host: "0.0.0.0:8420", want: refused},

		{name: "read from another site", origin: "https://evil.example", want: allowed},
		{name: "post from nowhere", method: "DELETE", path: "/v1/tenants/default/modules/none", want: 404},
		{name: "post from this machine", method: "DELETE", path: "/v1/tenants/default/modules/none", origin: "http://localhost:3000", want: 404},
		{name: "post from the name given", method: "DELETE", path: "/v1/tenants/default/modules/none", origin: "https://crhost.example", want: 404},
		{name: "delete from another site", method: "DELETE", path: "/v1/tenants/default/modules/none", origin: "https://evil.example", want: refused},
		{name: "post from another site", method: "POST", path: "/v1/tenants/default/modules/none/versions", origin: "https://evil.example", want: refused},
		{name: "post from a file", method: "POST", path: "/v1/tenants/default/modules/none/versions", origin: "null", want: refused},
		{name: "socket from another site", path: "/v1/tenants/default/modules/counter/stores/main/subscribe", origin: "https://evil.example", upgrade: true, want: refused},
		{name: "post with a broken origin", method: "POST", path: "/v1/tenants/default/modules/none/versions", origin: "http://[", want: refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			method, path, host := tc.method, tc.path, tc.host
			if method == "" {
				method = "GET"
			}
			if path == "" {
				path = "/healthz"
			}
			if host == "" {
				host = "127.0.0.1:8420"
			}
			r := httptest.NewRequest(method, path, nil)
			r.Host = host
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			if tc.upgrade {
				r.Header.Set("Upgrade", "websocket")
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, tc.want, w.Code, w.Body)
			if tc.want == refused {
				require.Contains(t, w.Body.String(), "foreign_origin")
				require.Contains(t, w.Body.String(), "--host")
			}
		})
	}
}
