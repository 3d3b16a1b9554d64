package effects

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/crhost/crhost/abi"
)

// Handler performs leaves of one kind, or calls of one name.
type Handler interface {
	// Do makes one attempt at a leaf. The result is a msgpack map with strings for keys, or nil; it becomes the fields of the action fed back.
	// Any error is a failed attempt, made again later unless it is retry.Permanent; an [*Error] in it gives the action fed back its code and
	// fields. The host may run Do for many requests at once, and for one leaf more than once: at least once is all that it promises, so
	// that what must not happen twice takes r.Key along.
	//
	// ctx ends when the leaf is cancelled, the attempt's timeout passes or the host stops. Do returns soon after; what it then returns is
	// dropped, unless the timeout was the cause.
	Do(ctx context.Context, r *Request) (result []byte, err error)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, r *Request) (result []byte, err error)

// Do calls f.
func (f HandlerFunc) Do(ctx context.Context, r *Request) ([]byte, error) { return f(ctx, r) }

// Request is one attempt at a leaf. It belongs to the handler until Do returns, what it points to is read only.
type Request struct {
	Key         string      // idempotency key, the same in every attempt and drive; see [Key]
	Store       abi.Address // whose effect it is; Store.Tenant owns it
	Correlation string      // correlation id of the action that described it
	Drive       uint64      // which run of the effect: from 1, one more for each redrive
	Attempt     int         // which attempt of the drive, from 1
	Effect      *abi.Effect
	Token       []byte // of the last emission that was committed, in whatever attempt or drive; nil before any

	// Emit feeds one more action back, and returns when it is committed and reduced: with the resume token, in one step. On an error the
	// handler stops and returns it. A handler that gives no tokens emits again in its next attempt what it has emitted already.
	Emit func(ctx context.Context, e Emission) error
}

// Emission is an action that a leaf feeds back before it is done: the seed's Stream is a leaf with many.
type Emission struct {
	Fields []byte // like the result of Do
	Token  []byte // what the next attempt has to know to go on after it; opaque to the host
}

// Safely keeps an attempt of h from ending the host: a panic of Do is a [*PanicError], an exit of its goroutine [ErrExited], and both are
// failed attempts like others. Do runs in a goroutine of its own, which has nothing left to do when the attempt returns.
//
// What no wrapper can catch: a panic in a goroutine that the handler started, a deadlock, running out of memory or stack, a data race on a map.
func Safely(h Handler) Handler { return safe{h} }

type safe struct{ Handler }

type answer struct {
	result []byte
	err    error
}

func (s safe) Do(ctx context.Context, r *Request) ([]byte, error) {
	// The goroutine is there for runtime.Goexit, which cannot be stopped and would otherwise take the caller with it.
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: ErrExited}
		defer func() {
			if v := recover(); v != nil {
				a = answer{err: &PanicError{Text: fmt.Sprint(v), Stack: debug.Stack()}}
			}
			answers <- a
		}()
		a.result, a.err = s.Handler.Do(ctx, r)
	}()
	a := <-answers
	return a.result, a.err
}

// PanicError is a panic of a handler. It is no permanent error, whatever was thrown.
type PanicError struct {
	Text  string // of what was thrown
	Stack []byte // for logs and dead letters; it is not part of Error, which guests get to see
}

func (e *PanicError) Error() string { return "the handler panicked: " + e.Text }
