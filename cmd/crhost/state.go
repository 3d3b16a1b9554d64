package main

import (
	"net/url"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) state() *cobra.Command {
	var stale bool
	cmd := &cobra.Command{
		Use:     "state ADDRESS",
		Short:   "Show a store's state",
		Example: "crhost state counter",
		Args:    takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := address(args[0])
			if err != nil {
				return err
			}
			query := url.Values{}
			if stale {
				query.Set("stale", "true")
			}
			reply, err := c.get(cmd.Context(), storePath(a, "state"), query)
			if err != nil {
				return err
			}
			return print(c, reply, func(s httpapi.State) { c.printf("%d  %s  %s\n", s.Seq, s.Revision, text(s.State)) })
		},
	}
	cmd.Flags().BoolVar(&stale, "stale", false, "do not wait for what is being written")
	return cmd
}
