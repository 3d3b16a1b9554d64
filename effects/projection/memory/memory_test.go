package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/crhost/crhost/effects/projection"
	"github.com/crhost/crhost/effects/projection/memory"
	"github.com/crhost/crhost/effects/projection/projectiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open() projection.Store { return memory.New() }

func TestConformance(t *testing.T) {
	projectiontest.Run(t, open, projectiontest.Features{Bubble: true})
}

// As in life, with the scheduler that there is.
func TestConformance_realTime(t *testing.T) { projectiontest.Run(t, open, projectiontest.Features{}) }

func BenchmarkStore(b *testing.B) { projectiontest.Benchmark(b, open) }
