// Command peers runs the counter on crhost, on Extism and through hashicorp/go-plugin, and prints a line per comparison. Run it from within the
// bench module: it builds what it runs.
//
// It exits with 1 when a side counted wrongly or a ratio is below what crhost promises.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/crhost/crhost/bench/peers"
)

func main() {
	quick := flag.Bool("quick", false, "measure for about a second, to see that it works")
	rounds := flag.Int("rounds", 0, "how many rounds (default 15, or 3 with -quick)")
	benchfmt := flag.Bool("benchfmt", false, "print every round as benchstat reads it, instead of the comparisons")
	flag.Parse()
	plan := peers.Plan{Rounds: 15}
	if *quick {
		plan = peers.Plan{Rounds: 3, Divide: 10}
	}
	if *rounds > 0 {
		plan.Rounds = *rounds
	}
	// An interrupt ends the run between two turns, so that the plug-in process is ended too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, plan, *benchfmt); err != nil {
		fmt.Fprintf(os.Stderr, "peers: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, plan peers.Plan, benchfmt bool) (err error) {
	field, err := peers.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, field.Close()) }()
	results, err := field.Measure(ctx, plan)
	if err != nil {
		return err
	}
	if benchfmt {
		return peers.Benchfmt(os.Stdout, results)
	}
	return peers.Report(os.Stdout, results)
}
