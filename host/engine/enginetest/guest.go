package enginetest

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/internal/wat"
	"github.com/stretchr/testify/require"
)

//go:embed prelude.wat
var prelude string

//go:embed stateless.wat
var stateless string

//go:embed counter.wat
var counter string

//go:embed doer.wat
var doer string

// manifestAt is where the prelude's guests keep the frame of their manifest.
const manifestAt = 1024

// Manifest is what the guests of Guest and Counter describe: commands increment, decrement and reset, 1,024 slots.
func Manifest() *abi.Manifest {
	return &abi.Manifest{
		Name: "guest", Version: "1.0.0", Schema: 1,
		Actions: []abi.Action{
			{Type: "increment", Kind: abi.Command, Doc: "Adds by, or 1."},
			{Type: "decrement", Kind: abi.Command, Doc: "Subtracts by, or 1."},
			{Type: "reset", Kind: abi.Command, Doc: "Goes back to 0."},
		},
		Residency: abi.ResidencySlots, Slots: 1024,
	}
}

// Guest makes a guest of module fields in WebAssembly text. They must define and export cr1_reduce; memory, cr1_buffer and cr1_describe
// are added, with a function $answer (status, flags, body length) that completes the output frame whose body is at 96. So are a
// cr1_state and a cr1_evict that know no slot, unless the fields export cr1_state. The input frame is at 65536.
func Guest(tb testing.TB, fields string) []byte {
	tb.Helper()
	return GuestWith(tb, Manifest(), fields)
}

// GuestWith is Guest with another manifest, which may be an invalid one.
func GuestWith(tb testing.TB, m *abi.Manifest, fields string) []byte {
	tb.Helper()
	return Wat(tb, module(m, fields))
}

// module is the text of a guest.
func module(m *abi.Manifest, fields string) string {
	out := abi.Output{Body: m.Append(nil)}
	frame := out.Append(nil)
	var b strings.Builder
	b.WriteString("(module\n")
	b.WriteString(fields) // first, as imports come before everything else
	b.WriteString(prelude)
	if !strings.Contains(fields, `"cr1_state"`) {
		b.WriteString(stateless)
	}
	fmt.Fprintf(&b, "  (func (export \"cr1_describe\") (result i64) (i64.const %d))\n", abi.Span(manifestAt, uint32(len(frame))))
	fmt.Fprintf(&b, "  (data (i32.const %d) \"", manifestAt)
	for _, c := range frame {
		fmt.Fprintf(&b, `\%02x`, c)
	}
	b.WriteString("\"))\n")
	return b.String()
}

// Counter is a conforming counter in a few hundred bytes: state {count: int}, the actions of Manifest, rejection "overflow".
func Counter(tb testing.TB) []byte {
	tb.Helper()
	return Guest(tb, counter)
}

// CounterModule is Counter for an example, which has no testing.TB.
func CounterModule() ([]byte, error) { return wat.Compile(module(Manifest(), counter)) }

// CounterWith is Counter with another manifest, which must have its actions first.
func CounterWith(tb testing.TB, m *abi.Manifest) []byte {
	tb.Helper()
	return GuestWith(tb, m, counter)
}

// Action encodes {type: typ}, or {type: typ, by: by}.
func Action(typ string, by ...int64) []byte {
	b := pack.AppendMapLen(nil, 1+len(by))
	b = pack.AppendString(pack.AppendString(b, "type"), typ)
	for _, n := range by {
		b = pack.AppendInt(pack.AppendString(b, "by"), n)
	}
	return b
}

const reduceHeader = `(func (export "cr1_reduce") (param $len i32) (result i64)`

// Attacker is Counter with one action more, attack, which the cr1_reduce of src answers: one guest that is good and bad. In src $counter is what
// the counter's cr1_reduce is.
func Attacker(tb testing.TB, src string) []byte {
	tb.Helper()
	m := Manifest()
	m.Actions = append(m.Actions, abi.Action{Type: "attack", Kind: abi.Command})
	require.Contains(tb, src, reduceHeader)
	return GuestWith(tb, m, strings.Replace(src, reduceHeader, `(func $attack (param $len i32) (result i64)`, 1)+
		strings.Replace(counter, reduceHeader, `(func $counter (param $len i32) (result i64)`, 1)+
		reduceHeader+`
    (if (result i64) (i32.eq (i32.load16_u offset=6 (i32.const 65536)) (i32.const 3))
      (then (call $attack (local.get $len)))
      (else (call $counter (local.get $len)))))`)
}

// Doer is Counter with effects: a guest that asks for whatever its command do says, {"type":"do","effects":[...]}, the fields in this order. Of what is fed
// back, done counts up, failed down, and trap traps. Its manifest declares the effects that are given.
func Doer(tb testing.TB, effects ...abi.EffectGrant) []byte {
	tb.Helper()
	m := Manifest()
	m.Effects = effects
	m.Actions = append(m.Actions,
		abi.Action{Type: "do", Kind: abi.Command, Doc: "Asks for the effects."},
		abi.Action{Type: "done", Kind: abi.Internal, Doc: "Adds 1."},
		abi.Action{Type: "failed", Kind: abi.Internal, Doc: "Subtracts 1."},
		abi.Action{Type: "trap", Kind: abi.Internal, Doc: "Traps."},
	)
	return GuestWith(tb, m, strings.Replace(counter, reduceHeader, `(func $counter (param $len i32) (result i64)`, 1)+doer)
}
