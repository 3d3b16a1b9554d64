package main

import (
	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) effects() *cobra.Command {
	return &cobra.Command{
		Use:     "effects ADDRESS",
		Short:   "List a store's effects that are not done",
		Example: "crhost effects orders/o-17",
		Args:    takes("ADDRESS"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := address(args[0])
			if err != nil {
				return err
			}
			reply, err := c.get(cmd.Context(), storePath(a, "effects"), nil)
			if err != nil {
				return err
			}
			return print(c, reply, func(list httpapi.Effects) {
				if len(list.Effects) == 0 {
					c.printf("all effects are done; those that failed for good: crhost dlq list\n")
					return
				}
				c.table("SEQ INDEX TARGET ID DRIVE WAITS", func(row func(...any)) {
					for _, e := range list.Effects {
						waits := ""
						switch {
						case e.Held:
							waits = "for what is before it"
						case e.Due != nil:
							waits = "until " + e.Due.Local().Format("2006-01-02 15:04:05.000")
						case e.Parked != nil:
							waits = "for its target, since " + e.Parked.Local().Format("2006-01-02 15:04:05")
						}
						row(e.Seq, e.Index, e.Target, e.ID, e.Drive, waits)
					}
				})
			})
		},
	}
}
