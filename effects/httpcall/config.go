package httpcall

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/crhost/crhost/abi"
)

// Defaults and bounds.
const (
	DefaultTimeout = 30 * time.Second
	DefaultBody    = 1 << 20
	MaxBody        = abi.HardActionBytes - 128<<10 // so that headers and the action around them have room
	MaxRedirects   = 5
)

const (
	maxHeaderBytes = 64 << 10 // of an answer
	dialTimeout    = 10 * time.Second
	idleTimeout    = 90 * time.Second
	maxIdle        = 256
	maxIdlePerHost = 32
	maxErrorBody   = 4 << 10
)

// Config of a handler. The zero value has no secrets and grants nothing.
type Config struct {
	// Timeout bounds each exchange. Defaults to 30 s.
	Timeout time.Duration

	// Secret returns the value of a tenant's secret. nil: there are none.
	Secret func(tenant, name string) (value string, ok bool)

	// Private reports whether a store's effects may connect to a host, as in their target, whose addresses are not public. nil: none may.
	Private func(store abi.Address, host string) bool

	// Redirect reports whether the store's module may be redirected to another host than its target's, as in the target that such a call
	// would have. Credentials do not go along. nil: it may not.
	Redirect func(store abi.Address, host string) bool

	// Trace puts the trace of ctx into the headers of a request, such as traceparent. nil: nothing.
	Trace func(ctx context.Context, headers http.Header)

	// TLS configures connections to https. nil is the default of crypto/tls.
	TLS *tls.Config

	// Resolver looks hosts up. nil is net.DefaultResolver.
	Resolver *net.Resolver
}

// Validate reports all that is wrong with the config.
func (c Config) Validate() error {
	if c.Timeout < 0 {
		return fmt.Errorf("the Timeout is %v, want 0 (the default) or more", c.Timeout)
	}
	return nil
}
