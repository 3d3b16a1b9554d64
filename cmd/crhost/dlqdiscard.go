package main

import (
	"net/http"

	"github.com/spf13/cobra"
)

func (c *cli) dlqDiscard() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     "discard ID",
		Short:   "Forget a dead letter",
		Example: "crhost dlq discard ID",
		Args:    takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := c.call(cmd.Context(), request{method: http.MethodDelete, path: letterPath(tenant, segment(args[0]))}); err != nil {
				return err
			}
			c.did("discarded", args[0])
			return nil
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}
