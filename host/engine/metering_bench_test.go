package engine_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/engine/meter"
	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// bareReduce returns what reduces an increment on the module, without this package: frame written, cr1_reduce called, n times.
func bareReduce(b *testing.B, wasm []byte) func(n int) {
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	b.Cleanup(func() { require.NoError(b, r.Close(ctx)) })
	_, err := wasi_snapshot_preview1.Instantiate(ctx, r)
	require.NoError(b, err)
	m, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	require.NoError(b, err)
	at, err := m.ExportedFunction("cr1_buffer").Call(ctx, 4096)
	require.NoError(b, err)
	reduce, stack := m.ExportedFunction("cr1_reduce"), make([]uint64, 2)
	fuel, metered := m.ExportedGlobal(meter.FuelGlobal).(api.MutableGlobal)
	in := abi.ReduceInput{Mode: abi.Fresh, Ticket: 1, Now: 1e18, Body: enginetest.Action("increment", 1)}
	buffer, ok := m.Memory().Read(uint32(at[0]), uint32(in.Size()))
	require.True(b, ok)
	return func(n int) {
		for range n {
			if metered {
				fuel.Set(abi.DefaultFuel)
			}
			in.Seq++
			stack[0] = uint64(in.Encode(buffer))
			if err := reduce.CallWithStack(ctx, stack); err != nil {
				b.Error(err)
				return
			}
			in.Mode = abi.Resident
		}
	}
}

// BenchmarkMetering is a reduce of the metered module beside the same of the module as it was, in turns, in bare wazero.
func BenchmarkMetering(b *testing.B) {
	for name, wasm := range map[string][]byte{"wat": enginetest.Counter(b), "go": enginetest.BuildGo(b, "./plugins/counter")} {
		b.Run("guest="+name, func(b *testing.B) {
			m, err := meter.Rewrite(wasm, meter.Limits{StartFuel: 1 << 40})
			require.NoError(b, err)
			sides := []func(int){bareReduce(b, wasm), bareReduce(b, m.Bytes)}
			const n, rounds = 100_000, 15
			var times [2][]float64
			for b.Loop() {
				for range rounds {
					for i, run := range sides {
						start := time.Now()
						run(n)
						times[i] = append(times[i], float64(time.Since(start).Nanoseconds())/n)
					}
				}
			}
			for i := range times {
				slices.Sort(times[i])
			}
			plain, metered := times[0][len(times[0])/2], times[1][len(times[1])/2]
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(plain, "ns/plain")
			b.ReportMetric(metered, "ns/metered")
			b.ReportMetric(metered/plain, "metered/plain")
		})
	}
}
