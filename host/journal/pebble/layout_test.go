package pebble_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/pebble"
)

var update = flag.Bool("update", false, "write the golden file of the present layout")

// sample writes at least one of each kind of record and row.
func sample(t *testing.T, b journal.Backend) {
	t.Helper()
	life := journal.Incarnation{0x10, 15: 0x1f}
	module := journal.ModuleID{Tenant: "default", Module: "counter"}
	var batch journal.Batch
	for seq := uint64(1); seq <= 3; seq++ {
		r := journal.Record{Kind: journal.KindAction, Cause: journal.CauseCommand, Life: life, Seq: seq, Revision: 1, Action: []byte("action")}
		batch.Append(life, seq, r.Encode())
	}
	batch.Trim(life, 2)
	journal.PutCheckpoint(&batch, life, &journal.Checkpoint{Seq: 2, Revision: 1, State: []byte("state")})
	journal.PutStore(&batch, journal.StoreID{Tenant: "default", Module: "counter", Key: "main"}, &journal.Store{Life: life})
	journal.PutModule(&batch, module, &journal.Module{Active: 1, Latest: 1})
	journal.PutRevision(&batch, module, 1, &journal.Revision{Digest: journal.PutCode(&batch, []byte("\x00asm")), Config: []byte("config")})
	journal.PutEffect(&batch, module, life, 3, &journal.Effect{Key: "main", Tree: []byte{0x90}}, []journal.Standing{{Drive: 1}})
	journal.PutStandings(&batch, module, life, 3, []journal.Standing{{Drive: 1, Ran: true}})
	journal.PutDispatched(&batch, module, life, 3, 0, []byte("result"))
	journal.PutLetter(&batch, module, journal.LetterID{Life: life, Seq: 3}, &journal.DeadLetter{Key: "main", Reason: "exhausted"})
	require.NoError(t, batch.Set([]byte("\xffrow"), nil))
	require.NoError(t, b.Apply(&batch))
}

// dump is all of Pebble's keys with their values.
func dump(t *testing.T, b *pebble.Backend) []byte {
	t.Helper()
	archive := txtar.Archive{Comment: []byte("Keys and values of layout version 1, in hexadecimal; after each key, its printable bytes.\n")}
	it, err := b.Pebble().NewIter(nil)
	require.NoError(t, err)
	for ok := it.First(); ok; ok = it.Next() {
		printable := strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '.'
			}
			return r
		}, string(it.Key()))
		var text strings.Builder
		for v := it.Value(); len(v) > 0; v = v[min(32, len(v)):] {
			fmt.Fprintf(&text, "% x\n", v[:min(32, len(v))])
		}
		archive.Files = append(archive.Files, txtar.File{Name: hex.EncodeToString(it.Key()) + " " + printable, Data: []byte(text.String())})
	}
	require.NoError(t, it.Close())
	return txtar.Format(&archive)
}

// A change here is a change of what is on disks: it needs another layoutVersion, or the old formats read on.
func TestLayout_golden(t *testing.T) {
	b := open(t, vfs.NewMem(), pebble.Config{})
	defer func() { require.NoError(t, b.Close()) }()
	sample(t, b)
	const path = "testdata/layout1.txtar"
	got := dump(t, b)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
	require.Equal(t, crdb.FormatTableFormatV6, b.Pebble().FormatMajorVersion(), "Pebble's own, which is never lowered")
}

func TestLayout_rowsLeaveOutLogs(t *testing.T) {
	b := open(t, vfs.NewMem(), pebble.Config{})
	defer func() { require.NoError(t, b.Close()) }()
	sample(t, b)
	var letters []byte
	for row, err := range b.Rows(nil, nil) {
		require.NoError(t, err)
		letters = append(letters, row.Key[0])
	}
	require.Equal(t, "cdmooorsw\xff", string(letters))
	for _, r := range [][2]string{{"l", "m"}, {"la", "lb"}, {"l", "l"}} {
		for row := range b.Rows([]byte(r[0]), []byte(r[1])) {
			t.Errorf("%q", row.Key)
		}
	}
	_, err := b.Get([]byte("l"))
	require.ErrorIs(t, err, journal.ErrNotFound)
	var batch journal.Batch
	require.NoError(t, batch.Set([]byte("lock"), nil))
	require.ErrorIs(t, b.Apply(&batch), journal.ErrRefused)
	require.NoError(t, b.Err())
}

func TestOpen_refusesANewerLayout(t *testing.T) {
	disk := vfs.NewMem()
	b := open(t, disk, pebble.Config{})
	require.NoError(t, b.Pebble().Set([]byte("l"), []byte{2}, crdb.Sync))
	require.NoError(t, b.Close())
	_, err := pebble.Open(dir, pebble.Config{FS: disk})
	require.ErrorIs(t, err, journal.ErrFormat)
	require.EqualError(t, err, "open journal data/journal: journal layout: unknown format version 2: written by a newer version of this program")
}

func TestOpen_refusesADamagedLayout(t *testing.T) {
	disk := vfs.NewMem()
	b := open(t, disk, pebble.Config{})
	require.NoError(t, b.Pebble().Set([]byte("l"), []byte{1, 2, 3}, crdb.Sync))
	require.NoError(t, b.Close())
	_, err := pebble.Open(dir, pebble.Config{FS: disk})
	require.ErrorIs(t, err, journal.ErrCorrupt)
}

func TestOpen_refusesWhatIsNoJournal(t *testing.T) {
	disk := vfs.NewMem()
	db, err := crdb.Open(dir, &crdb.Options{FS: disk, Logger: quiet{}})
	require.NoError(t, err)
	require.NoError(t, db.Set([]byte("a"), nil, crdb.Sync))
	require.NoError(t, db.Close())
	_, err = pebble.Open(dir, pebble.Config{FS: disk})
	require.ErrorIs(t, err, pebble.ErrForeign)
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

// Another process is refused too, at once.
func TestOpen_oneProcessOnly(t *testing.T) {
	if name := os.Getenv(child); name != "" {
		_, err := pebble.Open(name, pebble.Config{})
		fmt.Println(err)
		os.Exit(3)
	}
	real := t.TempDir()
	b, err := pebble.Open(real, pebble.Config{})
	require.NoError(t, err)
	require.Equal(t, "open journal "+real+": another host has the journal open\n", runChild(t, real))
	require.NoError(t, b.Close())
	require.Equal(t, "<nil>\n", runChild(t, real))
}

func TestOpen_oneHostOnly(t *testing.T) {
	disk := vfs.NewMem()
	real := t.TempDir()
	require.NoError(t, os.Symlink(real, real+"-link"))
	t.Chdir(real)
	for _, c := range []struct {
		fs   vfs.FS
		a, b string
	}{{disk, dir, dir}, {nil, real, real}, {nil, real, real + "-link"}, {nil, ".", real}} {
		first, err := pebble.Open(c.a, pebble.Config{FS: c.fs})
		require.NoError(t, err)
		_, err = pebble.Open(c.b, pebble.Config{FS: c.fs})
		require.ErrorIs(t, err, pebble.ErrLocked)
		require.EqualError(t, err, "open journal "+c.b+": another host has the journal open")
		require.NoError(t, first.Apply(record(1, 10)), "the first is not disturbed")
		require.NoError(t, first.Apply(func() *journal.Batch { b := new(journal.Batch); b.Drop(life); return b }()))
		require.NoError(t, first.Close())
		second, err := pebble.Open(c.b, pebble.Config{FS: c.fs})
		require.NoError(t, err)
		require.NoError(t, second.Close())
	}
}
