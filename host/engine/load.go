package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine/meter"
	"github.com/crhost/crhost/host/observe"
	"github.com/tetratelabs/wazero"
)

// LoadError says in one sentence why a module was refused. The same bytes are refused again, unless the host's limits change.
type LoadError struct {
	What string
	Err  error // a *meter error, *abi.ManifestError or *Trap; nil when there is nothing to add
}

// Error is What made printable: the names in it are the module's.
func (e *LoadError) Error() string { return printable(e.What) }

// Unwrap returns the cause.
func (e *LoadError) Unwrap() error { return e.Err }

func refused(err error) error { return &LoadError{What: err.Error(), Err: err} }

// Load bounds, meters, compiles and describes a module. domain is a trust domain: modules of different domains share no runtime. The bytes
// are not kept.
//
// It takes seconds for a large module that the cache does not know, and waits while another one compiles: call it in the background. When
// the domain has the same bytes loaded it answers at once with another handle.
//
// Errors: *LoadError, ErrEngineClosed, ctx's own, and those of the cache directory.
func (e *Engine) Load(ctx context.Context, domain string, wasm []byte) (*Module, error) {
	sum := sha256.Sum256(wasm)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	for {
		c, first, err := e.acquire(ctx, domain, digest, len(wasm))
		if err != nil {
			return nil, err
		}
		if first {
			if c.err = e.build(ctx, c, wasm); c.err != nil {
				e.forget(c)
			}
			close(c.ready)
		}
		select {
		case <-c.ready:
		case <-ctx.Done():
			c.release()
			return nil, ctx.Err()
		}
		if c.err == nil {
			return &Module{code: c}, nil
		}
		c.release()
		if !first && (errors.Is(c.err, context.Canceled) || errors.Is(c.err, context.DeadlineExceeded)) && ctx.Err() == nil {
			continue // the one who built it gave up, not the module
		}
		return nil, c.err
	}
}

// build makes everything of a code that is not there yet.
func (e *Engine) build(ctx context.Context, c *code, wasm []byte) error {
	if err := e.compile(ctx, c, wasm, abi.DefaultMemoryPages); err != nil {
		return err
	}
	if err := e.inspect(c); err != nil {
		return err
	}
	if c.limits.MemoryPages == abi.DefaultMemoryPages {
		return nil
	}
	// The memory limit is part of the metered bytes, and the module could only be asked for it in an instance.
	_ = c.compiled.Close(context.Background())
	c.compiled = nil
	return e.compile(ctx, c, wasm, uint32(c.limits.MemoryPages))
}

// compile meters and compiles wasm for a memory limit.
func (e *Engine) compile(ctx context.Context, c *code, wasm []byte, pages uint32) error {
	limits := e.config.Meter
	limits.MemoryPages = pages
	m, err := meter.Rewrite(wasm, limits)
	if err != nil {
		return refused(err)
	}
	if err := checkContract(m); err != nil {
		return &LoadError{What: err.Error()}
	}
	c.depth = m.Depth
	select {
	case e.compiling <- struct{}{}:
		defer func() { <-e.compiling }()
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	start, before := time.Now(), e.cached()
	c.compiled, err = e.compileMetered(ctx, c.domain.runtime, m.Bytes)
	if e.config.Compiled != nil {
		e.config.Compiled(observe.Compiled{
			Digest: c.digest, Bytes: len(wasm), MeteredBytes: len(m.Bytes),
			Cached: err == nil && before > 0 && e.cached() == before, Duration: time.Since(start), Err: err,
		})
	}
	return err
}

// compileMetered compiles, and does not let the disk cache stand in the way: when an entry cannot be read the cache is emptied, and when
// one cannot be written the code is used all the same.
func (e *Engine) compileMetered(ctx context.Context, r wazero.Runtime, metered []byte) (wazero.CompiledModule, error) {
	compiled, err := r.CompileModule(ctx, metered)
	var path *fs.PathError
	if err != nil && e.cacheDir != "" && (strings.Contains(err.Error(), "compilationcache") || errors.As(err, &path)) {
		e.emptyCache()
		compiled, err = r.CompileModule(ctx, metered)
	}
	switch {
	case err == nil:
		return compiled, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, &LoadError{What: "invalid module: " + err.Error(), Err: err}
}

// cached counts the entries of the disk cache: a compilation that adds none has found its own.
func (e *Engine) cached() int { return len(e.cacheFiles()) }

func (e *Engine) emptyCache() {
	for _, file := range e.cacheFiles() {
		_ = os.Remove(file)
	}
}

func (e *Engine) cacheFiles() []string {
	if e.cacheDir == "" {
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(e.cacheDir, "wazero-*", "*"))
	return files
}

// inspect has the module describe itself in an instance that is thrown away.
func (e *Engine) inspect(c *code) error {
	c.limits = abi.Limits{}.OrDefault()
	i, err := newInstance(c)
	if err != nil {
		return refused(err)
	}
	manifest, err := i.describe()
	closing := i.module.Close(context.Background()) // and not i.Close: the reference is the load's
	if err != nil {
		return refused(err)
	}
	if closing != nil {
		return fmt.Errorf("close describing instance of %s: %w", c.digest, closing)
	}
	if err := checkMigrations(manifest, c.compiled); err != nil {
		return err
	}
	c.manifest, c.limits = manifest, manifest.Limits.OrDefault()
	return nil
}

func checkMigrations(m *abi.Manifest, compiled wazero.CompiledModule) error {
	for _, s := range m.Migrations {
		name, down := exportMigrate, ""
		if s.Down {
			name, down = exportMigrateDown, " down"
		}
		if compiled.ExportedFunctions()[name] == nil {
			return &LoadError{What: fmt.Sprintf("manifest: a migration%s from schema %d to %d, but no export %s", down, s.From, s.To, name)}
		}
	}
	return nil
}

func tooLargeConfig(n int) string {
	return fmt.Sprintf("a config of %d bytes, the limit is %d", n, abi.MaxConfigBytes)
}
