package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) breaker() *cobra.Command {
	return group("breaker", "List, open and close the circuit breakers of what effects are done on", c.breakerList(),
		c.breakerSet("open", "Let no effect through to a target, until it is closed or set to auto"),
		c.breakerSet("close", "Let every effect through to a target, until it is opened or set to auto"),
		c.breakerSet("auto", "Give a circuit breaker back to itself"))
}

func (c *cli) breakerList() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the targets of effects, with their circuit breakers",
		Example: "crhost breaker list",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			reply, err := c.get(cmd.Context(), tenantPath(tenant, "breakers"), nil)
			if err != nil {
				return err
			}
			return print(c, reply, func(list httpapi.Breakers) {
				if len(list.Breakers) == 0 {
					c.printf("no effect has had a target yet\n")
					return
				}
				c.table("TARGET STATE RUNNING WAITING FAILURES SINCE UNTIL", func(row func(...any)) {
					for _, b := range list.Breakers {
						until := ""
						if b.Until != nil {
							until = b.Until.Local().Format("15:04:05")
						}
						row(b.Target, breakerState(b), b.Running, b.Waiting, b.Failures, b.Since.Local().Format("2006-01-02 15:04:05"), until)
					}
				})
			})
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}

// breakerState is the state in words.
func breakerState(b httpapi.Breaker) string {
	s := b.State
	if b.Manual {
		s += " by hand"
	}
	if b.Parked {
		s += ", parked"
	}
	return s
}

func (c *cli) breakerSet(verb, short string) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     verb + " TARGET",
		Short:   short,
		Long:    short + ".\n\nA TARGET is EFFECT=TARGET, as crhost breaker list has it.",
		Example: "crhost breaker " + verb + " call=http:api.example.com",
		Args:    takes("TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			reply, err := c.call(cmd.Context(), request{method: http.MethodPost, path: tenantPath(tenant, "breakers", segment(args[0]), verb)})
			if err != nil {
				return err
			}
			return print(c, reply, func(b httpapi.Breaker) { c.printf("%s  %s, %d waiting\n", b.Target, breakerState(b), b.Waiting) })
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}
