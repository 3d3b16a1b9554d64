package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/crhost/crhost/abi"
)

// defaultURL is where serve listens unless told otherwise.
const defaultURL = "http://127.0.0.1:8420"

// cli is one run of the command.
type cli struct {
	process
	url, token, output string
	transport          http.RoundTripper // nil = http.DefaultTransport
}

// run does what the arguments say and returns the exit code.
func run(ctx context.Context, p process) int {
	c := &cli{process: p}
	root := c.root()
	root.SetArgs(p.args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		return c.fail(err)
	}
	return exitDone
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "crhost",
		Short: "Host business logic compiled to WebAssembly",
		Long: "Host business logic compiled to WebAssembly.\n\n" +
			"An ADDRESS is MODULE, MODULE/KEY or TENANT/MODULE/KEY; the tenant defaults to " + abi.DefaultTenant + ", the key to " + abi.DefaultKey + ".\n" +
			"Every flag can be given by the environment too: --url by CRHOST_URL.",
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		Args:                       noCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.fromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			if c.output != "text" && c.output != "json" {
				bad := c.output
				c.output = "text"
				return usage(cmd.CommandPath()+" -o json", "-o %q is neither text nor json", bad)
			}
			return nil
		},
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("see its flags: "+cmd.CommandPath()+" --help", "%s", err)
	})
	flags := root.PersistentFlags()
	flags.StringVar(&c.url, "url", defaultURL, "the host to talk to")
	flags.StringVar(&c.token, "token", "", "the token to show it")
	flags.StringVarP(&c.output, "output", "o", "text", "text or json")
	root.AddCommand(
		c.serve(), c.deploy(), c.unload(), c.modules(), c.versions(), c.stores(),
		c.send(), c.state(), c.watch(), c.history(), c.resume(), c.delete(),
		c.effects(), c.dlq(), c.breaker(), c.policy(),
		c.inspect(), c.bench(),
	)
	return root
}

// group is a command of several.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: noCommand, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// noCommand refuses arguments of what has commands: they are meant to be one.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see the commands: crhost help"
	if cmd.HasParent() {
		hint = "see the commands: " + cmd.CommandPath() + " --help"
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean: " + cmd.CommandPath() + " " + near[0]
	}
	return usage(hint, "there is no command %q", strings.TrimPrefix(cmd.CommandPath()+" "+args[0], "crhost "))
}

// fromEnvironment sets the flags that were not given from CRHOST_NAME.
func (c *cli) fromEnvironment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		name := "CRHOST_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := c.getenv(name)
		if f.Changed || value == "" || err != nil || f.Name == "help" {
			return
		}
		if fault := flags.Set(f.Name, value); fault != nil {
			err = usage("unset "+name, "%s=%q: %s", name, value, fault)
		}
	})
	return err
}

// takes makes cobra check the number of arguments, with words of our own.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		hint := "for example: " + cmd.Example
		if cmd.Example == "" {
			hint = "see how: " + cmd.CommandPath() + " --help"
		}
		name := strings.TrimPrefix(cmd.CommandPath(), "crhost ")
		if len(args) < len(names) {
			return usage(hint, "%s needs %s", name, strings.Join(names[len(args):], " and "))
		}
		return usage(hint, "%s takes no %q", name, args[len(names)])
	}
}

// address reads an ADDRESS argument.
func address(arg string) (abi.Address, error) {
	a, err := abi.ParseAddress(arg)
	if err != nil {
		return a, usage("an address is MODULE, MODULE/KEY or TENANT/MODULE/KEY, such as counter/main", "%s", err)
	}
	return a, nil
}

// tenantFlag adds --tenant.
func tenantFlag(cmd *cobra.Command, tenant *string) {
	cmd.Flags().StringVar(tenant, "tenant", abi.DefaultTenant, "whose module it is")
}

// printf prints a part of the result.
func (c *cli) printf(format string, args ...any) { fmt.Fprintf(c.stdout, format, args...) }
