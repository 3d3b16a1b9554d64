package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/httpapi"
)

func TestAnswers_total(t *testing.T) {
	seen := map[websocket.StatusCode]abi.Code{}
	for _, code := range abi.Codes() {
		status, closing, ok := httpapi.Answer(code)
		require.True(t, ok, code)
		require.True(t, status >= 400 && status < 600, "%s has status %d", code, status)
		require.True(t, closing >= 3000 && closing < 4000, "%s has close code %d", code, closing)
		require.Empty(t, seen[closing], "close code %d", closing)
		seen[closing] = code
	}
	require.Equal(t, len(abi.Codes()), httpapi.Known())
}

// What the design promises by name.
func TestAnswers_promised(t *testing.T) {
	for code, want := range map[abi.Code]int{
		abi.CodeRejected: 409, abi.CodeBadAction: 422, abi.CodeUnknownAction: 422, abi.CodeInternalAction: 422, abi.CodeUndeclaredEffect: 422,
		abi.CodeInvalidEffect: 422, abi.CodeTrapped: 422, abi.CodeMalformed: 400, abi.CodeUnsupportedMediaType: 415, abi.CodeHalted: 503,
		abi.CodeDiverged: 503, abi.CodeTrapping: 503, abi.CodeOverloaded: 429, abi.CodeBusy: 409, abi.CodeNotFound: 404,
	} {
		status, _, _ := httpapi.Answer(code)
		require.Equal(t, want, status, code)
	}
}

// Each code is a problem with its status, its words and a hint; 429 and 503 say when to come back.
func TestProblem_everyCode(t *testing.T) {
	for _, code := range abi.Codes() {
		t.Run(string(code), func(t *testing.T) {
			w := httpapi.Refuse(fmt.Errorf("send: %w", &abi.Error{Code: code, Reason: "why", Text: "because"}))
			status, _, _ := httpapi.Answer(code)
			require.Equal(t, status, w.Code)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			var p httpapi.Problem
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
			require.Equal(t, string(code), p.Code)
			require.Equal(t, "why", p.Reason)
			require.Equal(t, "because", p.Detail)
			require.Equal(t, status, p.Status)
			later := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == http.StatusInsufficientStorage
			require.Equal(t, later, w.Header().Get("Retry-After") != "")
		})
	}
}

func TestProblem_otherErrors(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code abi.Code
	}{
		{fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 3}), abi.CodeTooLarge},
		{abi.ValidateKey(""), abi.CodeBadAddress},
		{context.DeadlineExceeded, abi.CodeTimeout},
		{context.Canceled, abi.CodeCanceled},
		{io.ErrUnexpectedEOF, abi.CodeInternal},
		{errors.New("a fault"), abi.CodeInternal},
		{&abi.Error{Code: abi.CodeHalted, Err: errors.New("the cause")}, abi.CodeHalted},
	} {
		var p httpapi.Problem
		require.NoError(t, json.Unmarshal(httpapi.Refuse(tc.err).Body.Bytes(), &p))
		require.Equal(t, string(tc.code), p.Code)
		require.NotEmpty(t, p.Detail)
	}
}
