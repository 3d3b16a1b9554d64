package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) policySet() *cobra.Command {
	var tenant string
	var p httpapi.Policy
	given := pflag.NewFlagSet("policy", pflag.ContinueOnError)
	policyFlags(given, &p)
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Set a policy, for effects that wait and run too",
		Long: "Set a policy, for effects that wait and run too. What is not given stays as it is, or is the default in a new policy.\n\n" +
			"NAME is one that effects give with retry, a target EFFECT=TARGET, an EFFECT, or default. An effect has the policy that it names; else that of its\n" +
			"target, of its kind, or the default.",
		Example: "crhost policy set call=http:api.example.com --retries 2 --breaker-open 10s",
		Args:    takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			values := map[string]string{}
			given.VisitAll(func(f *pflag.Flag) {
				if f.Changed {
					values[f.Name] = f.Value.String()
				}
			})
			now, err := c.policyNow(cmd.Context(), tenant, args[0])
			if err != nil {
				return err
			}
			p = now
			for name, value := range values {
				if err := given.Set(name, value); err != nil { // it was read from the command line before
					return usage("see its flags: crhost policy set --help", "--%s: %s", name, err)
				}
			}
			body, err := json.Marshal(p)
			if err != nil {
				return err
			}
			reply, err := c.call(cmd.Context(), request{
				method: http.MethodPut, path: policyPath(tenant, args[0]), content: "application/json", body: bytes.NewReader(body),
			})
			if err != nil {
				return err
			}
			return print(c, reply, c.printPolicy)
		},
	}
	tenantFlag(cmd, &tenant)
	cmd.Flags().SortFlags = false
	cmd.Flags().AddFlagSet(given)
	return cmd
}

// policyNow is the policy as it is, or the defaults when there is none.
func (c *cli) policyNow(ctx context.Context, tenant, name string) (httpapi.Policy, error) {
	var now httpapi.NamedPolicy
	reply, err := c.get(ctx, policyPath(tenant, name), nil)
	if problem := (*httpapi.Problem)(nil); errors.As(err, &problem) && abi.Code(problem.Code) == abi.CodeNotFound {
		return now.Policy, nil
	}
	if err == nil {
		err = json.Unmarshal(reply, &now)
	}
	return now.Policy, err
}

// policyFlags are a flag for each field of a policy.
func policyFlags(flags *pflag.FlagSet, p *httpapi.Policy) {
	duration := func(d *httpapi.Duration, name, usage string) { flags.DurationVar((*time.Duration)(d), name, 0, usage) }
	flags.SortFlags = false
	r := &p.Retry
	duration(&r.Initial, "initial", "the longest delay before the first retry; 0 = 100ms")
	flags.Float64Var(&r.Multiplier, "multiplier", 0, "makes the longest delay before a retry out of that before it; 0 = 2")
	duration(&r.Max, "max", "bounds the delays; 0 = 30s")
	flags.IntVar(&r.Retries, "retries", 0, "how many attempts may follow the first one; below 0 none, 0 = 5")
	duration(&r.Timeout, "timeout", "bounds an attempt, unless the effect has a timeout of its own; 0 = 30s")
	flags.StringVar(&r.OnOpen, "on-open", "", "park or deadletter: what effects do while the breaker is open or the budget spent; empty = park")
	duration(&r.ParkLimit, "park-limit", "how long an effect may be parked; 0 = 24h")
	b := &p.Budget
	flags.Float64Var(&b.Ratio, "budget-ratio", 0, "how many retries a first attempt earns its target; below 0 none, 0 = 0.2")
	flags.Float64Var(&b.PerSecond, "budget-per-second", 0, "how many there are a second besides; 0 = 10")
	flags.Float64Var(&b.Reserve, "budget-reserve", 0, "how many unused ones are kept; 0 = 100")
	k := &p.Breaker
	flags.IntVar(&k.Failures, "breaker-failures", 0, "how many failures in a row open the breaker; 0 = 5")
	flags.IntVar(&k.Rate, "breaker-rate", 0, "the percentage of failures that opens it instead; 0 = --breaker-failures counts")
	duration(&k.Window, "breaker-window", "how far back --breaker-rate looks; 0 = 60s")
	flags.IntVar(&k.Minimum, "breaker-minimum", 0, "how few results say nothing about --breaker-rate; 0 = 20")
	duration(&k.Open, "breaker-open", "how long it stays open before it asks for probes; 0 = 60s")
	flags.IntVar(&k.Successes, "breaker-successes", 0, "how many probes close it; 0 = 2")
	flags.IntVar(&k.Probes, "breaker-probes", 0, "how many are out at a time; 0 = 1")
	flags.IntVar(&p.Concurrency, "concurrency", 0, "attempts at a time at one target; 0 = 64")
}
