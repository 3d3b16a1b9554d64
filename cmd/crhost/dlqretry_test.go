package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/httpapi"
)

const retryingTwo = ": retrying\n\nevent: progress\ndata: {\"retried\":1,\"fed\":0,\"of\":2}\n\nevent: progress\ndata: {\"retried\":2,\"fed\":1,\"of\":2}\n\n"

// How it goes is drawn on a terminal, and nowhere else; the line is wiped in the end.
func TestFollowRetries_bar(t *testing.T) {
	var errs strings.Builder
	c := &cli{process: process{stderr: &errs, terminal: true}, output: "text"}
	last, err := c.followRetries(strings.NewReader(retryingTwo + "event: done\ndata: {\"retried\":2,\"fed\":1,\"of\":2}\n\n"))
	require.NoError(t, err)
	require.Equal(t, httpapi.Retried{Retried: 2, Fed: 1, Of: 2}, last)
	require.Equal(t, "\r\033[Kdlq retry  [###############---------------] 1 of 2"+
		"\r\033[Kdlq retry  [##############################] 2 of 2\r\033[K", errs.String())

	for _, quiet := range []*cli{{process: process{stderr: &errs}, output: "text"}, {process: process{stderr: &errs, terminal: true}, output: "json"}} {
		errs.Reset()
		_, err = quiet.followRetries(strings.NewReader(retryingTwo + "event: done\ndata: {\"retried\":2,\"fed\":1,\"of\":2}\n\n"))
		require.NoError(t, err)
		require.Empty(t, errs.String())
	}
}

// What ends it early says so, with how far it came.
func TestFollowRetries_end(t *testing.T) {
	c := &cli{output: "text"}
	last, err := c.followRetries(strings.NewReader(retryingTwo))
	require.Equal(t, 2, last.Retried)
	require.Equal(t, shown{Exit: exitUnavailable, Detail: "the stream broke", Hint: "go on: crhost dlq retry --all"}, show(err))

	last, err = c.followRetries(strings.NewReader(retryingTwo + "event: error\ndata: {\"code\":\"halted\",\"detail\":\"it is\",\"hint\":\"resume it\"}\n\n"))
	require.Equal(t, 2, last.Retried)
	require.Equal(t, shown{Exit: exitUnavailable, Code: "halted", Detail: "it is", Hint: "resume it"}, show(err))
}
