package sdk

import (
	"errors"
	"unicode/utf8"

	"github.com/crhost/crhost/abi"
)

// Unchanged is returned as a reducer's error to accept the action (its effects included) and say that the state is exactly as before.
// It spares readers of the state a fetch. It is a promise: sdktest fails a reducer that breaks it.
//
//lint:ignore ST1012 it is a result and not a failure, and reads as one: return nil, sdk.Unchanged
var Unchanged = errors.New("unchanged")

// Rejection is a business "no": the action is refused, the state stays as it was, no effect is performed.
type Rejection struct {
	Code    string // for programs: [a-z0-9_.]{1,64}
	Message string // for people, at most 1 KiB of it is kept
}

func (r *Rejection) Error() string { return r.Code + ": " + r.Message }

// Reject refuses the action. A reducer may also return any other error: it rejects with the code "rejected" and the error's text.
// It panics when code is not 1 to 64 of a-z, 0-9, _ and . (a mistake in the program, not in the action).
func Reject(code, message string) error {
	if !abi.ValidCode([]byte(code)) {
		panic("sdk: Reject: the code \"" + code + "\" is not 1 to 64 of a-z, 0-9, _ and .")
	}
	return &Rejection{Code: code, Message: message}
}

// rejection finds the code and text of a reducer's error.
func rejection(err error) (code, text string) {
	var r *Rejection
	if errors.As(err, &r) {
		return r.Code, r.Message
	}
	return string(abi.CodeRejected), err.Error()
}

// clip cuts text to what an answer may carry, at a rune boundary.
func clip(text string) string {
	if len(text) <= abi.MaxTextBytes {
		return text
	}
	n := abi.MaxTextBytes
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
