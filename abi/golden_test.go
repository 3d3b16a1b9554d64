package abi_test

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

var update = flag.Bool("update", false, "write the golden vectors")

// vectors are encodings of everything that crosses the boundary. The files under testdata are for other languages too.
func vectors() map[string][]byte {
	reduce := func(in abi.ReduceInput) []byte {
		b := make([]byte, in.Size())
		in.Encode(b)
		return b
	}
	bytesFrame := func(in abi.BytesInput) []byte {
		b := make([]byte, in.Size())
		in.Encode(b)
		return b
	}
	output := func(out abi.Output) []byte { return out.Append(nil) }
	seed := [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	return map[string][]byte{
		"reduce-fresh":    reduce(abi.ReduceInput{Body: sampleAction()}),
		"reduce-state":    reduce(abi.ReduceInput{Mode: abi.WithState, Action: 513, Slot: 7, Ticket: 1 << 63, Seq: 9, Now: -1, Seed: seed, State: []byte{0x81, 0xa1, 'n', 5}, Body: sampleAction(), Meta: sampleMeta().Append(nil)}),
		"reduce-resident": reduce(abi.ReduceInput{Mode: abi.Resident, Slot: 1<<32 - 1, Ticket: 3, Seq: 2, Now: 1_700_000_000_000_000_000, Seed: seed, Body: sampleAction()}),
		"bytes-configure": bytesFrame(abi.BytesInput{Body: []byte{0x81, 0xa1, 'k', 0xc3}}),
		"bytes-migrate":   bytesFrame(abi.BytesInput{From: 1, To: 3, Body: []byte{0x80}}),
		"output-ok":       output(abi.Output{Flags: abi.StateChanged, SizeHint: 8}),
		"output-effects":  output(abi.Output{SizeHint: 1 << 40, Body: abi.AppendEffects(nil, sampleEffects())}),
		"output-rejected": output(abi.Output{Status: abi.Rejected, Flags: abi.Clean, Code: []byte("overflow"), Text: []byte("too large")}),
		"output-bad":      output(abi.Output{Status: abi.BadAction, Text: []byte("by: want an integer")}),
		"output-no-slot":  output(abi.Output{Status: abi.NoSuchSlot}),
		"manifest":        sampleManifest().Append(nil),
		"meta":            sampleMeta().Append(nil),
		"meta-empty":      new(abi.Meta).Append(nil),
		"effects":         abi.AppendEffects(nil, sampleEffects()),
	}
}

func sampleAction() []byte {
	b := pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 2), "type"), "increment")
	return pack.AppendInt(pack.AppendString(b, "by"), 3)
}

func sampleMeta() *abi.Meta {
	return &abi.Meta{Store: "default/counter/main", Correlation: "c-1", Causation: "default/counter/main/7", Drive: 2, Principal: "ann"}
}

func sampleManifest() *abi.Manifest {
	return &abi.Manifest{
		Name: "orders", Version: "1.2.0", Schema: 3, Residency: abi.ResidencySlots, Slots: 64,
		Actions:    []abi.Action{{Type: "place", Kind: abi.Command, Doc: "Place an order."}, {Type: "paid", Kind: abi.Internal}},
		Effects:    []abi.EffectGrant{{Kind: abi.KindCall, Targets: []string{"payments.*", "mail"}}, {Kind: abi.KindDelay}},
		Migrations: []abi.Migration{{From: 1, To: 2}, {From: 3, To: 2, Down: true}},
		Limits:     abi.Limits{ActionBytes: 1 << 10, Fuel: 1_000_000},
	}
}

func sampleEffects() []abi.Effect {
	version := int64(4)
	return []abi.Effect{
		{Kind: abi.KindNone},
		{Kind: abi.KindCall, ID: "pay", Target: "payments.charge", OK: "paid", Err: "failed", Retry: "fast", Timeout: 5 * time.Second, Body: []byte{0x81, 0xa1, 'n', 1}},
		{Kind: abi.KindSequential, Children: []abi.Effect{
			{Kind: abi.KindAppend, Target: "orders", Events: [][]byte{{0x80}, {0x81, 0xa1, 'x', 0xc0}}, Expect: &version},
			{Kind: abi.KindParallel, Children: []abi.Effect{
				{Kind: abi.KindPublish, Target: "topic", Body: []byte{0xc0}, Key: "k"},
				{Kind: abi.KindLoad, Target: "orders", From: 9},
				{Kind: abi.KindProject, Target: "list", Body: []byte{0x01}},
			}},
		}},
		{Kind: abi.KindDelay, ID: "later", After: time.Hour, Body: sampleAction()},
		{Kind: abi.KindDispatch, Target: "counter/b", Body: sampleAction()},
		{Kind: abi.KindCancel, ID: "later"},
	}
}

func TestGolden(t *testing.T) {
	all := vectors()
	for name, b := range all {
		path := filepath.Join("testdata", name+".hex")
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(dumpHex(b)), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), dumpHex(b), "%s has changed: old guests and hosts would not understand it", name)
	}
	files, err := filepath.Glob("testdata/*.hex")
	require.NoError(t, err)
	require.Len(t, files, len(all), "a vector without its test")
}

// dumpHex writes 16 bytes a line.
func dumpHex(b []byte) string {
	var text strings.Builder
	for len(b) > 0 {
		n := min(16, len(b))
		text.WriteString(hex.EncodeToString(b[:n]) + "\n")
		b = b[n:]
	}
	return text.String()
}
