package httpapi

import (
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/crhost/crhost/abi"
)

// Answer is how a code shows.
func Answer(code abi.Code) (status int, close websocket.StatusCode, ok bool) {
	a, ok := answers()[code]
	return a.status, a.close, ok
}

// Known is how many codes there are answers for.
func Known() int { return len(answers()) }

// Refuse is what a request about a store answers that fails with err.
func Refuse(err error) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	a := &api{answers: answers()}
	a.writeProblem(w, a.problem(err, place{tenant: "default", module: "counter", key: "main"}))
	return w
}
