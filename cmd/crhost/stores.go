package main

import (
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) stores() *cobra.Command {
	var tenant, after string
	var limit uint64
	cmd := &cobra.Command{
		Use:     "stores MODULE",
		Short:   "List a module's stores in key order",
		Example: "crhost stores counter",
		Args:    takes("MODULE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if after != "" {
				query.Set("after", after)
			}
			if limit != 0 {
				query.Set("limit", strconv.FormatUint(limit, 10))
			}
			reply, err := c.get(cmd.Context(), modulePath(tenant, args[0], "stores"), query)
			if err != nil {
				return err
			}
			return print(c, reply, func(list httpapi.Stores) {
				if len(list.Stores) == 0 {
					c.printf("no stores; an action begins one: crhost send %s JSON\n", args[0])
					return
				}
				c.table("ADDRESS SEQ REVISION RESIDENT HALTED", func(row func(...any)) {
					for _, s := range list.Stores {
						row(s.Address, s.Seq, s.Revision, s.Resident, s.Halted)
					}
				})
				if list.Next != "" {
					c.printf("-- there is more: crhost stores %s --after %q\n", args[0], list.Next)
				}
			})
		},
	}
	tenantFlag(cmd, &tenant)
	cmd.Flags().StringVar(&after, "after", "", "only keys after this one")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "how many at most (default: 1000)")
	return cmd
}
