package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
)

// m is a msgpack map of the script guest's actions and effects.
type m = map[string]any

// world is a host with the script guest, and the peers that its calls reach.
type world struct {
	*testing.T
	host    *host.Host
	config  host.Config
	journal crashable
	wrap    func(journal.Backend) journal.Backend // the journal, as the host gets it; nil leaves it as it is

	mu    sync.Mutex
	calls []string                                                 // keys of the attempts made, in order
	peers map[string]func(context.Context, *effects.Request) error // by target; nil answers at once
	again m                                                        // an effect that the answers of peer ask for; nil for none
}

// inBubble runs f in a bubble of its own, with a world.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	wasm := enginetest.BuildGo(t, "./internal/guests/script")
	dir, err := compiled()
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, journal: inMemory{memory.New(memory.Config{})}, peers: make(map[string]func(context.Context, *effects.Request) error)}
		handler := effects.HandlerFunc(w.perform)
		w.config = host.Config{
			Shards: 2, CacheDir: dir, Calls: map[string]effects.Handler{"echo": handler, "peer": handler},
			Kinds: map[abi.Kind]effects.Handler{abi.KindPublish: handler, abi.KindAppend: handler},
		}
		w.start()
		_, err := w.host.Deploy(t.Context(), host.DeployRequest{Module: "script", Wasm: wasm})
		require.NoError(t, err)
		f(t, w)
		w.stop()
	})
}

// compiled is a folder with the compiled guest, made once per process.
var compiled = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "crhost-effects-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := compiled(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func (w *world) start() {
	w.Helper()
	config := w.config
	config.Journal = w.journal
	if w.wrap != nil {
		config.Journal = w.wrap(w.journal)
	}
	var err error
	w.host, err = host.Open(w.Context(), config)
	require.NoError(w, err)
}

func (w *world) stop() {
	w.Helper()
	require.NoError(w, w.host.Shutdown(context.Background()))
}

// crash ends the host without letting it finish anything, and starts another on what its journal then had.
func (w *world) crash() {
	w.Helper()
	after := w.journal.Crash()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.host.Shutdown(ctx) // its journal is gone
	_ = w.journal.Close()
	w.journal = after
	w.start()
}

func (w *world) perform(ctx context.Context, r *effects.Request) ([]byte, error) {
	w.mu.Lock()
	w.calls = append(w.calls, fmt.Sprintf("%s %s #%d.%d", r.Effect.Target, r.Key[strings.IndexByte(r.Key, '/')+1:], r.Drive, r.Attempt))
	peer := w.peers[r.Effect.Target]
	w.mu.Unlock()
	if peer != nil {
		if err := peer(ctx, r); err != nil {
			return nil, err
		}
	}
	answer := m{"note": r.Effect.Target}
	if w.again != nil && r.Effect.Target == "peer" {
		answer["do"] = []m{w.again}
	}
	return msgpack.Marshal(answer)
}

// peer says what happens to attempts at a target.
func (w *world) peer(target string, f func(context.Context, *effects.Request) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peers[target] = f
}

// attempts are those made since the last time this was asked.
func (w *world) attempts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := w.calls
	w.calls = nil
	return calls
}

func (w *world) store(key string) *host.Store {
	return w.host.Store(abi.Address{Module: "script", Key: key})
}

// do sends an action that describes effects.
func (w *world) do(key string, list ...m) host.Receipt {
	w.Helper()
	r, err := w.store(key).Send(w.Context(), pack(w, m{"type": "do", "effects": list}))
	require.NoError(w, err)
	return r
}

// log is what the store was fed back, when nothing happens any more.
func (w *world) log(key string) []string {
	w.Helper()
	synctest.Wait()
	state, err := w.store(key).State(w.Context())
	require.NoError(w, err)
	var decoded struct {
		Log []string `msgpack:"log"`
	}
	require.NoError(w, msgpack.Unmarshal(state.Body, &decoded))
	return decoded.Log
}

func call(target string, more ...any) m {
	e := m{"kind": "call", "target": target, "ok": "ok", "err": "err"}
	for i := 0; i < len(more); i += 2 {
		e[more[i].(string)] = more[i+1]
	}
	return e
}

func sequential(list ...m) m { return m{"kind": "sequential", "children": list} }
func parallel(list ...m) m   { return m{"kind": "parallel", "children": list} }

func delay(id string, after time.Duration) m {
	return m{"kind": "delay", "id": id, "target": id, "after": int64(after)}
}

var errDown = errors.New("the peer is down")

func failing(context.Context, *effects.Request) error { return errDown }
