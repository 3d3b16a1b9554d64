package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/crhost/crhost/abi"
)

// contentProblem is the type of every refusal, whatever the client accepts (RFC 9457).
const contentProblem = "application/problem+json"

// Problem is a refusal or failure (RFC 9457).
type Problem struct {
	Title  string `json:"title" doc:"The status in words."`
	Status int    `json:"status" doc:"The HTTP status."`
	Code   string `json:"code" doc:"Why: one code has one meaning, wherever it is shown."`
	Reason string `json:"reason,omitempty" doc:"The reducer's own code (rejected), or the cause of a trap."`
	Detail string `json:"detail,omitempty" doc:"Why, for people."`
	Hint   string `json:"hint,omitempty" doc:"What to do next."`
	Seq    uint64 `json:"seq,omitempty" doc:"The action was accepted all the same, with this number."`
}

// Error is the problem in one line.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Code
	}
	return p.Detail
}

// refusal is abi.Error with what only the door knows.
func refusal(code abi.Code, text string) error { return &abi.Error{Code: code, Text: text} }

// accepted is an error that came after the action was accepted.
type accepted struct {
	seq uint64
	err error
}

func (e *accepted) Error() string { return e.err.Error() }
func (e *accepted) Unwrap() error { return e.err }

// classify finds the code, reason and text of an error.
func classify(err error) (code abi.Code, reason, text string) {
	var known *abi.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known.Code, known.Reason, withCause(known)
	case errors.As(err, &tooLarge):
		return abi.CodeTooLarge, "", "the body has more than " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"
	case errors.Is(err, abi.ErrBadAddress):
		return abi.CodeBadAddress, "", err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return abi.CodeTimeout, "", "it did not come in time"
	case errors.Is(err, context.Canceled):
		return abi.CodeCanceled, "", "the caller went away"
	}
	return abi.CodeInternal, "", err.Error()
}

// withCause is the text of an error, and what caused it when the text does not say.
func withCause(e *abi.Error) string {
	var cause error = e
	for next := e.Err; next != nil; next = errors.Unwrap(next) {
		cause = next
	}
	switch {
	case cause == e || strings.Contains(e.Text, cause.Error()):
		return e.Text
	case e.Text == "":
		return cause.Error()
	}
	return e.Text + ": " + cause.Error()
}

// problem is how an error shows.
func (a *api) problem(err error, at place) *Problem {
	code, reason, text := classify(err)
	status := a.answers[code].status
	p := &Problem{
		Title: http.StatusText(status), Status: status, Code: string(code), Reason: reason, Detail: text,
		Hint: hint(code, at),
	}
	if after := (*accepted)(nil); errors.As(err, &after) {
		p.Seq = after.seq
	}
	return p
}

// writeProblem answers a request with a problem.
func (a *api) writeProblem(w http.ResponseWriter, p *Problem) {
	body, err := json.Marshal(p)
	if err != nil { // strings and numbers only
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", contentProblem)
	if retry := a.answers[abi.Code(p.Code)].retry; retry > 0 {
		h.Set("Retry-After", strconv.Itoa(retry))
	}
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n'))
}
