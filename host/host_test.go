package host_test

import (
	"context"
	"testing"

	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

func open(tb testing.TB, config host.Config) *host.Host {
	tb.Helper()
	h, err := host.Open(context.Background(), config)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, h.Shutdown(context.Background())) })
	return h
}

func pack(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := msgpack.Marshal(v)
	require.NoError(tb, err)
	return b
}

func increment(tb testing.TB, by int64) []byte {
	return pack(tb, map[string]any{"type": "increment", "by": by})
}

// The first thing that has to work: the plugin that people copy, through every layer.
func TestHost_counter(t *testing.T) {
	ctx := context.Background()
	h := open(t, host.Config{})
	d, err := h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: enginetest.BuildGo(t, "./plugins/counter")})
	require.NoError(t, err)
	require.Equal(t, "activated", d.Outcome)

	store, err := h.StoreAt("counter/alice")
	require.NoError(t, err)
	_, err = store.State(ctx)
	require.ErrorIs(t, err, host.ErrNotFound)

	for i := range uint64(10) {
		receipt, err := store.Send(ctx, increment(t, 3))
		require.NoError(t, err)
		require.Equal(t, i+1, receipt.Seq)
	}
	state, err := store.State(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 10, state.Seq)
	var count struct {
		Count int64 `msgpack:"count"`
	}
	require.NoError(t, msgpack.Unmarshal(state.Body, &count))
	require.EqualValues(t, 30, count.Count)
}
