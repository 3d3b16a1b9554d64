package main

import (
	"net/http"

	"github.com/spf13/cobra"
)

func (c *cli) resume() *cobra.Command {
	return &cobra.Command{
		Use:     "resume ADDRESS",
		Short:   "Let a halted store go on",
		Example: "crhost resume counter",
		Args:    takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := address(args[0])
			if err != nil {
				return err
			}
			if _, err := c.call(cmd.Context(), request{method: http.MethodPost, path: storePath(a, "resume")}); err != nil {
				return err
			}
			c.did("resumed", a.String())
			return nil
		},
	}
}
