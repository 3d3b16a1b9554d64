package rows

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/keyspace/keyspacetest"
	"github.com/crhost/crhost/effects/projection"
)

var update = flag.Bool("update", false, "write the golden file of the present formats")

// goldenPath holds one row of each kind in format version 1. A new version gets a new file; the old one must be readable as long as models in it exist.
const goldenPath = "testdata/v1.txtar"

// kept is one row of each kind, with every field set: build 2 is live and build 3 is to follow, build 1 is being dropped.
func kept() []keyspace.Row {
	s := state{Builds: projection.Builds{Live: projection.Build{ID: 2, Checkpoint: 7}, Next: projection.Build{ID: 3, Checkpoint: 5}}, last: 3}
	return []keyspace.Row{
		{Key: buildKey(kindDropped, "orders", 1), Value: encodeDropped()},
		{Key: modelKey("orders"), Value: s.encode()},
		{Key: rowKey("orders", 2, "ann/7"), Value: encodeRow([]byte("placed"))},
	}
}

func TestGolden(t *testing.T) {
	archive := txtar.Archive{Comment: []byte("Rows in format version 1: each key, and its value in hexadecimal.\n")}
	for _, row := range kept() {
		var text strings.Builder
		for b := row.Value; len(b) > 0; b = b[min(16, len(b)):] {
			fmt.Fprintf(&text, "% x\n", b[:min(16, len(b))])
		}
		archive.Files = append(archive.Files, txtar.File{Name: strings.Trim(fmt.Sprintf("%q", row.Key), `"`), Data: []byte(text.String())})
	}
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(goldenPath, txtar.Format(&archive), 0o644))
	}
	want, err := os.ReadFile(goldenPath)
	require.NoError(t, err)
	require.Equal(t, string(want), string(txtar.Format(&archive)))
}

// open is a store with those rows, one of them changed.
func open(t *testing.T, changed int, change func(value []byte) []byte) (*Store, error) {
	disk := &keyspacetest.Disk{}
	for i, row := range kept() {
		value := append([]byte(nil), row.Value...)
		if i == changed {
			value = change(value)
		}
		require.NoError(t, disk.Apply([]keyspace.Write{{Key: row.Key, Value: value}}))
	}
	return Open(disk)
}

func TestStore_damage(t *testing.T) {
	builds := func(s *Store) error { _, err := s.Builds(t.Context(), "orders"); return err }
	get := func(s *Store) error { _, err := s.Get(t.Context(), "orders", "ann/7"); return err }
	list := func(s *Store) error { _, err := s.List(t.Context(), "orders", "", "", 10); return err }
	other := func(s *Store) error { _, err := s.List(t.Context(), "other", "", "", 10); return err }
	heard := func(bit int) error {
		if bit < 8 {
			return keyspace.ErrFormat
		}
		return keyspace.ErrCorrupt
	}
	for i, row := range kept() {
		for bit := range 8 * len(row.Value) {
			s, err := open(t, i, func(value []byte) []byte { value[bit/8] ^= 1 << (bit % 8); return value })
			if i == 0 {
				require.ErrorIs(t, err, heard(bit), "bit %d", bit)
				continue
			}
			require.NoError(t, err)
			for _, f := range []func(*Store) error{get, list} {
				require.ErrorIs(t, f(s), heard(bit), "%q bit %d", row.Key, bit)
			}
			require.NoError(t, other(s))
			if i == 1 {
				require.ErrorIs(t, builds(s), heard(bit))
			} else {
				require.NoError(t, builds(s))
			}
			require.NoError(t, s.Close())
		}
		for n := range row.Value {
			s, err := open(t, i, func(value []byte) []byte { return value[:n] })
			if err == nil {
				err = get(s)
				require.NoError(t, s.Close())
			}
			require.ErrorIs(t, err, keyspace.ErrCorrupt, "the first %d bytes", n)
		}
	}
}
