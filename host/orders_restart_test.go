package host_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/orders"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
)

// An order goes on in another process, with its events and its read model, after a shutdown and after a power failure.
func TestOrders_restarted(t *testing.T) {
	ctx, cache := context.Background(), t.TempDir()
	for _, c := range []struct {
		name    string
		on      string // a journal
		command m
		ends    string
		status  string
	}{
		{"shut down on pebble, then shipped", "pebble", m{"type": "ship", "tracking": "T1"}, "order_shipped", "shipped"},
		{"crashed on pebble, then cancelled", "pebble", m{"type": "cancel", "reason": "by hand"}, "order_cancelled", "cancelled"},
		{"shut down in memory, then cancelled", "memory", m{"type": "cancel", "reason": "by hand"}, "order_cancelled", "cancelled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, on := newBank(t), journals[c.on](t)
			config := host.Config{Journal: on, Projections: []projection.Projection{orders.ByCustomer{}}, CacheDir: cache}
			first, err := host.Open(ctx, config)
			require.NoError(t, err)
			_, err = first.Deploy(ctx, host.DeployRequest{
				Module: "orders", Wasm: enginetest.BuildGo(t, "./plugins/orders"), Config: pack(t, m{"payment_url": b.URL + "/pay"}),
				Grants: []string{"call=http:" + strings.TrimPrefix(b.URL, "http://")},
			})
			require.NoError(t, err)
			s := first.Store(abi.Address{Module: "orders", Key: "o1"})
			paid := until(t, s, order(t), "order_paid")
			require.NoError(t, s.Wait(ctx, paid.Seq))

			var found crashable
			if strings.HasPrefix(c.name, "crashed") {
				found = on.Crash()
				_ = first.Shutdown(ctx) // of a host whose journal is dead
			} else {
				require.NoError(t, first.Shutdown(ctx))
				found = on.Crash() // all of it is durable
			}
			require.NoError(t, on.Close())
			defer func() { require.NoError(t, found.Close()) }()

			config.Journal = found
			again, err := host.Open(ctx, config)
			require.NoError(t, err)
			defer func() { require.NoError(t, again.Shutdown(ctx)) }()
			row := func() orders.Order {
				rows, _, err := again.ReadModel(ctx, "", orders.Name, orders.Prefix("ann"), "", 0)
				require.NoError(t, err)
				require.Len(t, rows, 1)
				var o orders.Order
				require.NoError(t, o.Decode(rows[0].Value))
				return o
			}
			want := orders.Order{Key: "o1", Customer: "ann", Status: "paid", Total: 900}
			require.Equal(t, want, row(), "before any event of this life")
			s = again.Store(abi.Address{Module: "orders", Key: "o1"})
			ended := until(t, s, pack(t, c.command), c.ends)
			require.NoError(t, s.Wait(ctx, ended.Seq))
			want.Status = c.status
			require.Equal(t, want, row())
			require.NoError(t, again.RebuildReadModel(ctx, "", orders.Name))
			require.Equal(t, want, row(), "made of the events of both lives")
			require.Zero(t, s.DLQSize())
			require.Equal(t, 1, strings.Count(strings.Join(b.asked, " "), `"do":"charge"`))
		})
	}
}
