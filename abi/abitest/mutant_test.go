package abitest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi/abitest"
)

// A mutant is the counter with one fault: the first of each pair of texts is replaced by the second.
type mutant struct {
	name    string
	rule    string // the only one that it may break
	replace []string
}

// Places in the counter that several mutants change.
const (
	afterCheck = `(call $check_frame (local.get $len))`
	beforeFunc = `  (func $slot (param $slot i32)`
	addition   = `(local.set $sum (i64.add (local.get $count) (local.get $by)))`
	resetting  = "(call $skip)\n        (br $done))"
	zeroing    = `(i64.store offset=8 (local.get $slot) (i64.const 0))`
	accepting  = `(i64.store offset=8 (local.get $slot) (local.get $sum))`
	rejecting  = `(then (return (call $answer (global.get $REJECTED) (global.get $CLEAN)`
	evicting   = `(if (call $holds (local.get $slot) (local.get $ticket))`
)

var mutants = []mutant{
	{"a schema number of 0", "manifest", []string{`"\a6schema"    "\01"`, `"\a6schema"    "\00"`}},
	{"another version each time", "manifest", []string{
		`(func (export "cr1_describe") (result i64)`,
		`(func (export "cr1_describe") (result i64)
		   (i32.store8 (i32.const 0x0118) (i32.or (i32.const 0x60) (i32.and (i32.const 15) (i32.add (i32.const 1) (i32.load8_u (i32.const 0x0118))))))`,
	}},
	{"cr1_describe is rejected", "status", []string{`(call $answer (global.get $OK) (i32.const 0) (i32.const 217) (i32.const 0)`, `(call $answer (global.get $REJECTED) (i32.const 0) (i32.const 0) (i32.const 7)`}},
	{"reset traps", "answers", []string{resetting, `unreachable)`}},
	{"reserved header bytes", "output", []string{`(i32.store   offset=28 (i32.const 0x0400) (i32.const 0))`, `(i32.store   offset=28 (i32.const 0x0400) (i32.const 7))`}},
	{"a frame longer than its sections", "output", []string{`(i64.const 0x0000_0400_0000_0020)`, `(i64.const 0x0000_0400_0000_0028)`}},
	{"a frame outside memory", "output", []string{`(i64.const 0x0000_0400_0000_0020)`, `(i64.const 0xffff_ff00_0000_0020)`}},
	{"a frame that is not aligned", "output", []string{
		`(i64.add (i64.const 0x0000_0400_0000_0020)`,
		`(memory.copy (i32.const 0x0604) (i32.const 0x0400) (i32.const 300)) (i64.add (i64.const 0x0000_0604_0000_0020)`,
	}},
	{"an unknown status", "output", []string{`(call $answer (global.get $NO_SUCH_SLOT)`, `(call $answer (i32.const 5)`}},
	{"a code in upper case", "status", []string{`"overflow" "the`, `"OVERFLOW" "the`}},
	{"a rejection without code", "status", []string{`(i32.const 0) (i32.const 8) (i32.const 42)`, `(i32.const 0) (i32.const 0) (i32.const 42)`}},
	{"NO_SUCH_SLOT for a state that was brought", "status", []string{rejecting,
		`(then (if (i32.ne (local.get $mode) (i32.const 2)) (then (return (call $no_such_slot)))) (return (call $answer (global.get $REJECTED) (global.get $CLEAN)`}},
	{"NO_SUCH_SLOT with a body", "status", []string{`(call $answer (global.get $NO_SUCH_SLOT) (i32.const 0) (i32.const 0)`, `(call $answer (global.get $NO_SUCH_SLOT) (i32.const 0) (i32.const 1)`}},
	{"a text without end", "status", []string{`(i32.const 8) (i32.const 42)`, `(i32.const 8) (i32.const 1025)`}},
	{"a code without rejection", "status", []string{`(global.get $CLEAN) (i32.const 0) (i32.const 0) (i32.const 20)`, `(global.get $CLEAN) (i32.const 0) (i32.const 2) (i32.const 18)`}},
	{"reset is never accepted", "coverage", []string{resetting, "(global.set $bad (i32.const 1))\n        (br $done))"}},
	{"an undeclared effect", "effects", []string{
		`(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))

  ;; Traps`, `(i32.const 21) (i32.const 0) (i32.const 0) (i32.const 0x03d0)))
  (data (i32.const 0x03d0) "\91\82\a4kind\a4call\a6target\a1x")
  ;; Traps`,
	}},
	{"effects that are no list", "effects", []string{
		`(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))

  ;; Traps`, `(i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0x0100)))

  ;; Traps`,
	}},
	{"a rejection empties the slot", "held", []string{rejecting,
		`(then (i32.store offset=16 (local.get $slot) (i32.const 0)) (return (call $answer (global.get $REJECTED) (i32.const 0)`}},
	{"an accepted action empties the slot", "held", []string{accepting, accepting + ` (i32.store offset=16 (local.get $slot) (i32.const 0))`}},
	{"reading the state empties the slot", "held", []string{`(local.set $at (i32.const 0x0430))`,
		`(local.set $at (i32.const 0x0430)) (i32.store offset=16 (call $slot (local.get $slot)) (i32.const 0))`}},
	{"a state over its limit", "state", []string{
		`"\87"`, `"\88" "\a6limits" "\81\abstate_bytes\08"`,
		`(i32.const 217)`, `(i32.const 238)`,
	}},
	{"a byte after the state", "state", []string{`(i32.const 16) (i32.const 0) (i32.const 0) (i32.const 0x0420)`, `(i32.const 17) (i32.const 0) (i32.const 0) (i32.const 0x0420)`}},
	{"reading the state changes it", "state", []string{
		`(local.set $count (i64.load offset=8 (call $slot (local.get $slot))))`,
		`(local.set $count (i64.load offset=8 (call $slot (local.get $slot))))
		 (i64.store offset=8 (call $slot (local.get $slot)) (i64.add (local.get $count) (i64.const 1)))`,
	}},
	{"a NaN with a payload", "nan", []string{
		`(i64.const 0xd374_6e75_6f63_a581)`, `(i64.const 0xd374_6e75_6f63_a582)`,
		`(i32.const 16) (i32.const 0) (i32.const 0) (i32.const 0x0420)`, `(i32.const 27) (i32.const 0) (i32.const 0) (i32.const 0x0420)`,
		beforeFunc, `(data (i32.const 0x03d0) "\a1n\cb\7f\f8\00\00\00\00\00\01")` + beforeFunc,
		`(local.set $at (i32.const 0x0430))`, `(local.set $at (i32.const 0x0430)) (memory.copy (i32.const 0x0430) (i32.const 0x03d0) (i32.const 11))`,
	}},
	{"the clock shows in the count", "twin", []string{
		`(memory (export "memory") 1)`, `(import "clock" "now" (func $now (result i64))) (memory (export "memory") 1)`,
		addition, `(local.set $sum (i64.add (call $now) (i64.add (local.get $count) (local.get $by))))`,
	}},
	{"the buffer does not grow", "buffer", []string{`(if (i32.gt_u (local.get $pages) (memory.size))`, `(if (i32.const 0)`}},
	{"the buffer is not aligned", "buffer", []string{`0x2000`, `0x2004`}},
	{"the header has a fixed length", "header", []string{`(i32.add (global.get $input) (i32.load16_u offset=2 (global.get $input)))`, `(i32.const 0x2048)`}},
	{"flags are ignored", "unknown", []string{`(if (i32.load offset=8 (global.get $input)) (then unreachable))`, ``}},
	{"any version will do", "unknown", []string{`(if (i32.ne (i32.load16_u offset=0 (global.get $input)) (i32.const 1)) (then unreachable))`, ``}},
	{"modes are ignored", "unknown", []string{`(if (i32.gt_u (i32.load8_u offset=4 (global.get $input)) (i32.const 2)) (then unreachable))`, ``}},
	{"lengths are ignored", "lengths", []string{"(i64.extend_i32_u (local.get $len)))\n      (then unreachable))", "(i64.extend_i32_u (local.get $len)))\n      (then))"}},
	{"reset takes any bytes", "lengths", []string{resetting, "(global.set $at (global.get $end))\n        (br $done))"}},
	{"FRESH keeps the count", "fresh", []string{zeroing, ``}},
	{"STATE adds to the count", "replace", []string{
		zeroing, `(if (i32.eqz (local.get $mode)) (then ` + zeroing + `))`,
		`(call $field (i64.const 0x74_6e75_6f63)`, `(i64.add (i64.load offset=8 (local.get $slot)) (call $field (i64.const 0x74_6e75_6f63)`,
		`(i32.const 5) (i64.const 0)))`, `(i32.const 5) (i64.const 0))))`,
	}},
	{"nil traps", "bad_action", []string{`(then (call $skip))`, `(then unreachable)`}},
	{"bytes after a state are ignored", "bad_state", []string{"(if (call $failed)\n              (then", "(if (global.get $bad)\n              (then"}},
	{"a bad state traps", "bad_state", []string{"(if (call $failed)\n              (then", "(if (call $failed)\n              (then unreachable"}},
	{"no change is ever told", "hint", []string{`(i64.ne (local.get $sum) (local.get $count))`, `(i32.const 0)`}},
	{"residents count one more", "residency", []string{addition,
		`(local.set $sum (i64.add (i64.extend_i32_u (i32.eq (local.get $mode) (i32.const 2))) (i64.add (local.get $count) (local.get $by))))`}},
	{"residents are rejected with another code", "residency", []string{`(i32.const 8) (i32.const 42)`,
		`(i32.sub (i32.const 8) (i32.eq (local.get $mode) (i32.const 2))) (i32.const 42)`}},
	{"a lying CLEAN", "clean", []string{rejecting, `(then (if (local.get $mode) (then ` + accepting + `)) (return (call $answer (global.get $REJECTED) (global.get $CLEAN)`}},
	{"a lying CLEAN of a first action", "clean", []string{rejecting,
		`(then (if (i32.eqz (local.get $mode)) (then ` + accepting + `)) (return (call $answer (global.get $REJECTED) (global.get $CLEAN)`}},
	{"half of the ticket", "tickets", []string{`(i64.eq (i64.load (local.get $slot)) (local.get $ticket))`, `(i32.eq (i32.load (local.get $slot)) (i32.wrap_i64 (local.get $ticket)))`}},
	{"RESIDENT takes any ticket", "tickets", []string{`(i32.eqz (call $holds (local.get $slot) (i64.load offset=16 (global.get $input))))`,
		`(i32.eqz (i32.load offset=16 (call $slot (local.get $slot))))`}},
	{"NO_SUCH_SLOT changes the count", "tickets", []string{"(i64.load offset=16 (global.get $input))))\n          (then",
		"(i64.load offset=16 (global.get $input))))\n          (then (i64.store offset=8 (call $slot (local.get $slot)) (i64.const 77))"}},
	{"evicting does nothing", "evict", []string{evicting, `(if (i32.const 0)`}},
	{"any ticket evicts", "evict", []string{evicting, `(if (i32.const 1)`}},
	{"evicting empties the next slot", "evict", []string{
		`(then (i32.store offset=16 (call $slot (local.get $slot)) (i32.const 0)))`,
		`(then (i32.store offset=16 (call $slot (local.get $slot)) (i32.const 0)) (i32.store offset=40 (call $slot (local.get $slot)) (i32.const 0)))`,
	}},
	{"a count shows two slots on", "leak", []string{accepting, accepting + ` (i64.store offset=56 (local.get $slot) (local.get $sum))`}},
	{"old instances count one more", "age", []string{
		beforeFunc, `(global $calls (mut i64) (i64.const 0)) ` + beforeFunc,
		afterCheck, afterCheck + ` (global.set $calls (i64.add (global.get $calls) (i64.const 1)))`,
		addition, `(local.set $sum (i64.add (i64.div_u (global.get $calls) (i64.const 6000)) (i64.add (local.get $count) (local.get $by))))`,
	}},
	{"housekeeping counts", "idle", []string{
		beforeFunc, `(func (export "cr1_idle") (param i64) (i64.store (i32.const 0x0808) (i64.add (i64.load (i32.const 0x0808)) (i64.const 1))))` + beforeFunc,
	}},
	{"memory grows", "memory", []string{
		beforeFunc, `(global $calls (mut i32) (i32.const 0)) ` + beforeFunc,
		afterCheck, afterCheck + ` (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
		  (if (i32.eqz (i32.rem_u (global.get $calls) (i32.const 512))) (then (drop (memory.grow (i32.const 1)))))`,
	}},
}

// source is the mutant's text.
func (m mutant) source(t *testing.T) string {
	src := counter
	for n := 0; n < len(m.replace); n += 2 {
		require.True(t, strings.Contains(src, m.replace[n]), "%s: the counter has no %s", m.name, m.replace[n])
		src = strings.ReplaceAll(src, m.replace[n], m.replace[n+1])
	}
	return src
}

// Each rule has a guest that breaks it and nothing else.
func TestRun_mutants(t *testing.T) {
	broken := map[string]bool{}
	for _, m := range mutants {
		broken[m.rule] = true
		t.Run(m.rule+"/"+m.name, func(t *testing.T) {
			report, err := abitest.Run(context.Background(), open(t, m.source(t)), abitest.Config{Rounds: 8000})
			require.NoError(t, err)
			require.Len(t, report.Findings, 1, "%s", report)
			finding := report.Findings[0]
			require.Equal(t, m.rule, finding.Rule, "%s", report)
			if m.rule == "coverage" {
				require.Equal(t, abitest.Warning, finding.Severity)
				require.True(t, report.OK(), "a warning is not a breach")
				return
			}
			require.Equal(t, abitest.Error, finding.Severity)
			require.False(t, report.OK())
			require.NotContains(t, report.Passed, m.rule)
			accounted := len(report.Passed) + len(report.Findings) + len(report.Unproven) + len(report.Inapplicable)
			require.Equal(t, len(abitest.Rules()), accounted, "every rule is in one place: %+v", report)
			t.Log(finding)
		})
	}
	for _, rule := range abitest.Rules() {
		require.True(t, broken[rule.Name], "rule %s has no mutant", rule.Name)
	}
}
