//go:build unix

// Package docs_test does what the documents tell a reader to do, and sees whether what they show is what comes.
//
// It reads the fenced blocks of a document from top to bottom, as a reader would:
//
//	sh             is typed; cd holds for the blocks after it. It must succeed, unless a text block follows
//	sh background  goes on running while the rest is done
//	text           is what the block before it printed; ... is anything, on a line of its own any number of lines
//	go NAME        is a file to write; it must be formatted
//
// The port of the documents is replaced by a free one.
package docs_test

import (
	"bufio"
	"bytes"
	"fmt"
	"go/format"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// documented is where the documents say that a host listens.
const documented = "127.0.0.1:8420"

func TestREADME(t *testing.T) {
	readers(t)
	dir := checkout(t, t.TempDir())
	follow(t, dir, "../README.md")
}

func TestGettingStarted(t *testing.T) {
	readers(t)
	dir := t.TempDir()
	checkout(t, dir)
	follow(t, dir, "GETTING_STARTED.md")
}

// Links between files lead somewhere.
func TestLinks(t *testing.T) {
	documents, err := filepath.Glob("../*.md")
	require.NoError(t, err)
	below, err := filepath.Glob("*.md")
	require.NoError(t, err)
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, d := range append(documents, below...) {
		content, err := os.ReadFile(d)
		require.NoError(t, err)
		for _, l := range link.FindAllSubmatch(content, -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(d), string(l[1])))
			require.NoError(t, err, "%s links to %s", d, l[1])
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		want, got string
		match     bool
	}{
		{"1  r1-...\n", "1  r1-30592a43\n", true},
		{"1  r1-...\n", "2  r1-30592a43\n", false},
		{"...\nready\n", "a\nb\nready\n", true},
		{"...\nready\n", "ready\n", true},
		{"ready\n", "a\nready\n", false},
		{"a.c\n", "abc\n", false},
	} {
		require.Equal(t, c.match, pattern(c.want).MatchString(c.got), "%q, %q", c.want, c.got)
	}
}

// readers skips in short runs: a document takes as long as its builds.
func readers(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the host and guests")
	}
}

// checkout copies the module to dir/crhost, as a reader would clone it: without what was built.
func checkout(t *testing.T, dir string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	to := filepath.Join(dir, "crhost")
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case rel == "bin" || rel != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return os.Mkdir(filepath.Join(to, rel), 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), content, 0o644)
	})
	require.NoError(t, err)
	return to
}

// block is a fenced block.
type block struct {
	line int
	info string // what stands behind the fence
	text string
}

func blocks(t *testing.T, document string) []block {
	t.Helper()
	content, err := os.ReadFile(document)
	require.NoError(t, err)
	var found []block
	var open *block
	for i, line := range strings.SplitAfter(string(content), "\n") {
		info, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &block{line: i + 1, info: info}
		case fence:
			found = append(found, *open)
			open = nil
		case open != nil:
			open.text += line
		}
	}
	require.Nil(t, open, "%s: a block is not closed", document)
	require.NotEmpty(t, found)
	return found
}

// reader follows a document.
type reader struct {
	t    *testing.T
	dir  string // where the shell is
	port string // stands for the documented one
}

// follow does what a document says, beginning in dir.
func follow(t *testing.T, dir, document string) {
	r := &reader{t: t, dir: dir, port: freeAddress(t)}
	list := blocks(t, document)
	for i, b := range list {
		var want *string
		if i+1 < len(list) && list[i+1].info == "text" {
			want = &list[i+1].text
		}
		where := fmt.Sprintf("%s:%d", document, b.line)
		switch language, name, _ := strings.Cut(b.info, " "); {
		case b.info == "sh background":
			require.NotNil(t, want, "%s: needs its output, to know when it runs", where)
			r.background(where, b.text, *want)
		case b.info == "sh":
			r.run(where, b.text, want)
		case language == "go" && name != "":
			formatted, err := format.Source([]byte(b.text))
			require.NoError(t, err, where)
			require.Equal(t, string(formatted), b.text, "%s: not formatted", where)
			require.NoError(t, os.WriteFile(filepath.Join(r.dir, name), []byte(b.text), 0o644))
		}
	}
}

// command is a shell on a script, in the reader's directory, with a host's address of its own.
func (r *reader) command(script string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "CRHOST_LISTEN="+r.port, "CRHOST_URL=http://"+r.port)
	return cmd
}

func (r *reader) run(where, script string, want *string) {
	// The shell says where it ended, for the next block.
	at := filepath.Join(r.t.TempDir(), "pwd")
	if want == nil {
		script = "set -e\n" + script
	}
	cmd := r.command("trap 'pwd > " + at + "' EXIT\n" + script)
	out, err := cmd.CombinedOutput()
	if want == nil {
		require.NoError(r.t, err, "%s:\n%s", where, out)
	} else {
		require.Regexp(r.t, pattern(*want), r.shown(out), where)
	}
	dir, err := os.ReadFile(at)
	require.NoError(r.t, err, where)
	r.dir = strings.TrimSpace(string(dir))
}

// background starts a script and returns when it has printed what is wanted. It is interrupted at the end of the test, and must then end by itself.
func (r *reader) background(where, script, want string) {
	cmd := r.command(script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := cmd.StdoutPipe()
	require.NoError(r.t, err, where)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(r.t, cmd.Start(), where)
	ended := make(chan struct{})
	r.t.Cleanup(func() {
		require.NoError(r.t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT), where)
		<-ended
		_ = cmd.Wait() // make reports the interrupt
	})
	var seen []byte
	complete := make(chan bool, 1)
	go func() {
		defer close(ended)
		lines := bufio.NewReader(stdout)
		for !pattern(want).MatchString(r.shown(seen)) {
			line, err := lines.ReadBytes('\n')
			seen = append(seen, line...)
			if err != nil {
				complete <- false
				return
			}
		}
		complete <- true
		_, _ = io.Copy(io.Discard, lines) // until it ends
	}()
	if !<-complete {
		require.Regexp(r.t, pattern(want), r.shown(seen), "%s ended:\n%s", where, &stderr)
	}
}

// shown is output as the documents show it.
func (r *reader) shown(out []byte) string {
	s := strings.ReplaceAll(string(out), " --url http://"+r.port, "")
	return strings.ReplaceAll(s, r.port, documented)
}

// pattern matches output that is as wanted.
func pattern(want string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A`)
	for line := range strings.Lines(want) {
		if strings.TrimSpace(line) == "..." {
			b.WriteString(`(?:.*\n)*`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `.*`))
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

// freeAddress is a loopback address that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}
