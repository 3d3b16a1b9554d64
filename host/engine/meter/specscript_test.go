package meter

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero/api"
)

// specScript is what wast2json makes of a .wast file.
type specScript struct {
	Commands []specCommand `json:"commands"`
}

type specCommand struct {
	Type       string      `json:"type"`
	Line       int         `json:"line"`
	Name       string      `json:"name"`
	Filename   string      `json:"filename"`
	As         string      `json:"as"`
	Action     specAction  `json:"action"`
	Expected   []specValue `json:"expected"`
	ModuleType string      `json:"module_type"`
}

type specAction struct {
	Type   string      `json:"type"`
	Module string      `json:"module"`
	Field  string      `json:"field"`
	Args   []specValue `json:"args"`
}

type specValue struct {
	Type     string `json:"type"`
	LaneType string `json:"lane_type"`
	Value    any    `json:"value"`
}

// bits are the value as wazero passes it. Arguments are never NaN patterns, so no results are interpreted here at all:
// the metered module is compared with the original.
func (v specValue) bits(t *testing.T) []uint64 {
	if v.Type != "v128" {
		s, _ := v.Value.(string)
		if s == "" || s == "null" {
			return []uint64{0}
		}
		n := parseBits(t, s)
		if v.Type == "externref" {
			n++ // wazero takes 0 for null
		}
		return []uint64{n}
	}
	width, err := strconv.Atoi(v.LaneType[1:])
	require.NoError(t, err)
	var halves [2]uint64
	for i, lane := range v.Value.([]any) {
		at := i * width
		halves[at/64] |= parseBits(t, lane.(string)) << (at % 64)
	}
	return halves[:]
}

func parseBits(t *testing.T, s string) uint64 {
	if strings.HasPrefix(s, "nan") {
		return 0x7fc00000
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n
	}
	n, err := strconv.ParseInt(s, 10, 64)
	require.NoError(t, err)
	return uint64(n)
}

// normalise takes out what may differ between two runs of the same function: the unused half of 32-bit values, the bits of NaNs, the address of a function.
func normalise(results []uint64, types []api.ValueType, expected []specValue) {
	at := 0
	for i, typ := range types {
		v := &results[at]
		at++
		switch typ {
		case api.ValueTypeI32:
			*v &= math.MaxUint32
		case api.ValueTypeF32:
			*v = quiet(*v&math.MaxUint32, "f32")
		case api.ValueTypeF64:
			*v = quiet(*v, "f64")
		case 0x7b: // v128
			if i < len(expected) {
				*v, results[at] = quiet(*v, expected[i].LaneType), quiet(results[at], expected[i].LaneType)
			}
			at++
		case 0x70: // funcref
			*v = min(*v, 1)
		}
	}
}

// quiet replaces NaNs by one of them. Which operand's payload survives an addition is left to the machine.
func quiet(bits uint64, typ string) uint64 {
	switch typ {
	case "f64":
		if math.IsNaN(math.Float64frombits(bits)) {
			return 0x7ff8 << 48
		}
	case "f32":
		low, high := bits&math.MaxUint32, bits>>32
		if math.IsNaN(float64(math.Float32frombits(uint32(low)))) {
			low = 0x7fc0 << 16
		}
		if math.IsNaN(float64(math.Float32frombits(uint32(high)))) {
			high = 0x7fc0 << 16
		}
		return high<<32 | low
	}
	return bits
}
