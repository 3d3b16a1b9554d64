package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// table prints rows below their headings, in columns.
func (c *cli) table(headings string, rows func(row func(cells ...any))) {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(strings.Fields(headings), "\t"))
	rows(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	})
	w.Flush()
}
