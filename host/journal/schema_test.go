package journal_test

import (
	"iter"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
)

func apply(t *testing.T, b journal.Backend, fill func(*journal.Batch)) {
	t.Helper()
	var batch journal.Batch
	fill(&batch)
	require.NoError(t, b.Apply(&batch))
}

// list collects what a scan yields up to its error.
func list[V any](seq iter.Seq2[V, error]) (all []V, err error) {
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func TestCheckpoint_releasesItsRecords(t *testing.T) {
	b, life := memory.New(memory.Config{History: -1}), journal.Incarnation{1}
	_, err := journal.ReadCheckpoint(b, life)
	require.ErrorIs(t, err, journal.ErrNotFound)
	apply(t, b, func(batch *journal.Batch) {
		for seq := uint64(1); seq <= 9; seq++ {
			batch.Append(life, seq, nil)
		}
	})
	for _, seq := range []uint64{4, 7} {
		want := journal.Checkpoint{Seq: seq, Revision: 2, Schema: 3, Time: 5, State: []byte("state")}
		apply(t, b, func(batch *journal.Batch) { journal.PutCheckpoint(batch, life, &want) })
		got, err := journal.ReadCheckpoint(b, life)
		require.NoError(t, err)
		require.Equal(t, want, got)
		first, last, err := b.Bounds(life)
		require.NoError(t, err)
		require.Equal(t, []uint64{seq + 1, 9}, []uint64{first, last}, "the tail stays")
	}
}

func TestStore_S15(t *testing.T) {
	b := memory.New(memory.Config{})
	id := journal.StoreID{Tenant: "default", Module: "counter", Key: "a/b c"}
	_, err := journal.ReadStore(b, id)
	require.ErrorIs(t, err, journal.ErrNotFound)
	require.ErrorContains(t, err, "default/counter/a/b c")

	want := journal.Store{Life: journal.Incarnation{1}, Created: 5, HaltCode: "trapped"}
	apply(t, b, func(batch *journal.Batch) {
		journal.PutStore(batch, id, &want)
		batch.Append(want.Life, 1, nil)
		journal.PutCheckpoint(batch, want.Life, &journal.Checkpoint{Seq: 1})
	})
	got, err := journal.ReadStore(b, id)
	require.NoError(t, err)
	require.Equal(t, want, got)

	apply(t, b, func(batch *journal.Batch) { journal.DeleteStore(batch, id, want.Life) })
	rows, err := list(b.Rows(nil, nil))
	require.NoError(t, err)
	require.Empty(t, rows, "nothing of the old life is left")
	_, last, err := b.Bounds(want.Life)
	require.NoError(t, err)
	require.Zero(t, last)
}

// The stores of a module that are halted or parked are found without looking at the others, for as long as they are.
func TestStoppedStores(t *testing.T) {
	b, module := memory.New(memory.Config{}), journal.ModuleID{Tenant: "t", Module: "m"}
	keys := func() (keys []string) {
		rows, err := list(journal.StoppedStores(b, module))
		require.NoError(t, err)
		for _, row := range rows {
			want, err := journal.ReadStore(b, row.ID)
			require.NoError(t, err)
			require.Equal(t, want, row.Store)
			keys = append(keys, row.ID.Key)
		}
		return keys
	}
	id := func(key string) journal.StoreID { return journal.StoreID{Tenant: "t", Module: "m", Key: key} }
	fine, halted, parked := journal.Store{Created: 1}, journal.Store{HaltCode: "trapped"}, journal.Store{ParkedBy: 3}
	apply(t, b, func(batch *journal.Batch) {
		for _, key := range []string{"a", "b", "c", "d"} {
			journal.PutStore(batch, id(key), &fine)
		}
		journal.PutStore(batch, journal.StoreID{Tenant: "t", Module: "m2", Key: "a"}, &halted)
	})
	require.Empty(t, keys())
	apply(t, b, func(batch *journal.Batch) {
		journal.ChangeStore(batch, id("d"), &fine, &halted)
		journal.ChangeStore(batch, id("b"), &fine, &parked)
		journal.ChangeStore(batch, id("c"), &fine, &halted)
	})
	require.Equal(t, []string{"b", "c", "d"}, keys())
	apply(t, b, func(batch *journal.Batch) {
		journal.ChangeStore(batch, id("b"), &parked, &halted)
		journal.ChangeStore(batch, id("c"), &halted, &fine)
		journal.DeleteStore(batch, id("d"), halted.Life)
	})
	require.Equal(t, []string{"b"}, keys())
}

func TestStores_keepToTheirModule(t *testing.T) {
	b := memory.New(memory.Config{})
	ids := []journal.StoreID{ // in the order of their keys
		{Tenant: "a", Module: "b", Key: "b"},
		{Tenant: "a", Module: "b", Key: "b/c"},
		{Tenant: "a", Module: "b", Key: "ü"},
		{Tenant: "a", Module: "b-c", Key: "b"},
		{Tenant: "a-b", Module: "b", Key: "b"},
		{Tenant: "ab", Module: "b", Key: "c"},
	}
	apply(t, b, func(batch *journal.Batch) {
		for i, id := range ids {
			journal.PutStore(batch, id, &journal.Store{Created: int64(i)})
		}
		journal.PutModule(batch, journal.ModuleID{Tenant: "a", Module: "b"}, &journal.Module{})
	})
	var all []journal.StoreID
	for _, m := range []journal.ModuleID{{Tenant: "a", Module: "b"}, {Tenant: "a", Module: "b-c"}, {Tenant: "a-b", Module: "b"}, {Tenant: "ab", Module: "b"}} {
		rows, err := list(journal.Stores(b, m, ""))
		require.NoError(t, err)
		for _, row := range rows {
			require.Equal(t, m, journal.ModuleID{Tenant: row.ID.Tenant, Module: row.ID.Module})
			require.Equal(t, row.ID, ids[row.Created])
			all = append(all, row.ID)
		}
	}
	require.Equal(t, ids, all)
	for after, want := range map[string][]journal.StoreID{"a": ids[:3], "b": ids[1:3], "b/": ids[1:3], "b/c": ids[2:3], "ü": nil} {
		rows, err := list(journal.Stores(b, journal.ModuleID{Tenant: "a", Module: "b"}, after))
		require.NoError(t, err)
		var got []journal.StoreID
		for _, row := range rows {
			got = append(got, row.ID)
		}
		require.Equal(t, want, got, "after %s", after)
	}
	for range journal.Stores(b, journal.ModuleID{Tenant: "a", Module: "b"}, "") {
		break
	}
}

func TestModules(t *testing.T) {
	b := memory.New(memory.Config{})
	x, y := journal.ModuleID{Tenant: "default", Module: "counter"}, journal.ModuleID{Tenant: "default", Module: "counter-2"}
	var digest journal.Digest
	apply(t, b, func(batch *journal.Batch) {
		digest = journal.PutCode(batch, []byte("bytes"))
		for number := uint64(300); number > 0; number-- {
			journal.PutRevision(batch, x, number, &journal.Revision{Digest: digest, Schema: uint32(number)})
		}
		journal.PutRevision(batch, y, 1, &journal.Revision{})
		journal.PutModule(batch, y, &journal.Module{Active: 1, Latest: 1})
		journal.PutModule(batch, x, &journal.Module{Active: 2, Latest: 3, Plugin: digest})
	})
	modules, err := list(journal.Modules(b))
	require.NoError(t, err)
	require.Equal(t, []journal.ModuleRow{
		{ID: x, Module: journal.Module{Active: 2, Latest: 3, Plugin: digest}},
		{ID: y, Module: journal.Module{Active: 1, Latest: 1}},
	}, modules)
	m, err := journal.ReadModule(b, x)
	require.NoError(t, err)
	require.Equal(t, modules[0].Module, m)

	revisions, err := list(journal.Revisions(b, x))
	require.NoError(t, err)
	require.Len(t, revisions, 300)
	for i, r := range revisions {
		require.EqualValues(t, i+1, r.Number, "oldest first")
		require.EqualValues(t, i+1, r.Schema)
	}
	rev, err := journal.ReadRevision(b, x, 256)
	require.NoError(t, err)
	require.EqualValues(t, 256, rev.Schema)

	code, err := journal.ReadCode(b, digest)
	require.NoError(t, err)
	require.Equal(t, "bytes", string(code))

	apply(t, b, func(batch *journal.Batch) {
		journal.DeleteModule(batch, x)
		journal.DeleteRevision(batch, x, 256)
		journal.DeleteCode(batch, digest)
	})
	_, err = journal.ReadModule(b, x)
	require.ErrorIs(t, err, journal.ErrNotFound)
	_, err = journal.ReadRevision(b, x, 256)
	require.ErrorIs(t, err, journal.ErrNotFound)
	_, err = journal.ReadCode(b, digest)
	require.ErrorIs(t, err, journal.ErrNotFound)
}

func TestDamagedRows_areNamed(t *testing.T) {
	module := journal.ModuleID{Tenant: "t", Module: "m"}
	digest := journal.Digest{1}
	for _, c := range []struct {
		key, value string
		read       func(journal.Reader) error
		want       string
	}{
		{"h" + "t\x00m\x00key", "junk", func(r journal.Reader) error { _, err := list(journal.StoppedStores(r, module)); return err },
			`stopped store "ht\x00m\x00key": corrupt at byte 4: 4 bytes, fewer than the shortest stopped store`},
		{"s" + "t\x00m\x00key", "junk", func(r journal.Reader) error { _, err := list(journal.Stores(r, module, "")); return err },
			`store "st\x00m\x00key": corrupt at byte 4: 4 bytes, fewer than the shortest store`},
		{"mt\x00m\x00", "12345678901234567890", func(r journal.Reader) error { _, err := list(journal.Modules(r)); return err },
			`module: unknown format version 49: written by a newer version of this program`},
		{"mt", "", func(r journal.Reader) error { _, err := list(journal.Modules(r)); return err },
			`module "mt": corrupt at byte 0: key holds no tenant and module`},
		{"rt\x00m\x00123", "", func(r journal.Reader) error { _, err := list(journal.Revisions(r, module)); return err },
			`revision "rt\x00m\x00123": corrupt at byte 0: key holds no number`},
		{"w" + string(digest[:]), "other", func(r journal.Reader) error { _, err := journal.ReadCode(r, digest); return err },
			"module bytes " + digest.String() + ": corrupt at byte 0: digest differs"},
	} {
		b := memory.New(memory.Config{})
		apply(t, b, func(batch *journal.Batch) { require.NoError(t, batch.Set([]byte(c.key), []byte(c.value))) })
		require.EqualError(t, c.read(b), c.want)
	}
	b := memory.New(memory.Config{})
	require.NoError(t, b.Close())
	_, err := list(journal.Stores(b, module, ""))
	require.ErrorIs(t, err, journal.ErrClosed)
}

func TestRecords(t *testing.T) {
	b, life := memory.New(memory.Config{}), journal.Incarnation{7}
	record := func(seq uint64) []byte {
		r := journal.Record{Kind: journal.KindAction, Cause: journal.CauseCommand, Life: life, Seq: seq, Action: []byte{byte(seq)}}
		return r.Encode()
	}
	apply(t, b, func(batch *journal.Batch) {
		for seq := uint64(1); seq <= 5; seq++ {
			batch.Append(life, seq, record(seq))
		}
		batch.Append(life, 6, record(7))
		batch.Trim(life, 2)
	})
	var kept [][]byte
	for r, err := range journal.Records(b, life, 1, 4) {
		require.NoError(t, err)
		kept = append(kept, r.Action)
	}
	require.Equal(t, [][]byte{{2}, {3}, {4}}, kept, "actions stay valid, a trimmed start is no error")
	_, err := list(journal.Records(b, life, 1, math.MaxUint64))
	require.EqualError(t, err, "record "+life.String()+" seq 6: corrupt at byte 24: it has seq 7")

	_, err = list(journal.Records(gappy{b}, life, 1, 5))
	require.EqualError(t, err, "log "+life.String()+" seq 3: corrupt at byte 0: followed by seq 4")
}

// gappy loses record 3.
type gappy struct{ journal.Backend }

func (g gappy) Records(life journal.Incarnation, from, to uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for e, err := range g.Backend.Records(life, from, to) {
			if e.Seq != 3 && !yield(e, err) {
				return
			}
		}
	}
}

func TestPrefixEnd(t *testing.T) {
	for _, c := range []struct{ prefix, end string }{{"a", "b"}, {"a\xff", "b"}, {"a\x00", "a\x01"}, {"\xff\xff", ""}, {"", ""}} {
		prefix := []byte(c.prefix)
		require.Equal(t, c.end, string(journal.PrefixEnd(prefix)), "%q", c.prefix)
		require.Equal(t, c.prefix, string(prefix))
	}
	require.Nil(t, journal.PrefixEnd([]byte{0xff}), "no upper bound")
}

func TestBatch(t *testing.T) {
	var b, other journal.Batch
	require.True(t, b.Empty())
	require.ErrorIs(t, b.Set(nil, []byte("v")), journal.ErrEmptyKey)
	require.True(t, b.Empty())
	other.Append(journal.Incarnation{1}, 1, []byte("four"))
	other.Delete([]byte("k"))
	b.Join(&other)
	b.Join(&other)
	require.Equal(t, 10, b.Size())
	require.Len(t, b.Logs(), 2)
	require.Len(t, b.Rows(), 2)
	logs := b.Logs()
	b.Reset()
	require.True(t, b.Empty())
	require.Zero(t, b.Size())
	require.Nil(t, logs[0].Record, "what was written is not held on to")
}
