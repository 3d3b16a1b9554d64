package main

import (
	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) versions() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     "versions MODULE",
		Short:   "List a module's revisions, oldest first",
		Example: "crhost versions counter",
		Args:    takes("MODULE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			reply, err := c.get(cmd.Context(), modulePath(tenant, args[0], "versions"), nil)
			if err != nil {
				return err
			}
			return print(c, reply, func(list httpapi.Versions) {
				c.table("REVISION SCHEMA BYTES DEPLOYED STORES ACTIVE", func(row func(...any)) {
					for _, v := range list.Versions {
						active := ""
						if v.Active {
							active = "active"
						}
						row(v.Revision, v.Schema, v.Bytes, v.Deployed.Local().Format("2006-01-02 15:04:05"), v.Stores, active)
					}
				})
			})
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}
