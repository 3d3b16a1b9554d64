package meter

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
)

// TestRewrite_goGuest runs a real Go program original, metered, and metered in the interpreter: it passes all bounds by default, results
// agree call by call, and so does the fuel of the last two. Spinning ends it for lack of fuel, endless recursion for lack of depth.
func TestRewrite_goGuest(t *testing.T) {
	guest, err := goGuest()
	require.NoError(t, err)
	kept := bytes.Clone(guest)
	m, err := Rewrite(guest, Limits{})
	require.NoError(t, err)
	require.Equal(t, kept, guest, "the input is left alone")
	again, err := Rewrite(guest, Limits{})
	require.NoError(t, err)
	require.Equal(t, m.Digest, again.Digest, "the same bytes each time")
	require.EqualValues(t, DefaultMemoryPages, m.MemoryMax)

	plain := start(t, wazero.NewRuntimeConfigCompiler(), guest)
	metered := start(t, wazero.NewRuntimeConfigCompiler(), m.Bytes)
	interpreted := start(t, wazero.NewRuntimeConfigInterpreter(), m.Bytes)
	require.Equal(t, counter(metered, FuelGlobal), counter(interpreted, FuelGlobal), "fuel of start-up")
	require.EqualValues(t, DefaultDepth, counter(metered, DepthGlobal))
	for _, c := range []struct {
		export    string
		arg, want uint64 // want 0: whatever the original says
	}{
		{"increment", 5, 5}, {"increment", math.MaxInt64, math.MaxUint64}, {"increment", 1, 6},
		{"fib", 12, 144}, {"words", 10, 0}, {"sieve", 500, 95}, {"matrix", 6, 0}, {"fault", 1, 2}, {"fault", 9, 0}, {"words", 20, 0},
	} {
		refuel(metered, math.MaxInt64)
		refuel(interpreted, math.MaxInt64)
		want, err := plain.ExportedFunction(c.export).Call(t.Context(), c.arg)
		require.NoError(t, err)
		if c.want != 0 {
			require.Equal(t, c.want, want[0], c.export)
		}
		got, err := metered.ExportedFunction(c.export).Call(t.Context(), c.arg)
		require.NoError(t, err)
		require.Equal(t, want, got, c.export)
		got, err = interpreted.ExportedFunction(c.export).Call(t.Context(), c.arg)
		require.NoError(t, err)
		require.Equal(t, want, got, c.export)
		require.Equal(t, counter(metered, FuelGlobal), counter(interpreted, FuelGlobal), "%s: fuel", c.export)
		require.Less(t, counter(metered, FuelGlobal), int64(math.MaxInt64))
		require.EqualValues(t, DefaultDepth, counter(metered, DepthGlobal), c.export)
	}
	refuel(interpreted, 10_000_000)
	_, err = interpreted.ExportedFunction("spin").Call(t.Context())
	require.ErrorContains(t, err, "unreachable")
	require.Negative(t, counter(interpreted, FuelGlobal))
	require.Positive(t, counter(interpreted, DepthGlobal))

	refuel(metered, math.MaxInt64)
	_, err = metered.ExportedFunction("dive").Call(t.Context(), 1)
	require.ErrorContains(t, err, "unreachable")
	require.ErrorContains(t, err, "main.dive", "names survive")
	require.Negative(t, counter(metered, DepthGlobal))
	require.Positive(t, counter(metered, FuelGlobal))
}
