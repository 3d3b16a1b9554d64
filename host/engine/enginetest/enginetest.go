// Package enginetest makes guests for tests: out of WebAssembly text and out of Go.
//
//	enginetest.BuildGo(tb, "./plugins/counter")   a Go guest, built once per process
//	enginetest.Wat(tb, src)                       a whole module in WebAssembly text
//	enginetest.Guest(tb, src)                     a guest out of what is particular about it, see Guest
//	enginetest.GuestWith(tb, manifest, src)       the same with a manifest of one's own
//	enginetest.Counter(tb)                        a small conforming counter in WebAssembly text, residency slots
//	enginetest.CounterWith(tb, manifest)          the same with a manifest of one's own
//	enginetest.CounterModule()                    the same for an Example
//	enginetest.Attacker(tb, src)                  the counter with one action more, which src answers
//	enginetest.Doer(tb, effects...)               the counter with an action that asks for whatever effects it says
//	enginetest.Manifest()                         the manifest that Guest and Counter describe
//	enginetest.Action(typ, by...)                 an action of theirs, encoded
//
// It is test support: production code never imports it. Everything is safe from any goroutine; a guest that cannot be made fails the test.
package enginetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/crhost/crhost/internal/wat"
	"github.com/stretchr/testify/require"
)

// builds holds what BuildGo made in this process: package path -> *build. Go guests take seconds to link, and many tests share one.
var builds sync.Map

type build struct {
	once sync.Once
	wasm []byte
	err  error
	log  []byte
}

// BuildGo builds the Go package in dir, relative to the module's root, as a guest. The same dir is built once per process; the go
// command's build cache is shared with every other build. The caller must not change the bytes.
func BuildGo(tb testing.TB, dir string) []byte {
	tb.Helper()
	v, _ := builds.LoadOrStore(dir, new(build))
	b := v.(*build)
	b.once.Do(func() { b.run(dir) })
	require.NoError(tb, b.err, "build %s: %s", dir, b.log)
	return b.wasm
}

func (b *build) run(dir string) {
	root, err := moduleRoot()
	if err != nil {
		b.err = err
		return
	}
	tmp, err := os.MkdirTemp("", "crhost-guest-")
	if err != nil {
		b.err = err
		return
	}
	defer os.RemoveAll(tmp)
	file := filepath.Join(tmp, "guest.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags=-w", "-o", file, dir)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if b.log, b.err = cmd.CombinedOutput(); b.err != nil {
		return
	}
	b.wasm, b.err = os.ReadFile(file)
}

// moduleRoot is the directory of the go.mod above the running test's package.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	return filepath.Dir(string(bytes.TrimSpace(out))), err
}

// Wat assembles a whole module.
func Wat(tb testing.TB, src string) []byte {
	tb.Helper()
	wasm, err := wat.Compile(src)
	require.NoError(tb, err)
	return wasm
}
