package host_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/orders"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/observe"
)

var update = flag.Bool("update", false, "write the golden files anew")

// recorder is an observer that writes down what happens to effects and actions.
type recorder struct {
	mu    sync.Mutex
	lines []event
}

// event is an event, below the action that it is about: leaves run side by side, so that their order in time is no one's.
type event struct {
	seq   uint64
	index int // of the leaf; -1 for the action itself
	text  string
}

func (r *recorder) add(seq uint64, index int, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, event{seq, index, fmt.Sprintf(format, args...)})
}

func (r *recorder) observer() *observe.Observer {
	return &observe.Observer{ModuleLoaded: func(observe.Module) *observe.ModuleHooks {
		return &observe.ModuleHooks{
			Sent: func(_ context.Context, e *observe.Sent) { r.add(e.Seq, -1, "%s %s %s", e.Cause, e.ActionType, e.Code) },
			Performed: func(_ context.Context, e *observe.Performed) {
				target := e.Target
				if strings.HasPrefix(target, "http:") {
					target = "http:BANK"
				}
				r.add(e.Seq, e.Index, "  %s=%s attempt %d %s", e.KindName, target, e.Attempt, e.Outcome)
			},
			Buried: func(e *observe.Buried) { r.add(e.Seq, e.Index, "  dead letter %s, fed back: %v", e.Reason, e.Fed) },
		}
	}}
}

// golden compares what was recorded with a file.
func (r *recorder) golden(t *testing.T, file string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortStableFunc(r.lines, func(a, b event) int {
		if a.seq != b.seq {
			return int(a.seq) - int(b.seq)
		}
		return a.index - b.index
	})
	var text strings.Builder
	for _, l := range r.lines {
		if l.index < 0 {
			fmt.Fprintf(&text, "%d ", l.seq)
		}
		text.WriteString(strings.TrimRight(l.text, " ") + "\n")
	}
	path := filepath.Join("testdata", file)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "write it with -update")
	require.Equal(t, string(want), text.String())
}

// The events of one order, from the HTTP request on: one that is shipped, and one whose payment fails, which is cancelled and refunded.
func TestOrders_trace(t *testing.T) {
	for _, c := range []struct {
		name  string
		broke bool
		posts [][2]string // body, and what to wait for
	}{
		{"shipped", false, [][2]string{{placeOrder, "order_paid"}, {`{"type":"ship","tracking":"T1"}`, "order_shipped"}}},
		{"compensated", true, [][2]string{{placeOrder, "order_cancelled"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, r := newBank(t), new(recorder)
			b.broke = c.broke
			h := open(t, host.Config{Projections: []projection.Projection{orders.ByCustomer{}}, Observer: r.observer()})
			_, err := h.Deploy(t.Context(), host.DeployRequest{
				Module: "orders", Wasm: enginetest.BuildGo(t, "./plugins/orders"), Config: pack(t, m{"payment_url": b.URL + "/pay"}),
				Grants: []string{"call=http:" + strings.TrimPrefix(b.URL, "http://")},
			})
			require.NoError(t, err)
			api, err := httpapi.New(httpapi.Config{Host: h})
			require.NoError(t, err)
			for _, p := range c.posts {
				req := httptest.NewRequestWithContext(t.Context(), http.MethodPost,
					"/v1/tenants/default/modules/orders/stores/o1/actions?timeout=20s&wait_for="+p[1], strings.NewReader(p[0]))
				req.Host = "localhost"
				req.Header.Set("Content-Type", "application/json")
				answer := httptest.NewRecorder()
				api.ServeHTTP(answer, req)
				require.Equal(t, http.StatusOK, answer.Code, answer.Body.String())
			}
			s := h.Store(abi.Address{Module: "orders", Key: "o1"})
			require.NoError(t, s.WaitAll(t.Context(), 1))
			info, err := s.Info(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.WaitAll(t.Context(), info.Seq))
			require.NoError(t, h.Shutdown(context.Background()))
			r.golden(t, "order-"+c.name+".txt")
		})
	}
}

const placeOrder = `{"type":"place","customer":"ann","items":[{"product":"p1","name":"soup","quantity":2,"price":450}]}`
