package main

import (
	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) dlqShow() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a dead letter: the effect, its attempts, and what its reducer knows",
		Example: "crhost dlq show ID",
		Args:    takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			reply, err := c.get(cmd.Context(), letterPath(tenant, segment(args[0])), nil)
			if err != nil {
				return err
			}
			return print(c, reply, c.letter)
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}

// letter prints a dead letter.
func (c *cli) letter(d httpapi.DeadLetter) {
	c.printf("%s  %s  drive %d, %s\n", d.ID, d.Reason, d.Drive, d.Time.Local().Format("2006-01-02 15:04:05"))
	c.printf("store:   %s, action %d\n", d.Address, d.Seq)
	c.printf("target:  %s\n", d.Target)
	c.printf("effect:  %s\n", text(d.Effect))
	if len(d.Action) > 0 {
		c.printf("action:  %s\n", text(d.Action))
	}
	for _, a := range d.Attempts {
		c.printf("attempt: %s  %s\n", a.Time.Local().Format("2006-01-02 15:04:05.000"), a.Error)
	}
	if note := fed(d); note != "" {
		c.printf("fed:     %s         A retry does the effect all the same; whether that is right is for you to decide.\n", note)
	}
	if d.Overtaken {
		c.printf("order:   %s A retry puts this one behind them.\n", overtaken)
	}
}
