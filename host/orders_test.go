package host_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/orders"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
)

// bank is a peer that takes payments, over HTTP on loopback.
type bank struct {
	*httptest.Server
	mu    sync.Mutex
	broke bool
	asked []string // what, and for which order
	keys  map[string]int
}

func newBank(t *testing.T) *bank {
	b := &bank{keys: make(map[string]int)}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.asked = append(b.asked, string(body))
		b.keys[r.Header.Get("Idempotency-Key")]++
		if b.broke {
			w.WriteHeader(http.StatusPaymentRequired)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// shop is a host with the orders plugin, paid at a bank.
func shop(t *testing.T, b *bank) *host.Host {
	h := open(t, host.Config{Projections: []projection.Projection{orders.ByCustomer{}}})
	_, err := h.Deploy(context.Background(), host.DeployRequest{
		Module: "orders", Wasm: enginetest.BuildGo(t, "./plugins/orders"), Config: pack(t, m{"payment_url": b.URL + "/pay"}),
		Grants: []string{"call=http:" + strings.TrimPrefix(b.URL, "http://")},
	})
	require.NoError(t, err)
	return h
}

func order(t *testing.T) []byte {
	return pack(t, m{"type": "place", "customer": "ann", "items": []m{{"product": "p1", "name": "soup", "quantity": 2, "price": 450}}})
}

// until sends a command and waits for what it causes.
func until(t *testing.T, s *host.Store, command []byte, typ string) host.Action {
	t.Helper()
	a, _, err := s.SendAndWaitFor(context.Background(), command, func(a host.Action) bool { return a.Type == typ }, host.WaitOptions{Timeout: 20 * time.Second})
	require.NoError(t, err)
	return a
}

// steps are an order's actions, each with its cause.
func steps(t *testing.T, s *host.Store) string {
	t.Helper()
	var lines []string
	for a, err := range s.History(context.Background(), 0, 0) {
		require.NoError(t, err)
		lines = append(lines, fmt.Sprintf("%d %s %s", a.Seq, a.Cause, a.Type))
	}
	return strings.Join(lines, "\n")
}

// An order from its placement to its shipment, over a real HTTP peer.
func TestOrders_shipped(t *testing.T) {
	ctx := context.Background()
	b := newBank(t)
	h := shop(t, b)
	s := h.Store(abi.Address{Module: "orders", Key: "o1"})
	until(t, s, order(t), "order_paid")
	shipped, _, err := s.SendAndWaitFor(ctx, pack(t, m{"type": "ship", "tracking": "T1"}), func(a host.Action) bool { return a.Type == "order_shipped" }, host.WaitOptions{Timeout: 20 * time.Second})
	require.NoError(t, err)
	require.NoError(t, s.Wait(ctx, shipped.Seq))
	require.Equal(t, "1 command place\n2 feedback order_placed\n3 feedback payment_ok\n4 feedback order_paid\n5 command ship\n6 feedback order_shipped", steps(t, s))
	require.Len(t, b.asked, 1)
	require.Contains(t, b.asked[0], `"do":"charge","order":"o1","customer":"ann","cents":900`)
	open, err := s.Effects(ctx)
	require.NoError(t, err)
	require.Empty(t, open, "the delay was cancelled")
	require.Zero(t, s.DLQSize())

	check := func() {
		rows, _, err := h.ReadModel(ctx, "", orders.Name, orders.Prefix("ann"), "", 0)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		var o orders.Order
		require.NoError(t, o.Decode(rows[0].Value))
		require.Equal(t, orders.Order{Key: "o1", Customer: "ann", Status: "shipped", Total: 900}, o)
	}
	check()
	require.NoError(t, h.RebuildReadModel(ctx, "", orders.Name))
	check()
}

// An order whose payment fails is cancelled, and the bank told to give back what it has.
func TestOrders_compensates(t *testing.T) {
	ctx := context.Background()
	b := newBank(t)
	b.broke = true
	h := shop(t, b)
	s := h.Store(abi.Address{Module: "orders", Key: "o1"})
	a := until(t, s, order(t), "order_cancelled")
	require.NoError(t, s.Wait(ctx, a.Seq))
	require.Equal(t, "1 command place\n2 feedback order_placed\n3 feedback payment_failed\n4 feedback order_cancelled", steps(t, s))
	letters, err := s.DeadLetters()
	require.NoError(t, err)
	require.Len(t, letters, 2, "the charge, and the refund")
	require.Equal(t, "permanent", letters[0].Reason)
	require.True(t, letters[0].Fed)
	b.mu.Lock()
	b.broke = false
	b.mu.Unlock()
	n, err := h.RetryDeadLetters(ctx, host.DeadLetterFilter{Module: "orders"}, 0)
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

// Without a payment URL the module loads, and nothing can be placed.
func TestOrders_notConfigured(t *testing.T) {
	h := open(t, host.Config{})
	deploy(t, h, "orders", "./plugins/orders")
	_, err := h.Store(abi.Address{Module: "orders", Key: "o1"}).Send(context.Background(), order(t))
	require.ErrorIs(t, err, &host.Error{Code: abi.CodeRejected, Reason: "not_configured"})
}
