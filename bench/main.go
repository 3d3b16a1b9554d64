// Command bench runs the counter on crhost, on Extism and through hashicorp/go-plugin, and prints a line per comparison. Run it from within the
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
	quick := flag.Bool("quick", false, "measure briefly, to see that it works: the same as -rounds 2")
	rounds := flag.Int("rounds", 15, "how many `turns` each side has; the figures are the medians over them")
	benchfmt := flag.Bool("benchfmt", false, "print every turn as benchstat reads it, instead of the comparisons")
	flag.Parse()
	if *quick {
		*rounds = 2
	}
	if flag.NArg() > 0 || *rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	// An interrupt ends the run between two turns, so that the plug-in process is ended too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *benchfmt); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, benchfmt bool) (err error) {
	field, err := peers.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, field.Close()) }()
	results, err := field.Measure(ctx, rounds)
	if err != nil {
		return err
	}
	if benchfmt {
		return peers.Benchfmt(os.Stdout, results)
	}
	return peers.Report(os.Stdout, results)
}
