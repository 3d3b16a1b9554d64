package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

type peerKey struct{}

// peer is what the effects of one script call.
type peer struct {
	web *httptest.Server

	mu            sync.Mutex // guards what follows
	down          bool
	authorization string // of the last request
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.authorization = r.Header.Get("Authorization")
	if p.down {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (p *peer) close() {
	if p.web != nil {
		p.web.Close()
	}
}

func cmdPeer(ts *testscript.TestScript, neg bool, args []string) {
	p := ts.Value(peerKey{}).(*peer)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(args) == 0 && !neg && p.web == nil:
		p.web = httptest.NewServer(p)
		ts.Setenv("PEER", strings.TrimPrefix(p.web.URL, "http://"))
	case len(args) == 1 && !neg && (args[0] == "up" || args[0] == "down"):
		p.down = args[0] == "down"
	case len(args) == 2 && args[0] == "got":
		if (p.authorization == args[1]) == neg {
			ts.Fatalf("the peer got %q", p.authorization)
		}
	default:
		ts.Fatalf("usage: peer, peer up, peer down or peer got TEXT")
	}
}

func cmdDone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: done ADDRESS SEQ")
	}
	a, err := address(args[0])
	ts.Check(err)
	resp, err := http.Get(ts.Getenv("CRHOST_URL") + storePath(a, "actions", args[1]) + "?wait=direct&timeout=20s")
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s", resp.Status, body)
	}
}

func cmdLetter(ts *testscript.TestScript, neg bool, args []string) {
	id := regexp.MustCompile(`[0-9a-f]{32}\.\d+\.\d+`).FindString(ts.ReadFile("stdout"))
	if neg || len(args) > 0 || id == "" {
		ts.Fatalf("usage: letter, after a command that prints one")
	}
	ts.Setenv("LETTER", id)
}
