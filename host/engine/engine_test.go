package engine_test

import (
	"context"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fuel of one action in these tests.
const fuel = abi.DefaultFuel

func open(tb testing.TB, cfg engine.Config) *engine.Engine {
	tb.Helper()
	e, err := engine.New(context.Background(), cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, e.Close()) })
	return e
}

func load(tb testing.TB, e *engine.Engine, domain string, wasm []byte) *engine.Module {
	tb.Helper()
	m, err := e.Load(context.Background(), domain, wasm)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, m.Close()) })
	return m
}

func instantiate(tb testing.TB, m *engine.Module) *engine.Instance {
	tb.Helper()
	i, err := m.Instantiate(context.Background(), nil)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, i.Close()) })
	return i
}

// guest is an instance of a guest of its own.
func guest(tb testing.TB, wasm []byte) *engine.Instance {
	tb.Helper()
	return instantiate(tb, load(tb, open(tb, engine.Config{}), "t", wasm))
}

// send reduces increment by n on a slot, with the ticket 7.
func send(tb testing.TB, i *engine.Instance, mode abi.Mode, slot uint32, by int64) *abi.Output {
	tb.Helper()
	var out abi.Output
	in := abi.ReduceInput{Mode: mode, Slot: slot, Ticket: 7, Seq: 1, Now: 1e18, Body: enginetest.Action("increment", by)}
	require.NoError(tb, i.Reduce(&in, fuel, &out))
	return &out
}

func count(tb testing.TB, i *engine.Instance, slot uint32) int64 {
	tb.Helper()
	state, err := i.State(slot, 7)
	require.NoError(tb, err)
	r := pack.NewReader(state)
	require.Equal(tb, 1, r.MapLen())
	require.Equal(tb, "count", string(r.Str()))
	n := r.Int()
	require.NoError(tb, r.Err())
	return n
}

func TestInstance_counter(t *testing.T) {
	i := guest(t, enginetest.Counter(t))
	require.Equal(t, abi.OK, send(t, i, abi.Fresh, 0, 3).Status)
	require.Equal(t, abi.OK, send(t, i, abi.Resident, 0, 4).Status)
	require.EqualValues(t, 7, count(t, i, 0))
	require.Positive(t, i.Fuel())

	out := send(t, i, abi.Resident, 0, 1<<63-1)
	require.Equal(t, abi.Rejected, out.Status)
	require.Equal(t, abi.Clean, out.Flags)
	require.Equal(t, "overflow", string(out.Code))
	require.EqualValues(t, 7, count(t, i, 0))

	require.NoError(t, i.Evict(0, 8), "another ticket changes nothing")
	require.EqualValues(t, 7, count(t, i, 0))
	require.NoError(t, i.Evict(0, 7))
	_, err := i.State(0, 7)
	require.ErrorIs(t, err, engine.ErrNoSuchSlot)
	require.Equal(t, abi.NoSuchSlot, send(t, i, abi.Resident, 0, 1).Status)
	require.NoError(t, i.Housekeep())
	require.False(t, i.Poisoned())
}
