package httpcall_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
)

const (
	secret = `tok-"\é-4711` // with what would be escaped in a quote
	pin    = "471"
)

// withSecrets is a handler of the tenant acme, which has some.
func withSecrets(t *testing.T) func(args) (string, error) {
	c := granted()
	c.Secret = func(tenant, name string) (string, bool) {
		v, ok := map[string]string{"acme/stripe": secret, "acme/pin": pin, "acme/host": "Tok-0815", "acme/empty": "", "acme/lines": "a\r\nHost: b", "other/theirs": "x"}[tenant+"/"+name]
		return v, ok
	}
	h := handler(t, c)
	return func(a args) (string, error) {
		b, err := h.Do(t.Context(), request(t, a))
		return string(b), err
	}
}

func TestSecret(t *testing.T) {
	do := withSecrets(t)
	var got http.Header
	var body []byte
	s := peer(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		body, _ = io.ReadAll(r.Body)
	})
	a := args{
		"method": "POST", "url": s.URL + "/%7B%7Bsecret:stripe%7D%7D", "body": "{{secret:stripe}}",
		"headers": args{"authorization": "Bearer {{secret:stripe}}", "x-both": []string{"{{secret:pin}}-{{secret:stripe}}", "plain {{secret }}"}},
	}
	result, err := do(a)
	require.NoError(t, err)
	require.NotContains(t, result, secret)
	require.Equal(t, "Bearer "+secret, got.Get("Authorization"))
	require.Equal(t, []string{pin + "-" + secret, "plain {{secret }}"}, got["X-Both"])
	require.Equal(t, "{{secret:stripe}}", string(body), "in headers only")

	for name, c := range map[string]struct{ value, code string }{
		"unknown":           {"{{secret:other}}", "unknown_secret"},
		"another tenant's":  {"{{secret:theirs}}", "unknown_secret"},
		"no name":           {"{{secret:}}", "unknown_secret"},
		"a name in a name":  {"{{secret:{{secret:stripe}}}}", "unknown_secret"},
		"empty":             {"{{secret:empty}}", "bad_secret"},
		"smuggles a header": {"{{secret:lines}}", "bad_secret"},
		"not closed":        {"{{secret:stripe}", "bad_arguments"},
	} {
		got = nil
		_, err := do(args{"url": s.URL, "headers": args{"x-a": c.value}})
		require.ErrorContains(t, err, c.code, name)
		require.NotContains(t, err.Error(), secret)
		require.True(t, retry.IsPermanent(err), name)
		require.Nil(t, got, "no request is made")
	}
	_, err = handler(t, granted()).Do(t.Context(), request(t, args{"url": s.URL, "headers": args{"x-a": "{{secret:stripe}}"}}))
	require.ErrorContains(t, err, "unknown_secret", "a host without secrets")
}

// What went out in a header does not come back in an answer or an error, wherever the peer puts it.
func TestSecret_echoed(t *testing.T) {
	do := withSecrets(t)
	leaks := func(name, url, code string) {
		t.Helper()
		result, err := do(args{"url": url, "headers": args{"authorization": "{{secret:stripe}}", "x-pin": "{{secret:pin}}"}})
		require.Empty(t, result)
		require.ErrorContains(t, err, code, name)
		for e := err; e != nil; e = errors.Unwrap(e) {
			require.NotContains(t, fmt.Sprintf("%+v", e), "4711", name)
			if known, ok := e.(*effects.Error); ok {
				require.NotContains(t, string(known.Fields), "4711", name)
			}
		}
	}
	for name, c := range map[string]struct {
		echo http.HandlerFunc
		code string
	}{
		"body": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "you said ", r.Header["Authorization"]) }, "secret_echoed"},
		"header": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Was", "x"+r.Header.Get("Authorization"))
		}, "secret_echoed"},
		"error body": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(401)
			fmt.Fprint(w, r.Header["Authorization"])
		}, "secret_echoed"},
		"cut in two": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(401)
			fmt.Fprintf(w, "%4090s%s", "", r.Header.Get("Authorization"))
		}, "secret_echoed"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://"+r.Header.Get("Authorization")+"/")
			w.WriteHeader(302)
		}, "connection"},
	} {
		leaks(name, peer(t, c.echo).URL, c.code)
	}
	for name, answer := range map[string]string{
		"no HTTP":       secret + "\r\n",
		"status":        "HTTP/1.1 " + secret + "\r\n\r\n",
		"bad header":    "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n",
		"content":       "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"transfer":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
		"a short body":  "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + secret,
		"a bad chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
		"a bad trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n\r\n0\r\n" + secret + "\r\n\r\n",
	} {
		leaks(name, raw(t, func(c net.Conn) { io.WriteString(c, answer) }), "connection")
	}
	s := peer(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Header.Get("X-Host"), http.StatusFound)
	})
	_, err := do(args{"url": s.URL, "headers": args{"x-host": "{{secret:host}}"}})
	require.ErrorContains(t, err, "redirect_refused")
	require.NotContains(t, err.Error(), "0815")

	s = peer(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); fmt.Fprint(w, "error 4711") })
	_, err = do(args{"url": s.URL, "headers": args{"x-pin": "{{secret:pin}}"}})
	require.ErrorContains(t, err, "http_status", "short secrets turn up by chance")
}
