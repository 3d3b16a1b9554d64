package pebble

import "github.com/cockroachdb/pebble/v2"

// LoseSyncs makes a mutant that acknowledges what is not synced.
func (b *Backend) LoseSyncs() { b.durability = pebble.NoSync }

// Pebble is what the journal lies in.
func (b *Backend) Pebble() *pebble.DB { return b.db }
