package main

import (
	"net/http"

	"github.com/spf13/cobra"
)

func (c *cli) unload() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     "unload MODULE",
		Short:   "Take a module out of service; its stores are kept",
		Example: "crhost unload counter",
		Args:    takes("MODULE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := c.call(cmd.Context(), request{method: http.MethodDelete, path: modulePath(tenant, args[0])}); err != nil {
				return err
			}
			c.did("unloaded", tenant+"/"+args[0])
			return nil
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}
