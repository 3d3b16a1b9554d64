package host

import (
	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/host/journal"
)

// RowsOf is a journal's rows as the stores of effects see them.
func RowsOf(b journal.Backend) keyspace.DB { return rowsOf{b} }
