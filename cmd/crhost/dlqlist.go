package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) dlqList() *cobra.Command {
	var tenant string
	var limit uint64
	var filter letterFilter
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List dead letters, oldest first",
		Example: "crhost dlq list --module orders",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := filter.query()
			if limit != 0 {
				query.Set("limit", strconv.FormatUint(limit, 10))
			}
			reply, err := c.get(cmd.Context(), letterPath(tenant), query)
			if err != nil {
				return err
			}
			return print(c, reply, func(list httpapi.DeadLetters) {
				if len(list.DeadLetters) == 0 {
					c.printf("no dead letters\n")
					return
				}
				c.table("ID ADDRESS TARGET REASON DRIVE NOTES DIED", func(row func(...any)) {
					for _, d := range list.DeadLetters {
						row(d.ID, d.Address, d.Target, d.Reason, d.Drive, notes(d), d.Time.Local().Format("2006-01-02 15:04:05"))
					}
				})
				if list.More {
					c.printf("-- there are more\n")
				}
			})
		},
	}
	tenantFlag(cmd, &tenant)
	filter.register(cmd.Flags())
	cmd.Flags().Uint64Var(&limit, "limit", 0, "how many at most (default: 1000)")
	return cmd
}
