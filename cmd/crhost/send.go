package main

import (
	"bytes"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

func (c *cli) send() *cobra.Command {
	var waitFor, key string
	var wide bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:     "send ADDRESS JSON",
		Short:   "Send an action to a store",
		Example: `crhost send counter '{"type":"increment","by":3}'`,
		Args:    takes("ADDRESS", "JSON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := address(args[0])
			if err != nil {
				return err
			}
			action := []byte(args[1])
			if _, err := jsonpack.ToMsgpack(nil, action); err != nil {
				return usage("for example: "+cmd.Example, "the action is not JSON: %s", err)
			}
			query := url.Values{}
			if waitFor != "" {
				query.Set("wait_for", waitFor)
			}
			if wide {
				query.Set("any", "true")
			}
			if timeout != 0 {
				query.Set("timeout", timeout.String())
			}
			header := http.Header{}
			if key != "" {
				header.Set("Idempotency-Key", key)
			}
			reply, err := c.call(cmd.Context(), request{
				method: http.MethodPost, path: storePath(a, "actions"), query: query, header: header, content: "application/json", body: bytes.NewReader(action),
			})
			if err != nil {
				return err
			}
			return print(c, reply, func(r httpapi.Receipt) {
				replayed := ""
				if r.Replayed {
					replayed = "  replayed"
				}
				c.printf("%d  %s%s\n", r.Seq, r.Revision, replayed)
				if r.Matched != nil {
					c.action(*r.Matched)
				}
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&key, "idempotency-key", "", "make it happen once: with a key that the store knows, the earlier receipt is shown")
	flags.StringVar(&waitFor, "wait-for", "", "answer with the first action of this type that this one causes, itself included")
	flags.BoolVar(&wide, "any", false, "with --wait-for: whatever caused it")
	flags.DurationVar(&timeout, "timeout", 0, "how long the answer may take (default: 30s with --wait-for)")
	return cmd
}

// action prints one action on a line.
func (c *cli) action(a httpapi.Action) {
	c.printf("%d  %s  %s\n", a.Seq, a.Time.Local().Format("2006-01-02 15:04:05.000"), text(a.Action))
}

// text is a value as JSON, for people.
func text(v httpapi.Value) string {
	b, err := v.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(b)
}
