package engine

import (
	"bytes"
	"context"
	"math/rand/v2"
	"time"
)

// MaxLogBytes is what a guest may write in one call, to fd 1 and 2 and with crhost.log together.
const MaxLogBytes = 64 << 10

// The levels of a guest's log.
const (
	levelInfo  = 1
	levelWarn  = 2
	levelError = 3
)

// environment is what a guest can see of the world during a call, and what it says. It is the context of the call, by which host
// functions find their instance, and is never done: a call ends by itself or out of fuel.
type environment struct {
	instance *Instance

	now       int64    // unix ns of the frame; 0 in calls whose frame has no time
	monotonic int64    // the latest now so far, and never 0, which Go's runtime takes for a broken clock
	seed      [16]byte // of the frame; zero in calls whose frame has none

	source  *rand.ChaCha8 // made from seed when the guest first asks
	seeded  bool          // source was made in this call
	written int           // bytes in this call
	printed []byte        // to fd 1 and 2 in this call
	passed  int           // bytes of printed that went to the log
	level   int           // of printed[passed:]
	onLog   func(level int, text string)
}

var _ context.Context = (*environment)(nil)

type instanceKey struct{}

// Value finds the instance that a host function was called from.
func (e *environment) Value(key any) any {
	if key == (instanceKey{}) {
		return e.instance
	}
	return nil
}

// Deadline, Done and Err are those of a context without an end.
func (e *environment) Deadline() (time.Time, bool) { return time.Time{}, false }
func (e *environment) Done() <-chan struct{}       { return nil }
func (e *environment) Err() error                  { return nil }

// at sets the time and the randomness of the next call.
func (e *environment) at(now int64, seed *[16]byte) {
	e.now, e.seed, e.seeded = now, *seed, false
	if now > e.monotonic {
		e.monotonic = now
	}
}

var noSeed [16]byte

// nowhere is at for calls whose frame has neither time nor seed: both are constants, so that no state depends on when it was encoded.
func (e *environment) nowhere() { e.at(0, &noSeed) }

// random fills b from chacha8rand (C2SP) under the key seed || 16 zero bytes, starting anew in each call.
func (e *environment) random(b []byte) {
	if !e.seeded {
		var key [32]byte
		copy(key[:], e.seed[:])
		if e.source == nil {
			e.source = rand.NewChaCha8(key)
		} else {
			e.source.Seed(key)
		}
		e.seeded = true
	}
	_, _ = e.source.Read(b)
}

// write takes what the guest prints to fd.
func (e *environment) write(fd int, b []byte) {
	e.count(len(b))
	level := levelInfo
	if fd == 2 {
		level = levelWarn
	}
	if level != e.level {
		e.pass()
		e.level = level
	}
	e.printed = append(e.printed, b...)
}

// log takes a line of the guest's log.
func (e *environment) log(level int, b []byte) {
	e.count(len(b) + 1)
	e.pass()
	if e.onLog != nil {
		e.onLog(level, string(b))
	}
}

func (e *environment) count(n int) {
	if e.written += n; e.written > MaxLogBytes {
		panic(&stop{CauseLog, "more than 65536 bytes written"})
	}
}

// pass hands what was printed to the log, line by line.
func (e *environment) pass() {
	if e.onLog != nil {
		for line := range bytes.Lines(e.printed[e.passed:]) {
			e.onLog(e.level, string(bytes.TrimRight(line, "\r\n")))
		}
	}
	e.passed = len(e.printed)
}

// quiet reports whether the guest wrote nothing in this call.
func (e *environment) quiet() bool { return e.written == 0 }

// flush ends the output of a call.
func (e *environment) flush() {
	e.pass()
	e.written, e.printed, e.passed = 0, e.printed[:0], 0
}
