package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine/enginetest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"crhost": main}) }

// Each file of testdata/script is what a user might type. Besides testscript's own commands there are
//
//	serve [FLAGS]   starts a real crhost serve on a free port, waits until it is ready and sets CRHOST_URL and CRHOST_AT (host:port)
//	interrupt       interrupts it and waits for its end; what it wrote is in serve.out and serve.err
//	exits N ARGS    runs crhost with ARGS and checks its exit code
//	mask FILE       writes it to the file masked without what differs from run to run: times, digests, ports
//	peer            starts an HTTP server on loopback and sets PEER (host:port); it is up
//	peer up|down    from now on it answers 200 or 500
//	peer got TEXT   checks that the header Authorization of the last request was TEXT
//	done ADDR SEQ   waits until the effects of an action are done
//	letter          sets LETTER to the first id of a dead letter that the last command printed
//
// and the files counter.wasm (the shipped plugin), small.wasm (a counter in WebAssembly text), attack.wasm (the same; its action attack
// traps), schema2.wasm (another schema number), hollow.wasm (a valid module that exports nothing), doer.wasm (a counter that asks
// for whatever effects its action do has; see enginetest.Doer), appender.wasm (the same for appends) and forgetful.wasm (it keeps no state and says so to nobody).
func TestScripts(t *testing.T) {
	guests := buildGuests(t)
	cache := t.TempDir()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CRHOST_CACHE", cache)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else every command takes a second under the race detector
			for name, wasm := range guests {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), wasm, 0o644); err != nil {
					return err
				}
			}
			s := &background{}
			env.Values[backgroundKey{}] = s
			env.Defer(s.kill)
			p := &peer{}
			env.Values[peerKey{}] = p
			env.Defer(p.close)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": cmdServe, "interrupt": cmdInterrupt, "crash": cmdCrash, "exits": cmdExits, "mask": cmdMask,
			"peer": cmdPeer, "done": cmdDone, "letter": cmdLetter},
	})
}

func buildGuests(t *testing.T) map[string][]byte {
	m := enginetest.Manifest()
	m.Schema = 2
	counter, orders := enginetest.Counter(t), []byte(nil)
	if !raced { // compiling what Go made takes long then
		counter, orders = enginetest.BuildGo(t, "./plugins/counter"), enginetest.BuildGo(t, "./plugins/orders")
	}
	return map[string][]byte{
		"counter.wasm":   counter,
		"orders.wasm":    orders,
		"small.wasm":     enginetest.Counter(t),
		"attack.wasm":    enginetest.Attacker(t, `(func (export "cr1_reduce") (param $len i32) (result i64) unreachable)`),
		"doer.wasm":      enginetest.Doer(t, abi.EffectGrant{Kind: abi.KindCall, Targets: []string{"http:*"}}, abi.EffectGrant{Kind: abi.KindDelay}),
		"appender.wasm":  enginetest.Doer(t, abi.EffectGrant{Kind: abi.KindAppend, Targets: []string{"log"}}),
		"forgetful.wasm": enginetest.Guest(t, `(func (export "cr1_reduce") (param $len i32) (result i64) (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))`),
		"hollow.wasm":    []byte("\x00asm\x01\x00\x00\x00"),
		"schema2.wasm":   enginetest.GuestWith(t, m, `(func (export "cr1_reduce") (param $len i32) (result i64) (call $answer (i32.const 0) (i32.const 0) (i32.const 0)))`),
	}
}

type backgroundKey struct{}

// background is the serve of one script.
type background struct {
	cmd    *exec.Cmd
	copied sync.WaitGroup
	out    bytes.Buffer
	errs   bytes.Buffer
}

func (b *background) kill() {
	if b.cmd != nil {
		_ = b.cmd.Process.Kill()
		b.wait()
	}
}

func (b *background) wait() error {
	b.copied.Wait()
	err := b.cmd.Wait()
	b.cmd = nil
	return err
}

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value(backgroundKey{}).(*background)
	if neg || b.cmd != nil {
		ts.Fatalf("usage: serve [FLAGS], once at a time")
	}
	*b = background{}
	bin, _, _ := strings.Cut(ts.Getenv("PATH"), string(os.PathListSeparator))
	b.cmd = exec.Command(filepath.Join(bin, "crhost"), append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	b.cmd.Dir = ts.MkAbs(".")
	b.cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "CRHOST_CACHE=" + ts.Getenv("CRHOST_CACHE"), "CRHOST_LOG_LEVEL=" + ts.Getenv("CRHOST_LOG_LEVEL"), "GORACE=" + ts.Getenv("GORACE")}
	b.cmd.Stderr = &b.errs
	out, err := b.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(b.cmd.Start())
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		b.out.WriteString(line)
		if m := regexp.MustCompile(`listening.*(http://[0-9.:]+)`).FindStringSubmatch(line); m != nil {
			ts.Setenv("CRHOST_URL", m[1])
			ts.Setenv("CRHOST_AT", strings.TrimPrefix(m[1], "http://"))
		}
		if err != nil {
			_ = b.wait()
			ts.Fatalf("serve ended:\n%s%s", b.out.String(), b.errs.String())
		}
		if strings.Contains(line, "ready") {
			break
		}
	}
	b.copied.Go(func() { _, _ = io.Copy(&b.out, lines) })
}

func cmdInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value(backgroundKey{}).(*background)
	if neg || len(args) > 0 || b.cmd == nil {
		ts.Fatalf("usage: interrupt, after serve")
	}
	ts.Check(b.cmd.Process.Signal(os.Interrupt))
	err := b.wait()
	ts.Check(os.WriteFile(ts.MkAbs("serve.out"), b.out.Bytes(), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs("serve.err"), b.errs.Bytes(), 0o644))
	if err != nil {
		ts.Fatalf("serve: %v\n%s", err, b.errs.String())
	}
}

// cmdCrash ends the serve without a chance for a last word.
func cmdCrash(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value(backgroundKey{}).(*background)
	if neg || len(args) > 0 || b.cmd == nil {
		ts.Fatalf("usage: crash, after serve")
	}
	b.kill()
}

func cmdMask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mask FILE")
	}
	text := ts.ReadFile(args[0])
	for _, m := range []struct{ pattern, with string }{
		{`\b(r\d+)-[0-9a-f]{8}\b`, "$1-DIGEST"},
		{`sha256:[0-9a-f]{64}`, "sha256:DIGEST"},
		{`127\.0\.0\.1:\d+`, "ADDRESS"},
		{`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`, "TIME"},
		{`\d+\.\d+ s\b`, "TOOK"},
		{`\b\d+ bytes`, "N bytes"},
		{`"correlation":"[0-9a-f]+"`, `"correlation":"ID"`},
		{`"fuel":\d+`, `"fuel":N`},
		{`[0-9a-f]{32}(\.\d+\.\d+)`, `LIFE$1`},
		{`(?m)^  \S*/crhost `, "  crhost "},
		{` +\n`, "\n"},
	} {
		text = regexp.MustCompile(m.pattern).ReplaceAllString(text, m.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs("masked"), []byte(text), 0o644))
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N ARGS")
	}
	err := ts.Exec("crhost", args[1:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || strconv.Itoa(exit.ExitCode()) != args[0] {
		ts.Fatalf("crhost %q: %v, want exit code %s", args[1:], err, args[0])
	}
}
