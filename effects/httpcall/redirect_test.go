package httpcall_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/retry"
)

// Redirects within the host are followed as by net/http, up to 5.
func TestRedirect(t *testing.T) {
	s := peer(t, func(w http.ResponseWriter, r *http.Request) {
		var status, left int
		if fmt.Sscanf(r.URL.Path, "/%d/%d", &status, &left); left > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d/%d", status, left-1), status)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Method, " ", string(body), " ", r.Header.Get("Idempotency-Key"), " ", r.Header.Get("Authorization"))
	})
	h := handler(t, granted())
	a := args{"method": "POST", "body": "b", "headers": args{"authorization": "me"}}
	for status, want := range map[int]string{301: "GET ", 302: "GET ", 303: "GET ", 307: "POST b", 308: "POST b"} {
		a["url"] = fmt.Sprintf("%s/%d/5", s.URL, status)
		require.Equal(t, want+" "+key+" me", string(do(t, h, a).Body), "%d", status)
		a["url"] = fmt.Sprintf("%s/%d/6", s.URL, status)
		e, err := failure(t, h, a)
		require.Equal(t, "too_many_redirects", e.Code)
		require.True(t, retry.IsPermanent(err))
	}
}

func TestRedirect_refused(t *testing.T) {
	reached := false
	other := peer(t, func(http.ResponseWriter, *http.Request) { reached = true })
	plain := peer(t, func(http.ResponseWriter, *http.Request) { reached = true })
	var to string
	s := peer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(307)
	})
	h := handler(t, granted())
	for _, to = range []string{
		other.URL, "//" + hostOf(other), "http://user:pw@" + hostOf(s), "ftp://" + hostOf(s), "file:///etc/passwd", "http://localhost" + hostOf(s)[strings.Index(hostOf(s), ":"):],
	} {
		e, err := failure(t, h, args{"url": s.URL})
		require.Equal(t, "redirect_refused", e.Code, to)
		require.True(t, retry.IsPermanent(err))
	}
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) }))
	t.Cleanup(secure.Close)
	c := granted()
	c.Redirect = func(abi.Address, string) bool { return true }
	c.TLS = &tls.Config{InsecureSkipVerify: true}
	e, _ := failure(t, handler(t, c), args{"url": secure.URL})
	require.Equal(t, "the redirect is from https to http", e.Message)
	require.False(t, reached)
}

// Credentials stay with the target's host, also when the way leads back to it.
func TestRedirect_credentials(t *testing.T) {
	var target, other *httptest.Server
	var seen []string
	note := func(r *http.Request) {
		seen = append(seen, fmt.Sprint(r.URL.Path, r.Header["Authorization"], r.Header["Cookie"], r.Header["X-Api-Key"], r.Header["X-Plain"]))
	}
	target = peer(t, func(w http.ResponseWriter, r *http.Request) {
		if note(r); r.URL.Path == "/a" {
			http.Redirect(w, r, "/b", http.StatusTemporaryRedirect)
		} else if r.URL.Path == "/b" {
			http.Redirect(w, r, other.URL+"/c", http.StatusTemporaryRedirect)
		}
	})
	other = peer(t, func(w http.ResponseWriter, r *http.Request) {
		if note(r); r.URL.Path == "/c" {
			http.Redirect(w, r, "/d", http.StatusTemporaryRedirect)
		} else {
			http.Redirect(w, r, target.URL+"/e", http.StatusTemporaryRedirect)
		}
	})
	c := granted()
	c.Secret = func(string, string) (string, bool) { return "very secret", true }
	c.Redirect = func(store abi.Address, host string) bool {
		require.Equal(t, abi.Address{Tenant: "acme", Module: "orders", Key: "1"}, store)
		return host == hostOf(other)
	}
	do(t, handler(t, c), args{"url": target.URL + "/a", "headers": args{"authorization": "me", "cookie": "c=1", "x-api-key": "{{secret:k}}", "x-plain": "p"}})
	require.Equal(t, []string{
		"/a[me] [c=1] [very secret] [p]", "/b[me] [c=1] [very secret] [p]", "/c[] [] [] [p]", "/d[] [] [] [p]", "/e[] [] [] [p]",
	}, seen)
}

// A redirect to an address that is not public needs the grant of its own host.
func TestRedirect_private(t *testing.T) {
	other := peer(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	s := peer(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	c := granted()
	c.Private = func(_ abi.Address, host string) bool { return host == hostOf(s) }
	c.Redirect = func(abi.Address, string) bool { return true }
	e, err := failure(t, handler(t, c), args{"url": s.URL})
	require.Equal(t, "target_refused", e.Code)
	require.True(t, retry.IsPermanent(err))
}
