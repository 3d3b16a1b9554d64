package engine

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/crhost/crhost/abi"
	"github.com/tetratelabs/wazero"
)

// A Module is a handle on compiled code, safe from any goroutine. Equal bytes loaded twice in a domain are two handles on one code, which
// lives as long as a handle or an instance of it.
type Module struct {
	code   *code
	closed atomic.Bool
}

// Manifest is what the module says of itself. The caller must not change it.
func (m *Module) Manifest() *abi.Manifest { return m.code.manifest }

// Limits are the manifest's, with defaults for what it leaves open.
func (m *Module) Limits() abi.Limits { return m.code.limits }

// Digest names the bytes given to Load: "sha256:" and hex.
func (m *Module) Digest() string { return m.code.digest }

// Size is the length of the bytes given to Load.
func (m *Module) Size() int { return m.code.size }

// ErrClosed is answered by Instantiate after Close.
var ErrClosed = errors.New("engine: the module is closed")

// Instantiate makes an instance: it runs _initialize, and cr1_configure when config is not nil and the module takes one. config is one
// msgpack value. Errors: *Trap; *abi.Error with CodeRejected when the guest refuses the config, CodeTooLarge; ErrClosed; ctx's own.
func (m *Module) Instantiate(ctx context.Context, config []byte) (*Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(config) > abi.MaxConfigBytes {
		return nil, &abi.Error{Code: abi.CodeTooLarge, Text: tooLargeConfig(len(config))}
	}
	if m.closed.Load() || !m.code.retain() {
		return nil, ErrClosed
	}
	i, err := newInstance(m.code)
	if err != nil {
		m.code.release()
		return nil, err
	}
	if config != nil {
		if err := i.configure(config); err != nil {
			return nil, errors.Join(err, i.Close())
		}
	}
	return i, nil
}

// Close gives the handle back. Instances live on; a second Close does nothing.
func (m *Module) Close() error {
	if !m.closed.Swap(true) {
		m.code.release()
	}
	return nil
}

// code is the compiled code of a module in one domain. It is found in domain.codes under digest while anything refers to it.
type code struct {
	engine *Engine
	domain *domain
	digest string // of the bytes given to Load
	size   int

	startFuel int64 // of calls that have no budget of their own

	refs int // guarded by engine.mu: handles, instances and loads under way

	// What follows is written before ready is closed and constant afterwards.
	ready    chan struct{}
	err      error // of the load
	compiled wazero.CompiledModule
	manifest *abi.Manifest
	limits   abi.Limits
	depth    int64 // of calls, in units
}

// retain adds a reference, unless the last one is gone.
func (c *code) retain() bool {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	if c.refs == 0 {
		return false
	}
	c.refs++
	return true
}

// release gives a reference back.
func (c *code) release() {
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	if c.refs--; c.refs == 0 {
		c.engine.drop(c)
	}
}
