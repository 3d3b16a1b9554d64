package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) dlqRetry() *cobra.Command {
	var tenant string
	var all bool
	var rate float64
	var filter letterFilter
	cmd := &cobra.Command{
		Use:   "retry (ID | --all)",
		Short: "Do the effects of dead letters once more",
		Long: "Do the effect of a dead letter once more, or, with --all, those of all that match, oldest first. Where only what the effect fed back was not taken, that is\n" +
			"fed back once more. If the reducer was told that the effect failed it may have compensated; the effect is done all the same, and this command says so.",
		Example: "crhost dlq retry --all --module orders --rate 10",
		Args: func(cmd *cobra.Command, args []string) error {
			if all {
				return takes()(cmd, args)
			}
			if len(args) == 0 {
				return usage("see which there are: crhost dlq list", "dlq retry needs ID or --all")
			}
			if filter != (letterFilter{}) || rate != 0 {
				return usage("for example: "+cmd.Example, "a filter and --rate go with --all")
			}
			return takes("ID")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !all {
				return c.retryLetter(cmd.Context(), tenant, args[0])
			}
			query := filter.query()
			if rate != 0 {
				query.Set("rate", strconv.FormatFloat(rate, 'g', -1, 64))
			}
			return c.retryLetters(cmd.Context(), request{method: http.MethodPost, path: letterPath(tenant, "retry"), query: query})
		},
	}
	tenantFlag(cmd, &tenant)
	filter.register(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "all that match")
	cmd.Flags().Float64Var(&rate, "rate", 0, "how many a second at most (default: 100)")
	return cmd
}

func (c *cli) retryLetter(ctx context.Context, tenant, id string) error {
	reply, err := c.call(ctx, request{method: http.MethodPost, path: letterPath(tenant, segment(id), "retry")})
	if err != nil {
		return err
	}
	return print(c, reply, func(d httpapi.DeadLetter) {
		c.printf("retried %s  %s of %s\n", d.ID, d.Target, d.Address)
		if note := fed(d); note != "" {
			c.printf("note: %s  The effect is done once more all the same.\n", note)
		}
		if d.Overtaken {
			c.printf("note: %s This one comes behind them.\n", overtaken)
		}
	})
}

// retryLetters retries many, with a progress bar on a terminal.
func (c *cli) retryLetters(ctx context.Context, rq request) error {
	rq.header = http.Header{"Accept": {"text/event-stream"}}
	resp, err := c.open(ctx, rq)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	last, err := c.followRetries(resp.Body)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		if c.output != "json" {
			fmt.Fprintf(c.stderr, "retried %d of %d\n", last.Retried, last.Of)
		}
		return err
	}
	reply, err := json.Marshal(last)
	if err != nil { // numbers only
		panic(err)
	}
	return print(c, reply, func(r httpapi.Retried) {
		c.printf("retried %d\n", r.Retried)
		if r.Fed > 0 {
			c.printf("note: of %d of them the reducer took the action which told it that the effect had failed: it may have compensated.\n  The effects are done once more all the same.\n", r.Fed)
		}
	})
}

// followRetries reads how it goes until it has ended, and returns how far it came.
func (c *cli) followRetries(stream io.Reader) (last httpapi.Retried, err error) {
	bar := c.terminal && c.output != "json"
	if bar {
		defer fmt.Fprint(c.stderr, "\r\033[K")
	}
	err = eachEvent(stream, func(event string, data []byte) error {
		if event == "error" {
			p := new(httpapi.Problem)
			if err := json.Unmarshal(data, p); err != nil {
				return fmt.Errorf("read an event: %w", err)
			}
			return p
		}
		if err := json.Unmarshal(data, &last); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if event == "done" {
			return io.EOF
		}
		if bar {
			fmt.Fprint(c.stderr, "\r\033[K"+progress("dlq retry", last.Retried, last.Of)+fmt.Sprintf(" %d of %d", last.Retried, last.Of))
		}
		return nil
	})
	switch {
	case errors.Is(err, io.EOF):
		return last, nil
	case err != nil:
		return last, err
	}
	return last, &failure{exit: exitUnavailable, detail: "the stream broke", hint: "go on: crhost dlq retry --all"}
}

// actionType is the type of an action.
func actionType(v httpapi.Value) string {
	var a struct{ Type string }
	if b, err := v.MarshalJSON(); err == nil && json.Unmarshal(b, &a) == nil && strings.TrimSpace(a.Type) != "" {
		return a.Type
	}
	return "action"
}
