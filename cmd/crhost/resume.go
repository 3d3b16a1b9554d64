package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func (c *cli) resume() *cobra.Command {
	var skip bool
	cmd := &cobra.Command{
		Use:     "resume ADDRESS",
		Short:   "Let a halted store go on",
		Example: "crhost resume counter",
		Args:    takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := address(args[0])
			if err != nil {
				return err
			}
			query := url.Values{}
			if skip {
				query.Set("skip", "true")
			}
			if _, err := c.call(cmd.Context(), request{method: http.MethodPost, path: storePath(a, "resume"), query: query}); err != nil {
				return err
			}
			c.did("resumed", a.String())
			return nil
		},
	}
	cmd.Flags().BoolVar(&skip, "skip", false, "what an effect feeds back, and the reducer traps on, becomes a dead letter")
	return cmd
}
