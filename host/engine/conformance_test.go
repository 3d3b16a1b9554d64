package engine_test

import (
	"context"
	"testing"

	"github.com/crhost/crhost/abi/abitest"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/stretchr/testify/require"
)

// conform runs the conformance kit on a guest.
func conform(t *testing.T, wasm []byte, cfg abitest.Config) *abitest.Report {
	t.Helper()
	m := load(t, open(t, engine.Config{}), "t", wasm)
	report, err := abitest.Run(context.Background(), func(ctx context.Context) (abitest.Guest, error) {
		return m.Conformance(ctx, nil, fuel)
	}, cfg)
	require.NoError(t, err)
	return report
}

// samples reach the counter's wider numbers and its overflow.
func samples() [][]byte {
	return [][]byte{enginetest.Action("increment", 7), enginetest.Action("decrement", 300), enginetest.Action("increment", 1<<62)}
}

func requireConformance(t *testing.T, report *abitest.Report) {
	t.Helper()
	for _, f := range report.Findings {
		require.NotEqual(t, abitest.Error, f.Severity, "%s: %s\n%s", f.Rule, f.Message, f.Detail)
	}
	require.Empty(t, report.Unproven)
}

func TestConformance(t *testing.T) {
	requireConformance(t, conform(t, enginetest.Counter(t), abitest.Config{Actions: samples()}))
}

// The kit finds through the adapter what is wrong: this guest forgets on eviction of another ticket.
func TestConformance_mutant(t *testing.T) {
	report := conform(t, hostileGuest(t, "no_such_slot"), abitest.Config{})
	require.NotEmpty(t, report.Findings)
	require.Equal(t, abitest.Error, report.Findings[0].Severity)
}
