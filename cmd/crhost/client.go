package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/httpapi"
)

// request is one request to the host.
type request struct {
	method, path string // the path is escaped already
	query        url.Values
	header       http.Header
	content      string    // type of the body
	body         io.Reader // nil = none
	length       int64     // of the body, where net/http cannot see it; 0 = not said
}

// tenantPath is a route below a tenant.
func tenantPath(tenant string, rest ...string) string {
	return "/v1/tenants/" + segment(tenant) + strings.Join(append([]string{""}, rest...), "/")
}

// modulePath is the route of a module.
func modulePath(tenant, module string, rest ...string) string {
	return tenantPath(tenant, append([]string{"modules", segment(module)}, rest...)...)
}

// storePath is the route of a store.
func storePath(a abi.Address, rest ...string) string {
	return modulePath(a.Tenant, a.Module, append([]string{"stores", segment(a.Key)}, rest...)...)
}

// segment escapes one segment of a path. Dots alone would be taken for "here" and "up".
func segment(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}

// open sends a request and returns the response when it is a success. The caller closes its body.
// Errors are *httpapi.Problem and *failure.
func (c *cli) open(ctx context.Context, rq request) (*http.Response, error) {
	base, err := url.Parse(c.url)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, usage("for example: --url "+defaultURL, "--url %q is not an http URL", c.url)
	}
	target := strings.TrimSuffix(c.url, "/") + rq.path
	if len(rq.query) > 0 {
		target += "?" + rq.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, rq.method, target, rq.body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", rq.method, target, err)
	}
	for name, values := range rq.header {
		r.Header[name] = values
	}
	if rq.content != "" {
		r.Header.Set("Content-Type", rq.content)
	}
	if rq.length > 0 {
		r.ContentLength = rq.length
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := (&http.Client{Transport: c.transport}).Do(r)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.problem(resp)
}

// unreachable says why there was no answer.
func (c *cli) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		hint := "start one: crhost serve"
		if c.url != defaultURL {
			hint = "is --url right? start a host: crhost serve --listen " + strings.TrimPrefix(strings.TrimPrefix(c.url, "http://"), "https://")
		}
		return &failure{exit: exitUnavailable, detail: "no host answers at " + c.url, hint: hint}
	}
	return &failure{exit: exitUnavailable, detail: fmt.Sprintf("the connection to %s broke: %s", c.url, err), hint: "see whether it runs: curl " + c.url + "/healthz"}
}

// problem reads a refusal.
func (c *cli) problem(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	p := new(httpapi.Problem)
	if err != nil || kind != "application/problem+json" || json.Unmarshal(body, p) != nil {
		return &failure{exit: exitFailed, detail: c.url + " answers " + resp.Status, hint: "is there a crhost behind --url?"}
	}
	return p
}

// call sends a request and returns the whole reply, nil when there is none. Errors are as of open.
func (c *cli) call(ctx context.Context, rq request) ([]byte, error) {
	resp, err := c.open(ctx, rq)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return bytes.TrimSpace(body), nil
}

// get is call with GET.
func (c *cli) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	return c.call(ctx, request{method: http.MethodGet, path: path, query: query})
}

// print shows a reply: as it is with -o json, else as text has it, which reads the reply into v first.
func print[T any](c *cli, reply []byte, text func(v T)) error {
	var v T
	if c.output == "json" {
		c.printf("%s\n", reply)
		return nil
	}
	if err := json.Unmarshal(reply, &v); err != nil {
		return &failure{exit: exitFailed, detail: fmt.Sprintf("%s answers what this crhost does not understand: %s", c.url, err), hint: "are both of one version?"}
	}
	text(v)
	return nil
}

// did says what was done when the reply is empty.
func (c *cli) did(what, name string) {
	if c.output == "json" {
		b, err := json.Marshal(map[string]string{what: name})
		if err != nil { // strings only
			panic(err)
		}
		c.printf("%s\n", b)
		return
	}
	c.printf("%s %s\n", what, name)
}
