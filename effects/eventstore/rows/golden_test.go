package rows

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/keyspace/keyspacetest"
)

var update = flag.Bool("update", false, "write the golden file of the present formats")

// goldenPath holds one row of each kind in format version 1. A new version gets a new file; the old one must be readable as long as stores in it exist.
const goldenPath = "testdata/v1.txtar"

// kept is one row of each kind, with every field set.
func kept(t testing.TB) (disk *keyspacetest.Disk, rows []keyspace.Row) {
	disk = new(keyspacetest.Disk)
	s, err := Open(disk)
	require.NoError(t, err)
	_, err = s.Append(t.Context(), "order-7", 0, []eventstore.Event{
		{ID: "7f3a/12/0", Type: "order_placed", Schema: 3, Time: -1, Data: []byte("\xa5books"), Metadata: []byte{0xc3}},
	})
	require.NoError(t, err)
	require.NoError(t, s.SaveSnapshot(t.Context(), "order-7", eventstore.Snapshot{Version: 1, Data: []byte("state")}))
	require.NoError(t, s.Close())
	for row, err := range disk.Rows([]byte{0}, []byte{0xff}) {
		require.NoError(t, err)
		rows = append(rows, row)
	}
	return disk, rows
}

func TestGolden(t *testing.T) {
	_, rows := kept(t)
	var text strings.Builder
	archive := txtar.Archive{Comment: []byte("Rows in format version 1: each key, and its value in hexadecimal.\n")}
	for _, row := range rows {
		text.Reset()
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

// decode reads a row of whatever kind.
func decode(row keyspace.Row) error {
	var err error
	switch {
	case row.Key[0] == idLetter:
		_, err = decodePlace(row)
	case row.Key[1] == kindEvent:
		_, err = decodeEvent(row)
	case row.Key[1] == kindSnapshot:
		_, err = decodeSnapshot(row)
	default:
		_, err = decodeNumber("number", row)
	}
	return err
}

func TestDecode_refusesWhatWasNotWritten(t *testing.T) {
	_, rows := kept(t)
	require.Len(t, rows, 6)
	for _, row := range rows {
		require.NoError(t, decode(row))
		for bit := range 8 * len(row.Value) {
			damaged := append([]byte(nil), row.Value...)
			damaged[bit/8] ^= 1 << (bit % 8)
			err := decode(keyspace.Row{Key: row.Key, Value: damaged})
			if bit < 8 {
				require.ErrorIs(t, err, keyspace.ErrFormat)
			} else {
				require.ErrorIs(t, err, keyspace.ErrCorrupt, "%q bit %d", row.Key, bit)
			}
		}
		for n := range row.Value {
			require.ErrorIs(t, decode(keyspace.Row{Key: row.Key, Value: row.Value[:n]}), keyspace.ErrCorrupt)
		}
		sealed := keyspace.Seal(append(append([]byte(nil), row.Value[:len(row.Value)-8]...), 0))
		require.ErrorIs(t, decode(keyspace.Row{Key: row.Key, Value: sealed}), keyspace.ErrCorrupt, "%q, one byte too many", row.Key)
	}
}

// What is read of an event is exactly what was written. The checksum is added here, so that the fuzzer gets past it.
func FuzzEvent(f *testing.F) {
	_, rows := kept(f)
	at := slices.IndexFunc(rows, func(r keyspace.Row) bool { return r.Key[1] == kindEvent })
	f.Add(rows[at].Value[:len(rows[at].Value)-8])
	f.Fuzz(func(t *testing.T, body []byte) {
		value := keyspace.Seal(body)
		e, err := decodeEvent(keyspace.Row{Key: rows[at].Key, Value: value})
		if err == nil {
			require.Equal(t, value, sealEvent(encodeEvent(e.Stream, &e), e.Position, e.Version))
		}
		_ = decode(keyspace.Row{Key: rows[at].Key, Value: body})
	})
}

// Whoever reads what is damaged hears of it, and nobody else.
func TestStore_damage(t *testing.T) {
	flip := func(value []byte) []byte { value[len(value)/2] ^= 1; return value }
	load := func(s *Store) error { _, err := s.Load(t.Context(), "order-7", 1, 10); return err }
	all := func(s *Store) error { _, err := s.All(t.Context(), 0, 10); return err }
	snapshot := func(s *Store) error { _, err := s.LoadSnapshot(t.Context(), "order-7"); return err }
	appends := func(id string) func(s *Store) error {
		return func(s *Store) error {
			_, err := s.Append(t.Context(), "order-7", eventstore.Any, []eventstore.Event{{ID: id, Type: "t", Data: []byte{0xc0}}})
			return err
		}
	}
	for _, c := range []struct {
		name  string
		key   []byte
		hears []func(*Store) error
		not   []func(*Store) error
	}{
		{"version", versionKey("order-7", 1), []func(*Store) error{load}, []func(*Store) error{all, snapshot, appends("new")}},
		{"head", streamKey(kindHead, "order-7"), []func(*Store) error{appends("new")}, []func(*Store) error{all, load, snapshot}},
		{"snapshot", streamKey(kindSnapshot, "order-7"), []func(*Store) error{snapshot}, []func(*Store) error{all, load, appends("new")}},
		{"id", idKey("7f3a/12/0"), []func(*Store) error{appends("7f3a/12/0")}, []func(*Store) error{all, load, snapshot, appends("new")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, _ := kept(t)
			disk.Flip(c.key, flip)
			s, err := Open(disk)
			require.NoError(t, err)
			defer s.Close()
			for _, f := range c.hears {
				require.ErrorIs(t, f(s), keyspace.ErrCorrupt)
			}
			for _, f := range c.not {
				require.NoError(t, f(s))
			}
		})
	}
	t.Run("last event", func(t *testing.T) {
		disk, _ := kept(t)
		disk.Flip(eventKey(1), flip)
		_, err := Open(disk)
		require.ErrorIs(t, err, keyspace.ErrCorrupt)
		disk, _ = kept(t)
		disk.Flip(eventKey(1), func(value []byte) []byte { value[0]++; return value })
		_, err = Open(disk)
		require.ErrorIs(t, err, keyspace.ErrFormat)
	})
	t.Run("missing", func(t *testing.T) {
		disk, _ := kept(t)
		s, err := Open(disk)
		require.NoError(t, err)
		require.NoError(t, appends("second")(s))
		require.NoError(t, appends("third")(s))
		require.NoError(t, disk.Apply([]keyspace.Write{{Key: eventKey(2), Delete: true}}))
		require.ErrorIs(t, all(s), keyspace.ErrCorrupt)
		require.ErrorIs(t, load(s), keyspace.ErrCorrupt)
		require.NoError(t, s.Close())
	})
}
