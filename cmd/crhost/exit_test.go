package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/httpapi"
)

func TestExits_total(t *testing.T) {
	table := exits()
	for _, code := range abi.Codes() {
		exit, ok := table[code]
		require.True(t, ok, code)
		require.True(t, exit >= exitFailed && exit <= exitNotAllowed, "%s exits with %d", code, exit)
	}
	require.Len(t, table, len(abi.Codes()))
}

func TestShow(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want shown
	}{
		{&httpapi.Problem{Code: "not_found", Detail: "gone", Hint: "look"}, shown{Exit: 3, Code: "not_found", Detail: "gone", Hint: "look"}},
		{fmt.Errorf("send: %w", &httpapi.Problem{Code: "rejected", Reason: "overflow", Seq: 0}), shown{Exit: 4, Code: "rejected", Reason: "overflow"}},
		{&httpapi.Problem{Code: "of_a_newer_host", Detail: "?"}, shown{Exit: 1, Code: "of_a_newer_host", Detail: "?"}},
		{usage("do this", "not %d", 3), shown{Exit: 2, Detail: "not 3", Hint: "do this"}},
		{&abi.Error{Code: abi.CodeSchemaChanged, Text: "2, not 1"}, shown{Exit: 6, Code: "schema_changed", Detail: "2, not 1"}},
		{fmt.Errorf("wait: %w", context.Canceled), shown{Exit: 1, Detail: "interrupted"}},
		{errors.New("a fault"), shown{Exit: 1, Detail: "a fault"}},
	} {
		require.Equal(t, tc.want, show(tc.err))
	}
}

func TestFail(t *testing.T) {
	var out bytes.Buffer
	c := &cli{process: process{stderr: &out}, output: "text"}
	require.Equal(t, 1, c.fail(&httpapi.Problem{Code: "timeout", Detail: "too late", Hint: "look", Seq: 7}))
	require.Equal(t, "crhost: timeout: too late\n  the action was accepted all the same, as 7\n  hint: look\n", out.String())
	out.Reset()
	c.output = "json"
	require.Equal(t, 1, c.fail(&httpapi.Problem{Code: "timeout", Detail: "too late", Seq: 7}))
	require.JSONEq(t, `{"exit":1,"code":"timeout","detail":"too late","seq":7}`, out.String())
}

// S14: what ended the journal is said, also when that was while the host shut down.
func TestShow_S14(t *testing.T) {
	why := errors.New("pebble journal: write 000004.log: no space left on device")
	err := errors.Join(nil, &abi.Error{Code: abi.CodeUnknownOutcome, Text: "the journal failed: whether the action was kept is unknown", Err: why}, why)
	require.Contains(t, show(err).Detail, "no space left")
}
