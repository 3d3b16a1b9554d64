package engine_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/engine/meter"
	"github.com/stretchr/testify/require"
)

// The numbers of the specification that this package and its meter keep.
func TestABI_numbers(t *testing.T) {
	doc, err := os.ReadFile("../../abi/doc.go")
	require.NoError(t, err)
	text := strings.Join(strings.Fields(strings.ReplaceAll(string(doc), "//", " ")), " ")
	for what, numbers := range map[string][]int{
		"fuel an action %s %s":                           {abi.DefaultFuel, abi.HardFuel},
		"cr1_buffer, cr1_evict %s":                       {meter.DefaultStartFuel},
		"%s + %s a byte of the limit on states":          {engine.StateFuel, engine.StateFuelPerByte},
		"%s + %s a byte of memory":                       {engine.IdleFuel, engine.IdleFuelPerByte},
		"An import costs %s":                             {meter.HostCallCost},
		"Calls nest to %s units":                         {meter.DefaultDepth},
		"%s functions, %s types of %s parameters":        {meter.DefaultFunctions, meter.DefaultTypes, meter.DefaultParams},
		"%s globals, %s exports, %s tables of %s":        {meter.DefaultGlobals, meter.DefaultExports, meter.DefaultTables, meter.DefaultTableEntries},
		"%s entries of elements, %s segments":            {meter.DefaultElementEntries, meter.DefaultSegments},
		"%s locals, 1 MiB of body, %s blocks, %s loops":  {meter.DefaultLocals, meter.DefaultBlocks, meter.DefaultBlocks},
		"%s nested, %s targets of br_table":              {meter.DefaultControlDepth, meter.DefaultBrTargets},
		"More than %s KiB written in one call":           {engine.MaxLogBytes >> 10},
		"when guest memory has grown or every %s calls,": {engine.HousekeepingCalls},
	} {
		var shown []any
		for _, n := range numbers {
			shown = append(shown, grouped(n))
		}
		require.Contains(t, text, fmt.Sprintf(what, shown...))
	}
}

// grouped writes n with a comma before every three digits.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
