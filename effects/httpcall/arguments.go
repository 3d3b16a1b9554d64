package httpcall

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/crhost/crhost/abi/pack"
)

// arguments of a call, checked but for the secrets that headers name.
type arguments struct {
	method  string
	url     *url.URL
	headers http.Header
	body    []byte
	timeout time.Duration // 0: none of its own
	max     int64
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// reserved are the headers that a guest does not set: they belong to the connection, or to the host.
var reserved = []string{
	"Connection", "Content-Length", "Expect", "Host", "Idempotency-Key", "Keep-Alive", "Te", "Traceparent", "Tracestate", "Trailer", "Transfer-Encoding", "Upgrade",
}

// readArguments reads the body of a call to host. Body aliases b.
func readArguments(b []byte, host string) (*arguments, error) {
	a := &arguments{method: http.MethodGet, headers: http.Header{}, max: DefaultBody}
	var address string
	r := pack.NewReader(b)
	for n := r.MapLen(); n > 0 && r.OK(); n-- {
		switch key := string(r.Str()); key {
		case "method":
			a.method = string(r.Str())
		case "url":
			address = string(r.Str())
		case "headers":
			a.readHeaders(&r)
		case "body":
			if r.Peek() == pack.Str {
				a.body = r.Str()
			} else {
				a.body = r.Bin()
			}
		case "timeout":
			if a.timeout = time.Duration(r.Int()); a.timeout <= 0 {
				r.Fail("the timeout is not positive")
			}
		case "max_bytes":
			max := r.Uint()
			if max > MaxBody {
				r.Fail(fmt.Sprintf("max_bytes is %d, want at most %d", max, MaxBody))
			}
			a.max = int64(max)
		default:
			r.Fail(fmt.Sprintf("unknown argument %.64q", key))
		}
	}
	r.End()
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !slices.Contains(methods, a.method) {
		return nil, fmt.Errorf("method %.64q, want one of %v", a.method, methods)
	}
	var err error
	a.url, err = readURL(address, host)
	return a, err
}

func (a *arguments) readHeaders(r *pack.Reader) {
	for n := r.MapLen(); n > 0 && r.OK(); n-- {
		name := string(r.Str())
		if r.OK() && !httpguts.ValidHeaderFieldName(name) {
			r.Fail(fmt.Sprintf("%.64q is not the name of a header", name))
		}
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(reserved, name) || strings.HasPrefix(name, "Proxy-") {
			r.Fail("the header " + name + " is the host's")
		}
		values := 1
		if r.Peek() == pack.Array {
			values = r.ArrayLen()
		}
		for ; values > 0 && r.OK(); values-- {
			value := string(r.Str())
			if r.OK() && !httpguts.ValidHeaderFieldValue(value) {
				r.Fail("a value of the header " + name + " has control characters")
			}
			a.headers[name] = append(a.headers[name], value)
		}
	}
}

// readURL reads the address of a call to host.
func readURL(address, host string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the url cannot be parsed") // the error would quote it, whatever is in there
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the url's scheme is %.16q, want http or https", u.Scheme)
	case u.User != nil:
		return nil, fmt.Errorf("the url has a user")
	case !plainHost(u.Host):
		return nil, fmt.Errorf("the url's host is not one (write other scripts in punycode)")
	case hostOf(u) != canonicalHost(host, u.Scheme):
		return nil, fmt.Errorf("the url's host is %s, the target's is %.256s", hostOf(u), host)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// plainHost checks that a host, with or without port, is 1 to 259 bytes of what hosts and literal addresses are written in.
func plainHost(host string) bool {
	if host == "" || host[0] == ':' || len(host) > 259 {
		return false
	}
	for i := 0; i < len(host); i++ {
		c := host[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._:[]", rune(c)) {
			return false
		}
	}
	return true
}

// hostOf is the HOST of the target that a call of this address has.
func hostOf(u *url.URL) string { return canonicalHost(u.Host, u.Scheme) }

// canonicalHost is host in lower case, without a port that the scheme implies.
func canonicalHost(host, scheme string) string {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	host = strings.TrimSuffix(strings.ToLower(host), port)
	return strings.TrimSuffix(host, ":")
}
