package main

import (
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) history() *cobra.Command {
	var from, to, limit uint64
	cmd := &cobra.Command{
		Use:     "history ADDRESS",
		Short:   "List a store's actions",
		Example: "crhost history counter --from 10",
		Args:    takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := address(args[0])
			if err != nil {
				return err
			}
			query := url.Values{}
			for name, n := range map[string]uint64{"from": from, "to": to, "limit": limit} {
				if n != 0 {
					query.Set(name, strconv.FormatUint(n, 10))
				}
			}
			reply, err := c.get(cmd.Context(), storePath(a, "actions"), query)
			if err != nil {
				return err
			}
			return print(c, reply, func(h httpapi.History) {
				if h.Gap != nil {
					c.printf("-- %d to %d are not kept any more\n", h.Gap.From, h.Gap.To)
				}
				for _, action := range h.Actions {
					c.action(action)
				}
				if h.Next != 0 {
					c.printf("-- there is more: crhost history %s --from %d\n", args[0], h.Next)
				}
			})
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&from, "from", 0, "the first action wanted (default: the oldest kept)")
	flags.Uint64Var(&to, "to", 0, "the last action wanted (default: the newest)")
	flags.Uint64Var(&limit, "limit", 0, "how many at most (default: 1000)")
	return cmd
}
