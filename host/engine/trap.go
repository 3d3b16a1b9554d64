package engine

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Cause is why an instance was poisoned.
type Cause string

// The causes.
const (
	CauseTrap   Cause = "trap"   // a WebAssembly trap: unreachable, a division by zero, an access outside memory, ...
	CauseFuel   Cause = "fuel"   // the fuel of the call ran out
	CauseDepth  Cause = "depth"  // calls nested too deep
	CauseExit   Cause = "exit"   // the guest ended itself (proc_exit): how a panic of Go or Rust looks from outside
	CauseSleep  Cause = "sleep"  // the guest wanted to wait (poll_oneoff)
	CauseOutput Cause = "output" // what the guest answered is not an output frame, or over a limit
	CauseLog    Cause = "log"    // more than MaxLogBytes written in one call
)

// Causes lists every cause.
func Causes() []Cause {
	return []Cause{CauseTrap, CauseFuel, CauseDepth, CauseExit, CauseSleep, CauseOutput, CauseLog}
}

// maxOutputBytes of what the guest wrote before it trapped are kept.
const maxOutputBytes = 4 << 10

// A Trap ended a call and poisoned its instance: nothing that the guest held can be relied on, and the instance takes no further call.
// It says nothing about other instances of the module.
type Trap struct {
	Call      string // the export that was called
	Cause     Cause
	What      string // what happened, without the call and the function
	Func      string // the innermost function of the guest, passing over Go's runtime: a name, made printable, or $N for the function with index N; may be empty
	LastWords string // the line of the guest's output in this call that says why, made printable; may be empty
	Output    string // the last 4 KiB that the guest wrote to fd 1 and 2 in this call: any bytes at all
	Fuel      int64  // used by the call, up to the last point where the guest wrote its counter down
	Err       error  // of the WebAssembly engine, nil when the call itself returned
}

func (t *Trap) Error() string {
	s := t.Call + ": " + t.What
	if t.Func != "" {
		s += " in " + t.Func
	}
	if t.LastWords != "" {
		s += ": " + t.LastWords
	}
	return s
}

// Unwrap returns the error of the WebAssembly engine.
func (t *Trap) Unwrap() error { return t.Err }

// lastWords picks the line of a guest's output that says why it ended.
func lastWords(output []byte) string {
	var last string
	for line := range strings.Lines(string(output)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.Contains(line, "panicked at") {
			last = line
			break
		}
		if line != "" {
			last = line
		}
	}
	const most = 256
	if len(last) > most {
		last = last[:most] + "..."
	}
	return printable(last)
}

// printable is text of a guest's with control characters escaped and broken UTF-8 replaced: neither must reach a terminal.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// stop is what a host function panics with to end the call that it is in.
type stop struct {
	cause Cause
	what  string
}

func (s *stop) Error() string { return s.what }

// explain says why a call ended in err. The counters come first: when one of them is below zero, the trap is the meter's own, whatever
// instruction it used.
func (i *Instance) explain(call string, err error) *Trap {
	said := i.env.printed
	t := &Trap{
		Call: call, Cause: CauseTrap, Fuel: i.used, Err: err, Func: printable(innermost(err)),
		LastWords: lastWords(said), Output: string(said[max(0, len(said)-maxOutputBytes):]),
	}
	var s *stop
	switch {
	case int64(i.fuel.Get()) < 0:
		t.Cause, t.What = CauseFuel, fmt.Sprintf("out of fuel, the limit is %d", i.limit)
	case int64(i.depth.Get()) < 0:
		t.Cause, t.What = CauseDepth, fmt.Sprintf("calls nested too deep, the limit is %d units", i.code.depth)
	case errors.As(err, &s):
		t.Cause, t.What = s.cause, s.what
	default:
		t.What = wasmError(err)
	}
	return t
}

// The engine's errors read "wasm error: WHAT\nwasm stack trace:\n\tmodule.name(params) results\n\t...".
const stackHeader = "\nwasm stack trace:\n\t"

func wasmError(err error) string {
	what, _, _ := strings.Cut(err.Error(), stackHeader)
	return strings.TrimPrefix(what, "wasm error: ")
}

// innermost finds the innermost guest function in the stack trace of err. Host functions come first in it, under the names of their
// modules, then, when Go panicked, its runtime.
func innermost(err error) string {
	var first string
	_, stack, _ := strings.Cut(err.Error(), stackHeader)
	for line := range strings.Lines(stack) {
		line = strings.TrimSpace(line)
		open := strings.LastIndexByte(line, '(') // results follow the parameters: name(i32) (i32,i32)
		if before, after, ok := strings.Cut(line, ") ("); ok && strings.HasSuffix(after, ")") {
			open = strings.LastIndexByte(before, '(')
		}
		if open <= 0 {
			break
		}
		module, name, dotted := strings.Cut(line[:open], ".")
		if module == hostModule || module == wasiModule {
			continue
		}
		if !dotted {
			name = module
		}
		if name = strings.TrimPrefix(name, "."); !strings.HasPrefix(name, "runtime.") && !strings.HasPrefix(name, "wasm_pc_f_loop") {
			return name
		}
		if first == "" {
			first = name
		}
	}
	return first
}
