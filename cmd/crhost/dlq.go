package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/crhost/crhost/host/httpapi"
)

func (c *cli) dlq() *cobra.Command {
	return group("dlq", "List, show, retry and discard dead letters: effects that were given up, or whose feedback nobody took",
		c.dlqList(), c.dlqShow(), c.dlqRetry(), c.dlqDiscard())
}

// letterPath is the route of a dead letter.
func letterPath(tenant string, rest ...string) string {
	return tenantPath(tenant, append([]string{"deadletters"}, rest...)...)
}

// letterFilter says which dead letters are meant.
type letterFilter struct{ module, key, reason, target string }

func (f *letterFilter) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.module, "module", "", "only this module's")
	flags.StringVar(&f.key, "key", "", "only of stores with this key")
	flags.StringVar(&f.reason, "reason", "", "only those that died of this, such as exhausted")
	flags.StringVar(&f.target, "target", "", "only those for this EFFECT=TARGET")
}

func (f *letterFilter) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"module": f.module, "key": f.key, "reason": f.reason, "target": f.target} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// notes are what one should know before one retries a letter, in short.
func notes(d httpapi.DeadLetter) string {
	var notes []string
	if d.Fed {
		notes = append(notes, "fed")
	}
	if d.Overtaken {
		notes = append(notes, "overtaken")
	}
	return strings.Join(notes, ",")
}

// overtaken says what it means that a letter is.
const overtaken = "overtaken: later ones of the store to this target were done."

// fed says what it means that the reducer knows of the failure.
func fed(d httpapi.DeadLetter) string {
	if !d.Fed {
		return ""
	}
	return fmt.Sprintf("the reducer took the action %s, which told it that the effect had failed: it may have compensated.\n", actionType(d.Action))
}
