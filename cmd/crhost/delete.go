package main

import (
	"net/http"

	"github.com/spf13/cobra"
)

func (c *cli) delete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete ADDRESS",
		Short:   "Delete a store, its history included",
		Example: "crhost delete counter/old",
		Args:    takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := address(args[0])
			if err != nil {
				return err
			}
			if _, err := c.call(cmd.Context(), request{method: http.MethodDelete, path: storePath(a)}); err != nil {
				return err
			}
			c.did("deleted", a.String())
			return nil
		},
	}
}
