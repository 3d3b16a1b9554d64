//go:build !race

package engine_test

import (
	"testing"

	"github.com/crhost/crhost/abi/abitest"
	"github.com/crhost/crhost/host/engine/enginetest"
)

// The shipped counter passes the kit. Go's heap takes some 100,000 actions to find its size; the kit has one goroutine, so that the race
// detector, under which this takes half a minute, has nothing to see.
func TestConformance_counter(t *testing.T) {
	report := conform(t, enginetest.BuildGo(t, "./plugins/counter"), abitest.Config{Actions: samples(), Rounds: 200_000})
	requireConformance(t, report)
}
