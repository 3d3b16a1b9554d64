package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/crhost/crhost/host/engine/meter"
	"github.com/crhost/crhost/host/observe"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// Config says how an engine works. The zero value is a compiler without a disk cache.
type Config struct {
	CacheDir    string                 // where compiled code is kept between runs, made when missing. Empty: in memory only
	Interpreter bool                   // interpret instead of compiling: 50 times slower, for tests that compare the two
	Meter       meter.Limits           // bounds on modules. Zero fields mean meter's defaults; MemoryPages is the manifest's to set
	Compiled    func(observe.Compiled) // told of every load that reached the compiler. May be nil
}

// Engine loads modules. It is safe from any goroutine.
type Engine struct {
	config    Config
	runtime   wazero.RuntimeConfig
	cache     wazero.CompilationCache
	cacheDir  string        // of this meter version; empty without a disk cache
	compiling chan struct{} // holds one token: compiling takes every core, and two at a time would double its memory

	mu      sync.Mutex // guards domains, closed, every domain.codes and every code.refs
	domains map[string]*domain
	closed  bool
}

// domain is a runtime for guests that trust each other. It lives while it has codes.
type domain struct {
	name    string
	runtime wazero.Runtime
	config  wazero.ModuleConfig
	codes   map[string]*code // by digest of the bytes given to Load
}

// New starts an engine. Its errors are about CacheDir.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	e := &Engine{config: cfg, compiling: make(chan struct{}, 1), domains: map[string]*domain{}}
	e.runtime = wazero.NewRuntimeConfigCompiler()
	if cfg.Interpreter {
		e.runtime = wazero.NewRuntimeConfigInterpreter()
	}
	e.cache = wazero.NewCompilationCache()
	if cfg.CacheDir != "" {
		// The content that keys the cache is the metered bytes, so another meter never finds stale code; a directory of its own lets an
		// operator delete what only an older one used.
		e.cacheDir = filepath.Join(cfg.CacheDir, fmt.Sprintf("meter-%d", meter.Version))
		cache, err := wazero.NewCompilationCacheWithDir(e.cacheDir)
		if err != nil {
			return nil, fmt.Errorf("open cache of compiled code %s: %w", e.cacheDir, err)
		}
		e.cache = cache
	}
	e.runtime = e.runtime.
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst).
		WithCompilationCache(e.cache).
		WithDebugInfoEnabled(false)
	return e, ctx.Err()
}

// ErrEngineClosed is answered by Load after Close.
var ErrEngineClosed = errors.New("engine: closed")

// Close ends the engine and frees all compiled code.
//
// REQUIRES: no Load is under way and every instance is closed.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	var errs []error
	for _, d := range e.domains {
		errs = append(errs, d.runtime.Close(context.Background()))
	}
	clear(e.domains)
	return errors.Join(append(errs, e.cache.Close(context.Background()))...)
}

// acquire finds or makes the code for a digest in a domain and adds a reference to it. The one who is told first has to build it.
func (e *Engine) acquire(ctx context.Context, name, digest string, size int) (c *code, first bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false, ErrEngineClosed
	}
	d := e.domains[name]
	if d == nil {
		d = &domain{name: name, runtime: wazero.NewRuntimeWithConfig(ctx, e.runtime), codes: map[string]*code{}}
		// Without a name any number of instances of a module fit one runtime; _initialize is ours to call, on fuel of our choosing.
		d.config = wazero.NewModuleConfig().WithName("").WithStartFunctions()
		if err := instantiateHost(context.Background(), d.runtime); err != nil {
			return nil, false, errors.Join(err, d.runtime.Close(context.Background()))
		}
		e.domains[name] = d
	}
	c = d.codes[digest]
	if first = c == nil; first {
		c = &code{engine: e, domain: d, digest: digest, size: size, ready: make(chan struct{})}
		c.startFuel = cmp.Or(e.config.Meter.StartFuel, meter.DefaultStartFuel)
		d.codes[digest] = c
	}
	c.refs++
	return c, first, nil
}

// forget takes a code that could not be built out of the table, so that the next Load tries anew.
func (e *Engine) forget(c *code) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(c.domain.codes, c.digest)
}

// drop frees a code without references, and its domain with its last one.
//
// REQUIRES: e.mu is held and c.refs is 0.
func (e *Engine) drop(c *code) {
	if c.compiled != nil {
		// wazero counts compilations of equal content across runtimes (since 1.10): this frees ours only.
		_ = c.compiled.Close(context.Background())
	}
	d := c.domain
	if d.codes[c.digest] == c {
		delete(d.codes, c.digest)
	}
	if len(d.codes) == 0 && e.domains[d.name] == d {
		delete(e.domains, d.name)
		_ = d.runtime.Close(context.Background())
	}
}
