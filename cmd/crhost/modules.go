package main

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) modules() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:     "modules [MODULE]",
		Short:   "List the loaded modules, or show one and what it takes",
		Example: "crhost modules counter",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return takes()(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if tenant == "" {
					tenant = abi.DefaultTenant
				}
				reply, err := c.get(cmd.Context(), modulePath(tenant, args[0]), nil)
				if err != nil {
					return err
				}
				return print(c, reply, c.module)
			}
			query := url.Values{}
			if tenant != "" {
				query.Set("tenant", tenant)
			}
			reply, err := c.get(cmd.Context(), "/v1/modules", query)
			if err != nil {
				return err
			}
			return print(c, reply, func(list httpapi.Modules) {
				if len(list.Modules) == 0 {
					c.printf("nothing is loaded; crhost deploy MODULE FILE.wasm\n")
					return
				}
				c.table("TENANT MODULE REVISION SCHEMA STORES RESIDENT", func(row func(...any)) {
					for _, m := range list.Modules {
						row(m.Tenant, m.Module, m.Revision, m.Schema, m.Stores, m.Residents)
					}
				})
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only this tenant's (default: all)")
	return cmd
}

// module prints one module.
func (c *cli) module(m httpapi.Module) {
	c.printf("%s/%s  %s  schema %d  %s\n", m.Tenant, m.Module, m.Revision, m.Schema, m.Digest)
	c.printf("stores: %d, resident: %d\n\n", m.Stores, m.Residents)
	c.actions(m.Actions)
	if len(m.Effects) == 0 {
		return
	}
	c.printf("\n")
	c.table("EFFECT TARGETS", func(row func(...any)) {
		for _, e := range m.Effects {
			row(e.Kind, strings.Join(e.Targets, " "))
		}
	})
}

// actions prints the action types of a module.
func (c *cli) actions(actions []httpapi.ActionType) {
	c.table("ACTION KIND DOC", func(row func(...any)) {
		for _, a := range actions {
			row(a.Type, a.Kind, a.Doc)
		}
	})
}
