package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) policy() *cobra.Command {
	return group("policy", "List, set and remove policies: how effects are tried, and when their targets are spared", c.policyList(), c.policySet(), c.policyRemove())
}

// policyPath is the route of a policy.
func policyPath(tenant, name string) string { return tenantPath(tenant, "policies", segment(name)) }

func (c *cli) policyList() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the policies by name, with what is in force",
		Example: "crhost policy list",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			reply, err := c.get(cmd.Context(), tenantPath(tenant, "policies"), nil)
			if err != nil {
				return err
			}
			return print(c, reply, func(list httpapi.Policies) {
				for _, p := range list.Policies {
					c.printPolicy(p)
				}
			})
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}

// printPolicy prints a policy, a part of it a line.
func (c *cli) printPolicy(p httpapi.NamedPolicy) {
	h := p.Policy.Host()
	c.printf("%s\n  retry    %v\n  budget   %v\n  breaker  %v\n  target   concurrency=%d\n", p.Name, h.Retry, h.Budget, h.Breaker, h.Concurrency)
}

func (c *cli) policyRemove() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a policy: what it was for falls back to that of its target, its kind, or the default",
		Example: "crhost policy remove call=http:api.example.com",
		Args:    takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := c.call(cmd.Context(), request{method: http.MethodDelete, path: policyPath(tenant, args[0])}); err != nil {
				return err
			}
			c.did("removed", args[0])
			return nil
		},
	}
	tenantFlag(cmd, &tenant)
	return cmd
}
