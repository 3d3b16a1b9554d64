package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

// maxEvent bounds one line of an event stream: the largest action, in JSON.
const maxEvent = 64 << 20

func (c *cli) watch() *cobra.Command {
	var from, count uint64
	cmd := &cobra.Command{
		Use:     "watch ADDRESS",
		Short:   "Follow a store's actions until interrupted",
		Example: "crhost watch counter --from 1",
		Args:    takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := address(args[0])
			if err != nil {
				return err
			}
			query := url.Values{}
			if from != 0 {
				query.Set("from", strconv.FormatUint(from, 10))
			}
			ctx := cmd.Context()
			resp, err := c.open(ctx, request{
				method: http.MethodGet, path: storePath(a, "subscribe"), query: query,
				header: http.Header{"Accept": {"text/event-stream"}},
			})
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			return c.follow(ctx, resp.Body, args[0], from, count)
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "the first action wanted (default: from now on)")
	cmd.Flags().Uint64Var(&count, "count", 0, "end after this many actions (default: never)")
	return cmd
}

// follow prints what a stream brings, from action next on, until it breaks, is interrupted, or has brought count actions (0 = no matter).
func (c *cli) follow(ctx context.Context, stream io.Reader, name string, next, count uint64) error {
	seen := uint64(0)
	goOn := func() string {
		if next == 0 {
			return "go on: crhost watch " + name
		}
		return "go on: crhost watch " + name + " --from " + strconv.FormatUint(next, 10)
	}
	err := eachEvent(stream, func(_ string, data []byte) error {
		var f httpapi.Frame
		if err := json.Unmarshal(data, &f); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if f.Type == "error" {
			end := &httpapi.Problem{Code: f.Code, Reason: f.Reason, Detail: f.Message, Hint: f.Hint}
			if show(end).Exit == exitUnavailable {
				end.Hint = goOn()
			}
			return end
		}
		if c.output == "json" {
			c.printf("%s\n", data)
		} else {
			c.frame(f)
		}
		if f.Type == "event" {
			seen++
			next = f.Seq + 1
			if seen == count {
				return io.EOF
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, io.EOF) || ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	return &failure{exit: exitUnavailable, detail: "the stream broke", hint: goOn()}
}

// frame prints one event.
func (c *cli) frame(f httpapi.Frame) {
	switch f.Type {
	case "event":
		c.printf("%d  %s\n", f.Seq, text(f.Action))
	case "gap":
		c.printf("-- missed %d to %d\n", f.From, f.To)
	case "version":
		c.printf("-- from here on %s\n", f.Revision)
	}
}

// eachEvent calls use with the name and data of each event of a stream, until the stream ends or use returns an error, which is then returned. The
// host puts the data of an event on one line, after its name.
func eachEvent(stream io.Reader, use func(event string, data []byte) error) error {
	event := ""
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		if name, ok := bytes.CutPrefix(lines.Bytes(), []byte("event: ")); ok {
			event = string(name)
		}
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok {
			if err := use(event, data); err != nil {
				return err
			}
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("read an event: more than %d bytes", maxEvent)
	}
	return nil
}
