package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
)

// Defaults of Config.
const (
	DefaultKeepAlive    = 15 * time.Second
	DefaultWriteTimeout = 10 * time.Second
	DefaultWaitTimeout  = 30 * time.Second
)

// Config says which host answers, and to whom.
type Config struct {
	// Host is the host. Required.
	Host *host.Host
	// Metrics answers GET /metrics; nil means that there is no such route.
	Metrics http.Handler
	// Hostname is a name besides the loopback addresses that the Host and Origin headers may bear.
	Hostname string
	// Ready says why the host cannot take traffic yet; nil means that it always can.
	Ready func() error
	// Context makes the context that a request's work runs under, such as one with the caller's trace. It must be derived from the
	// request's own. Defaults to that one.
	Context func(*http.Request) context.Context
	// Version is the product's version in the OpenAPI document. Defaults to "dev".
	Version string
	// KeepAlive is how often an idle stream says that it is alive. Defaults to DefaultKeepAlive.
	KeepAlive time.Duration
	// WriteTimeout is how long a stream's client may take nothing before it is disconnected. Defaults to DefaultWriteTimeout.
	WriteTimeout time.Duration
	// WaitTimeout bounds a wait for which the caller gives no timeout. Defaults to DefaultWaitTimeout.
	WaitTimeout time.Duration
}

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var faults []error
	if c.Host == nil {
		faults = append(faults, errors.New("no host"))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"keep-alive", c.KeepAlive}, {"write timeout", c.WriteTimeout}, {"wait timeout", c.WaitTimeout}} {
		if d.value < 0 {
			faults = append(faults, fmt.Errorf("%s %v: want more than 0", d.name, d.value))
		}
	}
	return errors.Join(faults...)
}

func (c Config) orDefault() Config {
	fill := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	fill(&c.KeepAlive, DefaultKeepAlive)
	fill(&c.WriteTimeout, DefaultWriteTimeout)
	fill(&c.WaitTimeout, DefaultWaitTimeout)
	if c.Version == "" {
		c.Version = "dev"
	}
	return c
}

// api is the handler.
type api struct {
	cfg     Config
	host    *host.Host
	mux     *http.ServeMux
	answers map[abi.Code]answer
	buffers buffers
	deploys deploys
}

// New makes the handler. It returns an error when c is not valid.
func New(c Config) (http.Handler, error) {
	a, err := newAPI(c)
	if err != nil {
		return nil, err
	}
	return a, nil
}

func newAPI(c Config) (*api, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	c = c.orDefault()
	a := &api{cfg: c, host: c.Host, mux: http.NewServeMux(), answers: answers()}
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:       "crhost",
			Version:     c.Version,
			Description: "Business logic compiled to WebAssembly, hosted. JSON or msgpack by content type; refusals are problem+json with a code.",
		},
		Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)},
	}
	for _, rt := range slices.Concat(a.actionRoutes(), a.storeRoutes(), a.moduleRoutes(), a.deployRoutes(), a.streamRoutes(),
		a.effectRoutes(), a.letterRoutes(), a.breakerRoutes(), a.policyRoutes(), a.healthRoutes()) {
		a.add(doc, rt)
	}
	spec, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return nil, fmt.Errorf("httpapi: encode the OpenAPI document: %w", err)
	}
	a.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Write(spec)
	})
	a.mux.HandleFunc("/", a.noRoute)
	return a, nil
}

// ServeHTTP checks who asks, then answers.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := a.door(r); err != nil {
		a.writeProblem(w, a.problem(err, place{}))
		return
	}
	if a.cfg.Context != nil {
		r = r.WithContext(a.cfg.Context(r))
	}
	a.mux.ServeHTTP(w, r)
}

// noRoute answers what no route took: 405 when another method has one, else 404.
func (a *api) noRoute(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := *r
		other.Method = method
		if _, pattern := a.mux.Handler(&other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	err := refusal(abi.CodeNotFound, "no route "+r.Method+" "+r.URL.EscapedPath())
	if allowed != nil {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		err = refusal(abi.CodeMethodNotAllowed, r.Method+" is no method of this route, which has "+strings.Join(allowed, " and "))
	}
	p := a.problem(err, place{})
	p.Hint = "every route is described in /openapi.json"
	a.writeProblem(w, p)
}
