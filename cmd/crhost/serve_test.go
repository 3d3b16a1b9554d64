package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/engine/enginetest"
)

// running is a command that runs in this process.
type running struct {
	out  *bufio.Reader
	errs bytes.Buffer
	stop context.CancelFunc
	exit chan int
}

func start(t *testing.T, args ...string) *running {
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	run1 := &running{out: bufio.NewReader(r), stop: stop, exit: make(chan int, 1)}
	go func() {
		code := run(ctx, process{name: "crhost", args: args, stdout: w, stderr: &run1.errs, getenv: func(string) string { return "" }, readFile: os.ReadFile})
		w.Close()
		run1.exit <- code
	}()
	t.Cleanup(func() { stop(); r.Close() })
	return run1
}

// until reads the output up to a line that matches, and returns what its first group holds.
func (r *running) until(t *testing.T, pattern string) string {
	t.Helper()
	for {
		line, err := r.out.ReadString('\n')
		require.NoError(t, err, "no line %s", pattern)
		if m := regexp.MustCompile(pattern).FindStringSubmatch(line); m != nil {
			return m[len(m)-1]
		}
	}
}

// serveCounter serves a counter and returns its URL.
func serveCounter(t *testing.T, flags ...string) (*running, string) {
	file := filepath.Join(t.TempDir(), "counter.wasm")
	require.NoError(t, os.WriteFile(file, enginetest.Counter(t), 0o644))
	s := start(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--plugin", "counter=" + file}, flags...)...)
	url := s.until(t, `listening on (http://.*)\n`)
	s.until(t, "ready")
	return s, url
}

// do runs a command to its end.
func do(t *testing.T, args ...string) (exit int, out, errs string) {
	r := start(t, args...)
	b, err := io.ReadAll(r.out)
	require.NoError(t, err)
	return <-r.exit, string(b), r.errs.String()
}

// A watch ends with the host and says how to go on; the host does not wait for it.
func TestWatch_hostEnds(t *testing.T) {
	s, url := serveCounter(t)
	exit, _, errs := do(t, "send", "counter", `{"type":"increment"}`, "--url", url)
	require.Zero(t, exit, errs)
	w := start(t, "watch", "counter", "--from", "1", "--url", url)
	w.until(t, `^1  \{"type":"increment"\}`)
	s.stop()
	require.Equal(t, exitUnavailable, <-w.exit)
	require.Equal(t, "crhost: shutting_down: the host is shutting down\n  hint: go on: crhost watch counter --from 2\n", w.errs.String())
	s.until(t, "stopped")
	require.Zero(t, <-s.exit)
	require.Empty(t, s.errs.String())
}

// An interrupt is how a watch ends.
func TestWatch_interrupted(t *testing.T) {
	_, url := serveCounter(t)
	exit, _, errs := do(t, "send", "counter", `{"type":"increment"}`, "--url", url)
	require.Zero(t, exit, errs)
	w := start(t, "watch", "counter", "--from", "1", "--url", url)
	w.until(t, "^1  ")
	w.stop()
	require.Equal(t, exitDone, <-w.exit)
	require.Empty(t, w.errs.String())
}

// The name given by --host is answered, another is not.
func TestServe_host(t *testing.T) {
	_, url := serveCounter(t, "--host", "crhost.localhost.example")
	for name, want := range map[string]int{"crhost.localhost.example": 200, "127.0.0.1": 200, "evil.example": 403} {
		r, err := http.NewRequest(http.MethodGet, url+"/healthz", nil)
		require.NoError(t, err)
		r.Host = name
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, want, resp.StatusCode, name)
	}
}

// On all interfaces, what it suggests to type works: the Host header of the URL is one that it answers.
func TestServe_allInterfaces(t *testing.T) {
	s := start(t, "serve", "--listen", "0.0.0.0:0", "--insecure")
	s.until(t, `listening on (http://.*)\n`)
	url := s.until(t, `crhost modules --url (http://127\.0\.0\.1:\d+)\n`)
	exit, out, errs := do(t, "modules", "--url", url)
	require.Zero(t, exit, errs)
	require.Contains(t, out, "nothing is loaded")
}

// It answers from the moment that it listens, and is ready when the plugins are deployed. The line that says so of a plugin is not read here
// before it has been asked, so it is neither early nor late.
func TestServe_ready(t *testing.T) {
	file := filepath.Join(t.TempDir(), "counter.wasm")
	require.NoError(t, os.WriteFile(file, enginetest.Counter(t), 0o644))
	s := start(t, "serve", "--listen", "127.0.0.1:0", "--plugin", "counter="+file)
	url := s.until(t, `listening on (http://.*)\n`)
	status := func(path string) int {
		resp, err := http.Get(url + path)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, 503, status("/readyz"))
	require.Equal(t, 200, status("/healthz"))
	s.until(t, "ready")
	require.Equal(t, 200, status("/readyz"))
	require.Equal(t, 200, status("/metrics"))
	require.Equal(t, 200, status("/openapi.json"))
}

// Every setting of the host is a flag, and help says its default.
func TestServe_help(t *testing.T) {
	_, out, _ := do(t, "serve", "--help")
	for _, flag := range []string{
		"cache", "config", "data", "grant", "halt-on-command-trap", "history", "host", "insecure", "keep-alive", "listen", "log-format", "log-level",
		"metrics-prefix", "plugin", "queue-depth", "rebuild-fuel", "residents", "shards", "shutdown-timeout", "subscriber-buffer", "tail-bytes",
		"trap-rate", "wait-timeout", "write-timeout",
	} {
		require.Regexp(t, `(?m)^\s+--`+flag+`\b`, out)
	}
	require.Equal(t, 1, strings.Count(out, "--queue-depth"))
	require.Contains(t, out, "(default 1024)")
}
