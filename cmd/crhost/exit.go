package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/httpapi"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4 // rejected, or in conflict with something
	exitUnavailable = 5 // unavailable or overloaded: try again
	exitGate        = 6 // a deploy was refused; what was active still is
	exitNotAllowed  = 7
)

// exits gives every code its exit code; a test checks that it is total.
func exits() map[abi.Code]int {
	return map[abi.Code]int{
		abi.CodeRejected:       exitConflict,
		abi.CodeBadAction:      exitConflict,
		abi.CodeMalformed:      exitUsage,
		abi.CodeTooLarge:       exitConflict,
		abi.CodeUnknownAction:  exitConflict,
		abi.CodeInternalAction: exitConflict,
		abi.CodeBadAddress:     exitUsage,
		abi.CodeBadRequest:     exitUsage,

		abi.CodeIdempotencyMismatch: exitConflict,

		abi.CodeTrapped:          exitFailed,
		abi.CodeInvalidEffect:    exitFailed,
		abi.CodeUndeclaredEffect: exitNotAllowed,
		abi.CodeCascade:          exitFailed,

		abi.CodeNotFound:        exitNotFound,
		abi.CodeHalted:          exitUnavailable,
		abi.CodeDiverged:        exitUnavailable,
		abi.CodeStateUnreadable: exitUnavailable,
		abi.CodeTrapping:        exitUnavailable,
		abi.CodeOverloaded:      exitUnavailable,
		abi.CodeNever:           exitFailed,
		abi.CodeTimeout:         exitFailed,

		abi.CodeShuttingDown:   exitUnavailable,
		abi.CodeBatchFailed:    exitUnavailable,
		abi.CodeStorageFull:    exitUnavailable,
		abi.CodeUnknownOutcome: exitFailed,
		abi.CodeInternal:       exitFailed,
		abi.CodeCanceled:       exitFailed,

		abi.CodeBadModule:     exitGate,
		abi.CodeSchemaChanged: exitGate,
		abi.CodeBusy:          exitConflict,

		abi.CodeForeignOrigin:        exitNotAllowed,
		abi.CodeUnsupportedMediaType: exitUsage,
		abi.CodeMethodNotAllowed:     exitUsage,
	}
}

// failure is what went wrong on this side of the connection.
type failure struct {
	exit   int
	detail string
	hint   string // what to do next
}

func (e *failure) Error() string { return e.detail }

func usage(hint, format string, args ...any) error {
	return &failure{exit: exitUsage, detail: fmt.Sprintf(format, args...), hint: hint}
}

// shown is an error as it is printed.
type shown struct {
	Exit   int    `json:"exit"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
	Seq    uint64 `json:"seq,omitempty"`
}

// show finds the exit code and the words of an error.
func show(err error) shown {
	var problem *httpapi.Problem
	var local *failure
	var code *abi.Error
	switch {
	case errors.As(err, &problem):
		exit, known := exits()[abi.Code(problem.Code)]
		if !known { // of a newer host
			exit = exitFailed
		}
		return shown{Exit: exit, Code: problem.Code, Reason: problem.Reason, Detail: problem.Detail, Hint: problem.Hint, Seq: problem.Seq}
	case errors.As(err, &local):
		return shown{Exit: local.exit, Detail: err.Error(), Hint: local.hint}
	case errors.As(err, &code):
		detail := code.Text
		if code.Err != nil && (code.Code == abi.CodeInternal || code.Code == abi.CodeUnknownOutcome) { // the place and the reason are in there
			detail += ": " + code.Err.Error()
		}
		return shown{Exit: exits()[code.Code], Code: string(code.Code), Reason: code.Reason, Detail: detail}
	case errors.Is(err, context.Canceled):
		return shown{Exit: exitFailed, Detail: "interrupted"}
	}
	return shown{Exit: exitFailed, Detail: err.Error()}
}

// fail prints an error and returns its exit code.
func (c *cli) fail(err error) int {
	s := show(err)
	if c.output == "json" {
		b, err := json.Marshal(s)
		if err != nil { // strings and numbers only
			panic(err)
		}
		fmt.Fprintf(c.stderr, "%s\n", b)
		return s.Exit
	}
	var words []string
	for _, w := range []string{s.Code, s.Reason, s.Detail} {
		if w != "" {
			words = append(words, w)
		}
	}
	fmt.Fprintf(c.stderr, "crhost: %s\n", strings.Join(words, ": "))
	if s.Seq != 0 {
		fmt.Fprintf(c.stderr, "  the action was accepted all the same, as %d\n", s.Seq)
	}
	if s.Hint != "" {
		fmt.Fprintf(c.stderr, "  hint: %s\n", s.Hint)
	}
	return s.Exit
}
