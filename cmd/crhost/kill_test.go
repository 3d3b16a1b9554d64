package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/httpapi"
)

// killed is a host that is killed again and again, and what its clients know of it.
type killed struct {
	t     *testing.T
	args  []string
	errs  *bytes.Buffer // nil: to those of the test
	cmd   *exec.Cmd
	url   string
	began time.Time
	peer  *httptest.Server
	next  atomic.Int64 // names actions

	left   atomic.Int64 // operations until the kill
	enough chan struct{}

	mu       sync.Mutex // guards what follows
	ops      map[string][]porcupine.Operation
	acked    map[string]sent   // by name
	pending  map[string]sent   // nobody knows yet
	called   map[string]int    // by the receiver, by idempotency key
	verified map[string]uint64 // by store: up to where its history was checked
	count    map[string]int64  // at verified
	feedback map[string]int    // by correlation of an action with an effect
	effects  []string          // correlations of those that happened
}

// sent is an action that a client sent.
type sent struct {
	store, name, body string
	by                int64
	effect            bool
	call, ret         int64
	seq               uint64 // 0 = unknown
	correlation       string
}

// stores of the test; the first one is hot.
var killStores = []string{"hot", "a", "b", "c", "d", "e", "f", "g"}

// S2, S12, S14, E1, E2: over many kills at random moments every acknowledged action is there exactly once and no other that nobody sent, in an order that clients
// could have seen; what is repeated with its key happens once; every effect reaches its receiver and is fed back once.
func TestKill(t *testing.T) {
	rounds := 30
	switch {
	case os.Getenv("CRHOST_LONG") != "":
		rounds = 300
	case testing.Short():
		rounds = 5
	}
	dir := t.TempDir()
	k := &killed{
		t: t, began: time.Now(), ops: make(map[string][]porcupine.Operation), acked: make(map[string]sent), pending: make(map[string]sent),
		called: make(map[string]int), verified: make(map[string]uint64), count: make(map[string]int64), feedback: make(map[string]int),
	}
	k.peer = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.called[r.Header.Get("Idempotency-Key")]++
	}))
	defer k.peer.Close()
	at := strings.TrimPrefix(k.peer.URL, "http://")
	file := filepath.Join(dir, "doer.wasm")
	require.NoError(t, os.WriteFile(file, enginetest.Doer(t, abi.EffectGrant{Kind: abi.KindCall, Targets: []string{"http:*"}}), 0o644))
	k.args = []string{
		"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--cache", filepath.Join(dir, "cache"),
		"--plugin", "doer=" + file, "--grant", "doer:call=http:" + at, "--tail-bytes", "4096", "--stores", "4", "--residents", "2",
	}
	dice := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range rounds {
		k.start()
		k.verify()
		k.again(dice)
		k.load(1 + dice.Int64N(200))
	}
	k.start()
	k.drain()
	k.verify()
	k.judge()
	require.NoError(t, k.cmd.Process.Signal(os.Interrupt))
	require.NoError(t, k.cmd.Wait())
	t.Logf("%d actions acknowledged, %d effects, %d rounds", len(k.acked), len(k.effects), rounds)
}

func (k *killed) now() int64 { return int64(time.Since(k.began)) }

// start starts the host on its directory.
func (k *killed) start() {
	k.cmd = exec.Command("crhost", k.args...) // this test's own, see TestMain
	k.cmd.Stderr = os.Stderr
	if k.errs != nil {
		k.cmd.Stderr = k.errs
	}
	out, err := k.cmd.StdoutPipe()
	require.NoError(k.t, err)
	require.NoError(k.t, k.cmd.Start())
	k.t.Cleanup(func() { _ = k.cmd.Process.Kill() }) // when the test ends early
	lines := bufio.NewReader(out)
	for ready := false; !ready; {
		line, err := lines.ReadString('\n')
		require.NoError(k.t, err)
		if m := regexp.MustCompile(`listening.*(http://[0-9.:]+)`).FindStringSubmatch(line); m != nil {
			k.url = m[1]
		}
		ready = strings.Contains(line, "ready")
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
}

// load lets clients work until the host is killed under them, with its answer to their n-th operation.
func (k *killed) load(n int64) {
	k.left.Store(n)
	k.enough = make(chan struct{})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(k.now()), uint64(i)))
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for k.act(client, dice) {
			}
		})
	}
	<-k.enough
	require.NoError(k.t, k.cmd.Process.Kill())
	wg.Wait()
	_ = k.cmd.Wait() // it was killed
}

// act does one operation, and reports whether the host has answered.
func (k *killed) act(client *http.Client, dice *rand.Rand) bool {
	store := killStores[0]
	if dice.IntN(2) == 0 {
		store = killStores[dice.IntN(len(killStores))]
	}
	if dice.IntN(5) == 0 {
		return k.read(client, store)
	}
	n := k.next.Add(1)
	s := sent{store: store, name: fmt.Sprint("n", n), by: n}
	s.body = fmt.Sprintf(`{"type":"increment","by":%d}`, n)
	if dice.IntN(4) == 0 {
		s.by, s.effect = 0, true
		s.body = fmt.Sprintf(`{"type":"do","effects":[{"kind":"call","target":"http:%s","body":{"url":"%s/%s"},"ok":"done","err":"failed"}]}`,
			strings.TrimPrefix(k.peer.URL, "http://"), k.peer.URL, s.name)
	}
	s.call = k.now()
	_, ok := k.send(client, s)
	return ok
}

// send sends an action under its name as key, and takes the answer down.
func (k *killed) send(client *http.Client, s sent) (r httpapi.Receipt, ok bool) {
	req, err := http.NewRequest(http.MethodPost, k.url+"/v1/tenants/default/modules/doer/stores/"+s.store+"/actions", strings.NewReader(s.body))
	require.NoError(k.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", s.name)
	err = k.do(client, req, &r)
	s.ret = k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.pending[s.name] = s
		return r, false
	}
	s.seq, s.correlation = r.Seq, r.Correlation
	k.acked[s.name] = s
	return r, true
}

// errGone says that the host did not answer.
var errGone = errors.New("no answer")

func (k *killed) do(client *http.Client, req *http.Request, out any) error {
	resp, err := client.Do(req)
	if k.left.Add(-1) == 0 {
		close(k.enough)
	}
	if err != nil {
		return errGone
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return errGone
	}
	if resp.StatusCode != http.StatusOK {
		k.t.Errorf("%s: %s: %s", req.URL, resp.Status, b)
		return errGone
	}
	return json.Unmarshal(b, out)
}

// read reads a state.
func (k *killed) read(client *http.Client, store string) bool {
	req, err := http.NewRequest(http.MethodGet, k.url+"/v1/tenants/default/modules/doer/stores/"+store+"/state", nil)
	require.NoError(k.t, err)
	if k.verifiedUpTo(store) == 0 {
		return true // there may be none
	}
	call := k.now()
	var out struct {
		Seq   uint64
		State struct{ Count int64 }
	}
	if k.do(client, req, &out) != nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ops[store] = append(k.ops[store], porcupine.Operation{Input: killInput{read: true}, Call: call, Output: killOutput{out.Seq, out.State.Count}, Return: k.now()})
	return true
}

func (k *killed) verifiedUpTo(store string) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.verified[store]
}

// verify reads what is new in each history, and tells from it what became of the actions that were not answered.
func (k *killed) verify() {
	now := k.now()
	found := map[string]bool{}
	for _, store := range killStores {
		for {
			var page httpapi.History
			from := k.verified[store] + 1
			req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s/v1/tenants/default/modules/doer/stores/%s/actions?from=%d", k.url, store, from), nil)
			require.NoError(k.t, err)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(k.t, err)
			b, err := io.ReadAll(resp.Body)
			require.NoError(k.t, errors.Join(err, resp.Body.Close()))
			if resp.StatusCode == http.StatusNotFound {
				require.Zero(k.t, k.verified[store], "%s is gone", store)
				break
			}
			require.Equal(k.t, http.StatusOK, resp.StatusCode, "%s", b)
			require.NoError(k.t, json.Unmarshal(b, &page))
			require.Nil(k.t, page.Gap)
			for _, a := range page.Actions {
				k.verified[store]++
				require.Equal(k.t, k.verified[store], a.Seq, "seqs have no gaps")
				k.found(store, a, now, found)
			}
			if page.Next == 0 {
				break
			}
		}
	}
	for name, s := range k.acked {
		if s.seq > k.verified[s.store] {
			k.t.Fatalf("action %s of %s was acknowledged as %d, and is not there", name, s.store, s.seq)
		}
	}
	for name := range k.pending { // whoever sent it is gone, and so is what was on its way
		if !found[name] {
			continue
		}
		delete(k.pending, name)
	}
}

// found takes down one action of a history.
func (k *killed) found(store string, a httpapi.Action, now int64, found map[string]bool) {
	var body struct {
		Type    string
		By      int64
		Effects []struct{ Body struct{ URL string } }
	}
	text, err := a.Action.MarshalJSON()
	require.NoError(k.t, err)
	require.NoError(k.t, json.Unmarshal(text, &body))
	op := porcupine.Operation{Call: 0, Return: now, Output: killOutput{seq: a.Seq}}
	switch body.Type {
	case "done":
		k.feedback[a.Correlation]++
		require.Equal(k.t, 1, k.feedback[a.Correlation], "an effect was fed back twice")
		op.Input = killInput{by: 1}
	case "increment", "do":
		name := fmt.Sprint("n", body.By)
		if body.Type == "do" {
			name = body.Effects[0].Body.URL[len(k.peer.URL)+1:]
			k.effects = append(k.effects, a.Correlation)
		}
		require.False(k.t, found[name], "%s is there twice", name)
		found[name] = true
		s, acked := k.acked[name]
		if !acked {
			var known bool
			s, known = k.pending[name]
			require.True(k.t, known, "nobody sent %s, or it was there before", name)
			s.ret, s.seq, s.correlation = now, a.Seq, a.Correlation
			k.acked[name] = s
		}
		require.Equal(k.t, store, s.store)
		require.Equal(k.t, s.seq, a.Seq)
		require.Equal(k.t, s.correlation, a.Correlation)
		op.Input, op.Call, op.Return = killInput{by: s.by}, s.call, s.ret
	default:
		k.t.Fatalf("an action %s", text)
	}
	k.ops[store] = append(k.ops[store], op)
}

// again repeats, with their keys, some actions that were answered, and some of which nobody knew.
func (k *killed) again(dice *rand.Rand) {
	for name, s := range k.acked {
		if dice.IntN(50) != 0 {
			continue
		}
		r, ok := k.send(http.DefaultClient, s)
		require.True(k.t, ok)
		require.True(k.t, r.Replayed, "%s happened again", name)
		require.Equal(k.t, s.seq, r.Seq)
		require.Equal(k.t, s.correlation, r.Correlation)
		k.acked[name] = s
	}
	for name, s := range k.pending {
		delete(k.pending, name)
		if dice.IntN(2) == 0 {
			continue // it is not there, and never will be
		}
		s.call = k.now()
		r, ok := k.send(http.DefaultClient, s)
		require.True(k.t, ok)
		require.False(k.t, r.Replayed, "%s was not there", name)
	}
}

// drain waits until all effects are done.
func (k *killed) drain() {
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	for _, store := range killStores {
		last := k.last(ctx, store)
		for seq := uint64(1); seq <= last; seq++ {
			u := fmt.Sprintf("%s/v1/tenants/default/modules/doer/stores/%s/actions/%d?wait=all&timeout=1m", k.url, url.PathEscape(store), seq)
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
			require.NoError(k.t, err)
			var a httpapi.Action
			require.NoError(k.t, k.do(http.DefaultClient, req, &a))
		}
	}
}

// last is the seq of a store's newest action, 0 when it has none.
func (k *killed) last(ctx context.Context, store string) uint64 {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url+"/v1/tenants/default/modules/doer/stores/"+store+"/state", nil)
	require.NoError(k.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(k.t, err)
	defer resp.Body.Close()
	var out struct{ Seq uint64 }
	require.NoError(k.t, json.NewDecoder(resp.Body).Decode(&out))
	return out.Seq
}

// judge looks at all that was taken down.
func (k *killed) judge() {
	k.mu.Lock()
	defer k.mu.Unlock()
	require.NotEmpty(k.t, k.effects)
	for _, correlation := range k.effects {
		require.Equal(k.t, 1, k.feedback[correlation], "an effect was not fed back")
	}
	require.Len(k.t, k.feedback, len(k.effects))
	require.Len(k.t, k.called, len(k.effects), "the receiver saw each effect, and no other")
	for store, ops := range k.ops {
		result := porcupine.CheckOperationsTimeout(killModel, ops, time.Minute)
		require.Equal(k.t, porcupine.Ok, result, "%s: no order explains what clients saw", store)
	}
}

// killInput adds to a store, or reads it.
type killInput struct {
	read bool
	by   int64
}

type killOutput struct {
	seq   uint64
	count int64 // of a read
}

// killModel is one store.
var killModel = porcupine.Model{
	Init: func() any { return killOutput{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(killOutput), input.(killInput), output.(killOutput)
		if in.read {
			return out == s, s
		}
		return out.seq == s.seq+1, killOutput{s.seq + 1, s.count + in.by}
	},
}
