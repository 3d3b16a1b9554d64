package effects

import (
	"context"
	"errors"

	"github.com/crhost/crhost/abi"
)

// Codes of failures that name none, as they are fed back.
const (
	CodeFailed  = "failed"  // nothing more is known than the message
	CodeTimeout = "timeout" // an attempt took longer than it may; what it did may have been done
	CodePanic   = "panic"   // the handler panicked
	CodeResult  = "bad_result"
)

// ErrExited says that a handler ended its goroutine instead of returning.
var ErrExited = errors.New("the handler ended its goroutine")

// ErrTooLarge is in errors about feedback that would be over its bound.
var ErrTooLarge = errors.New("feedback too large")

// Error is a failure of a leaf that says more than a text does: what is in it is fed back.
type Error struct {
	Code    string // [a-z0-9_.]{1,64}; anything else is fed back as CodeFailed
	Message string // for people; empty stands for the text of Err
	Fields  []byte // a msgpack map with strings for keys, or nil: what a reducer can go by, such as have and want of a version conflict
	Err     error  // what caused it, may be nil
}

func (e *Error) Error() string {
	switch {
	case e.Message == "" && e.Err != nil:
		return e.Code + ": " + e.Err.Error()
	case e.Message == "":
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// describe is what is fed back of an error.
func describe(err error) (code, message string, fields []byte) {
	var e *Error
	var a *abi.Error
	var p *PanicError
	switch {
	case errors.As(err, &e):
		code, message, fields = e.Code, e.Message, e.Fields
		if message == "" && e.Err != nil {
			message = e.Err.Error()
		}
	case errors.As(err, &a):
		code, message = string(a.Code), a.Text
	case errors.As(err, &p):
		code, message = CodePanic, p.Error()
	case errors.Is(err, context.DeadlineExceeded):
		code, message = CodeTimeout, err.Error()
	default:
		code, message = CodeFailed, err.Error()
	}
	if !abi.ValidCode([]byte(code)) {
		code = CodeFailed
	}
	return code, message, fields
}
