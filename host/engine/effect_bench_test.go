package engine_test

import (
	"slices"
	"testing"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/stretchr/testify/require"
)

// reduceTimes returns what reduces an action n times, housekeeping included, and says how long one took and how much fuel it used.
func reduceTimes(b *testing.B, m *engine.Module, i *engine.Instance, typ string) func(n int) (ns, used float64) {
	b.Helper()
	in := abi.ReduceInput{Mode: abi.Resident, Ticket: 7, Now: 1e18, Body: enginetest.Action(typ)}
	in.Action = uint16(slices.IndexFunc(m.Manifest().Actions, func(a abi.Action) bool { return a.Type == typ }))
	return func(n int) (ns, used float64) {
		var out abi.Output
		fuels, start := int64(0), time.Now()
		for range n {
			in.Seq++
			if err := i.Reduce(&in, fuel, &out); err != nil {
				b.Fatal(err)
			}
			fuels += i.Fuel()
			if err := i.Housekeep(); err != nil {
				b.Fatal(err)
			}
		}
		require.Equal(b, abi.OK, out.Status)
		return float64(time.Since(start).Nanoseconds()) / float64(n), float64(fuels) / float64(n)
	}
}

// BenchmarkEffects is an action that describes an effect beside one of the same guest that describes none, in turns.
func BenchmarkEffects(b *testing.B) {
	wasm := enginetest.BuildGo(b, "./internal/guests/caller")
	for _, typ := range []string{"call", "wait", "pay"} {
		b.Run("action="+typ, func(b *testing.B) {
			m := load(b, open(b, engine.Config{}), "t", wasm)
			i := instantiate(b, m)
			var out abi.Output
			require.NoError(b, i.Reduce(&abi.ReduceInput{Mode: abi.Fresh, Ticket: 7, Seq: 1, Now: 1e18, Body: enginetest.Action("plain")}, fuel, &out))
			sides := []func(int) (float64, float64){reduceTimes(b, m, i, "plain"), reduceTimes(b, m, i, typ)}
			const n, rounds = 20_000, 15
			var times, fuels [2][]float64
			for b.Loop() {
				for range rounds {
					for k, run := range sides {
						ns, used := run(n)
						times[k], fuels[k] = append(times[k], ns), append(fuels[k], used)
					}
				}
			}
			median := func(list []float64) float64 { slices.Sort(list); return list[len(list)/2] }
			plain, effect := median(times[0]), median(times[1])
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(plain, "ns/plain")
			b.ReportMetric(effect-plain, "ns/more")
			b.ReportMetric(effect/plain, "effect/plain")
			b.ReportMetric(median(fuels[1])-median(fuels[0]), "fuel/more")
		})
	}
}
