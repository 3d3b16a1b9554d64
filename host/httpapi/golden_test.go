package httpapi_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/crhost/crhost/host/httpapi"
)

// Each file of testdata is a conversation with a fresh host that serves the module counter: requests, each followed by its response. A body
// that is {WASM} stands for the bytes of the counter.
func TestConversations(t *testing.T) {
	conversations(t, "testdata/*.txtar", func(t *testing.T) http.Handler { return open(t, httpapi.Config{}) })
}

// The same with a host that serves the module doer and calls peers: peer:up does what it is asked, peer:down never, peer:heals in the second drive.
func TestConversations_effects(t *testing.T) {
	conversations(t, "testdata/effects/*.txtar", func(t *testing.T) http.Handler { return open(t, httpapi.Config{Host: doerHost(t)}) })
}

// conversations holds all conversations of files that match, each with a handler of its own. {LETTER} in a request is the dead letter that was shown last.
func conversations(t *testing.T, pattern string, open func(*testing.T) http.Handler) {
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			h, letter := open(t), ""
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			var got []txtar.File
			for _, f := range archive.Files {
				if strings.HasSuffix(f.Name, ".response") {
					continue
				}
				answer := txtar.File{Name: strings.TrimSuffix(f.Name, ".request") + ".response", Data: []byte(converse(t, h, string(f.Data), &letter))}
				got = append(got, f, answer)
			}
			if *update {
				archive.Files = got
				require.NoError(t, os.WriteFile(file, txtar.Format(archive), 0o644))
				return
			}
			require.Equal(t, len(archive.Files), len(got))
			for i, f := range archive.Files {
				require.Equal(t, f.Name, got[i].Name)
				require.Equal(t, string(f.Data), string(got[i].Data), f.Name)
			}
		})
	}
}

// converse makes a request out of its text and shows the response.
func converse(t *testing.T, h http.Handler, text string, letter *string) string {
	text = strings.ReplaceAll(text, "{LETTER}", *letter)
	head, body, _ := strings.Cut(text, "\n\n")
	head = strings.ReplaceAll(strings.TrimSpace(head), "\n", "\r\n")
	body = strings.TrimSuffix(body, "\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Replace(head, "\r\n", " HTTP/1.1\r\nHost: localhost\r\n", 1) + hostIfAlone(head) + "\r\n\r\n")))
	require.NoError(t, err, head)
	r.RemoteAddr = "127.0.0.1:1"
	r.Body = http.NoBody
	if body != "" {
		fresh := httptest.NewRequest(r.Method, "/", strings.NewReader(expand(t, body)))
		r.Body, r.ContentLength = fresh.Body, fresh.ContentLength
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", w.Code)
	for _, name := range []string{"Content-Type", "Allow", "Retry-After", "Location", "Preference-Applied"} {
		if v := w.Header().Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	out := w.Body.String()
	if m := letterID.FindString(out); m != "" {
		*letter = m
	}
	if w.Header().Get("Content-Type") == "application/msgpack" {
		out = fmt.Sprintf("%x\n", out)
	}
	return b.String() + mask(out)
}

// letterID is the id of a dead letter.
var letterID = regexp.MustCompile(`[0-9a-f]{32}\.\d+\.\d+`)

// hostIfAlone completes a request line without headers.
func hostIfAlone(head string) string {
	if strings.Contains(head, "\r\n") {
		return ""
	}
	return " HTTP/1.1\r\nHost: localhost"
}

// mask hides what differs from run to run.
func mask(s string) string {
	for _, m := range []struct{ pattern, with string }{
		{`"(time|deployed|since|until|due|parked)":"[^"]+"`, `"$1":"TIME"`},
		{`[0-9a-f]{32}(\.\d+\.\d+)`, `LIFE$1`},
		{`[0-9a-f]{32}(/\d+/\d+)`, `LIFE$1`},
		{`"(correlation|incarnation|digest)":"[^"]+"`, `"$1":"ID"`},
		{`\b(r\d+)-[0-9a-f]{8}\b`, `$1-DIGEST`},
		{`"(fuel|bytes|running)":\d+`, `"$1":N`},
		{`72312d[0-9a-f]{16}`, `72312dDIGEST`}, // r1- and the digest, in msgpack
	} {
		s = regexp.MustCompile(m.pattern).ReplaceAllString(s, m.with)
	}
	return s
}
