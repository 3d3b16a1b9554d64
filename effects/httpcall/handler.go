package httpcall

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
)

var _ effects.Handler = (*Handler)(nil)

// Handler performs HTTP calls.
type Handler struct {
	config Config

	// Connections to what is not public are kept apart, so that none is ever handed to a tenant without the grant.
	public  *http.Transport
	private *http.Transport
}

// New returns a handler. Close it when its last call has ended.
//
// REQUIRES: c.Validate finds nothing.
func New(c Config) *Handler {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	guarded := &net.Dialer{Timeout: dialTimeout, Resolver: c.Resolver, Control: control}
	open := &net.Dialer{Timeout: dialTimeout, Resolver: c.Resolver}
	return &Handler{config: c, public: transport(c.TLS, guarded), private: transport(c.TLS, open)}
}

func transport(config *tls.Config, dialer *net.Dialer) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config.Clone(),
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              protocols,
	}
}

// Close closes the connections that no call uses.
func (h *Handler) Close() {
	h.public.CloseIdleConnections()
	h.private.CloseIdleConnections()
}

// Do makes the request that r describes; see the package doc.
func (h *Handler) Do(ctx context.Context, r *effects.Request) ([]byte, error) {
	_, host, _ := strings.Cut(r.Effect.Target, ":")
	args, err := readArguments(r.Effect.Body, host)
	if err != nil {
		return nil, failure(codeArguments, err.Error())
	}
	used, err := fill(args.headers, func(name string) (string, bool) {
		if h.config.Secret == nil {
			return "", false
		}
		return h.config.Secret(r.Store.Tenant, name)
	})
	if err != nil {
		return nil, err
	}
	timeout := h.config.Timeout
	if args.timeout > 0 {
		timeout = min(timeout, args.timeout)
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	x := &exchange{handler: h, store: r.Store, args: args, secrets: used}
	result, err := x.perform(limited, r.Key)
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx) // and not what it did to the exchange
	}
	return nil, x.explain(limited, err)
}

// exchange is one call.
type exchange struct {
	handler *Handler
	store   abi.Address
	args    *arguments
	secrets secrets
}

var (
	errTimeout  = errors.New("the exchange took too long")
	errTooLarge = errors.New("the answer is too large")
)

// perform makes the request, and the result of its answer.
func (x *exchange) perform(ctx context.Context, key string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, x.args.method, x.args.url.String(), bytes.NewReader(x.args.body))
	if err != nil {
		return nil, failure(codeArguments, "the url cannot be requested")
	}
	req.Header = x.args.headers
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "crhost")
	}
	req.Header.Set("Idempotency-Key", key)
	if x.handler.config.Trace != nil {
		x.handler.config.Trace(ctx, req.Header)
	}
	client := http.Client{Transport: x, CheckRedirect: x.checkRedirect}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() // without reading on: what is left takes the connection with it
	return x.answer(resp)
}

// RoundTrip makes one request of the exchange, over a connection that its tenant may have.
func (x *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	private := x.handler.config.Private
	if private != nil && private(x.store, hostOf(req.URL)) {
		return x.handler.private.RoundTrip(req)
	}
	return x.handler.public.RoundTrip(req)
}

// checkRedirect says whether a redirect is followed. Which method and body it has is net/http's business, like 303 to GET.
func (x *exchange) checkRedirect(req *http.Request, via []*http.Request) error {
	last, target := via[len(via)-1], hostOf(via[0].URL)
	if len(via) > MaxRedirects {
		return failure(codeRedirects, fmt.Sprintf("more than %d redirects", MaxRedirects))
	}
	host := hostOf(req.URL)
	switch {
	case req.URL.Scheme != "http" && req.URL.Scheme != "https" || !plainHost(req.URL.Host) || req.URL.User != nil:
		return failure(codeRedirect, "the redirect is not to an address that a call could have")
	case last.URL.Scheme == "https" && req.URL.Scheme == "http":
		return failure(codeRedirect, "the redirect is from https to http")
	case host != target && (x.handler.config.Redirect == nil || !x.handler.config.Redirect(x.store, host)):
		if len(x.secrets.values) > 0 {
			host = "another host" // the peer may have made its name of a secret
		}
		return failure(codeRedirect, "the redirect is to "+host)
	}
	// net/http starts from the first request's headers each time. What has been to another host does not get them back: it may have been sent here by that one.
	away := host != target
	for _, r := range via {
		away = away || hostOf(r.URL) != target
	}
	if away {
		x.secrets.strip(req.Header)
	}
	return nil
}

// answer makes the result, or the error, of what the peer said.
func (x *exchange) answer(resp *http.Response) ([]byte, error) {
	if resp.StatusCode/100 != 2 {
		return nil, x.refusal(resp)
	}
	if resp.ContentLength > x.args.max && x.args.method != http.MethodHead {
		return nil, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, x.args.max+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(body)) > x.args.max:
		return nil, errTooLarge
	case x.secrets.in(resp.Header, body):
		return nil, failure(codeEchoed, "the answer has a secret in it")
	}
	return appendResult(resp, body), nil
}

// refusal is the error of an answer that is not 2xx.
func (x *exchange) refusal(resp *http.Response) error {
	var body []byte
	truncated := false
	if resp.StatusCode != http.StatusSwitchingProtocols { // whose body is the connection, and not bound to the context
		// A little more than is kept, so that no secret is cut in two and overlooked.
		var err error
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxErrorBody+1+int64(x.secrets.longest())))
		truncated = err != nil || len(body) > maxErrorBody
	}
	if x.secrets.in(nil, body) {
		return failure(codeEchoed, "the answer has a secret in it")
	}
	err := error(&effects.Error{
		Code:    codeStatus,
		Message: fmt.Sprintf("%s %s: %d %s", x.args.method, hostOf(x.args.url), resp.StatusCode, http.StatusText(resp.StatusCode)),
		Fields:  appendStatus(resp.StatusCode, body[:min(len(body), maxErrorBody)], truncated),
	})
	if !mayPass(resp.StatusCode) {
		return retry.Permanent(err)
	}
	if d, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
		return retry.After(d, err)
	}
	return err
}

// explain makes the error of a failed exchange. What net/http says is not wrapped: it quotes the url, and what a peer said.
func (x *exchange) explain(limited context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var known *effects.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, errTooLarge):
		return failure(codeTooLarge, fmt.Sprintf("the answer has more than %d bytes", x.args.max))
	case errors.Is(err, errRefused):
		return failure(codeTarget, errRefused.Error()+", and there is no grant for it")
	case limited.Err() != nil:
		return &effects.Error{Code: effects.CodeTimeout, Message: errTimeout.Error()}
	}
	return &effects.Error{Code: codeConnection, Message: x.secrets.describe(err)}
}
