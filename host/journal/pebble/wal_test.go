package pebble_test

import (
	"io"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/pebble"
)

// lastLog returns the log that is written to, and its bytes.
func lastLog(t *testing.T, fs vfs.FS) (name string, content []byte) {
	t.Helper()
	names, err := fs.List(dir)
	require.NoError(t, err)
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".log") })
	slices.Sort(names)
	name = path.Join(dir, names[len(names)-1])
	f, err := fs.Open(name)
	require.NoError(t, err)
	defer f.Close()
	content, err = io.ReadAll(f)
	require.NoError(t, err)
	return name, content
}

func overwrite(t *testing.T, fs vfs.FS, name string, content []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

// written is what power loss leaves of a journal with so many records, each in a batch of its own, and where the log ended after each.
func written(t *testing.T, records, size int) (disk *vfs.MemFS, ends []int) {
	t.Helper()
	before := vfs.NewCrashableMem()
	b := open(t, before, pebble.Config{})
	for seq := range uint64(records) {
		require.NoError(t, b.Apply(record(seq+1, size)))
		_, content := lastLog(t, before)
		ends = append(ends, len(content))
	}
	disk = before.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, b.Close())
	return disk, ends
}

func TestTail_clean(t *testing.T) {
	disk, ends := written(t, 100, 500)
	b := open(t, disk, pebble.Config{})
	require.False(t, b.Recovered().Torn)
	require.EqualValues(t, ends[99], b.Recovered().Offset)
	require.NoError(t, b.Close())
	b = open(t, disk, pebble.Config{})
	require.False(t, b.Recovered().Torn, "closed")
	require.NoError(t, b.Close())
}

func TestTail_tornIsCutAndTold(t *testing.T) {
	for _, size := range []int{10, 40_000} { // within a block, and over several
		crashed, ends := written(t, 5, size)
		for _, cut := range []int{1, 7, 12, 20, size / 2, size - 1} {
			disk := crashed.CrashClone(vfs.CrashCloneCfg{})
			name, content := lastLog(t, disk)
			overwrite(t, disk, name, content[:ends[3]+cut])
			b := open(t, disk, pebble.Config{})
			_, last, err := b.Bounds(life)
			require.NoError(t, err)
			require.EqualValues(t, 4, last)
			// Less than a header tells of nothing.
			require.Equal(t, cut >= 11, b.Recovered().Torn, "%d bytes", cut)
			if b.Recovered().Torn {
				require.Equal(t, pebble.Recovery{Torn: true, File: name, Offset: int64(ends[3]), Bytes: int64(cut)}, b.Recovered())
			}
			require.NoError(t, b.Close())
		}
	}
}

// Wherever a bit of the log flips, but for one field at its very end: an acknowledged record is there, or its loss is told.
func TestTail_damage(t *testing.T) {
	for _, c := range []struct{ records, size int }{{200, 30}, {40, 5_000}} { // one log each
		crashed, ends := written(t, c.records, c.size)
		for n := 0; n < c.records; n += 3 {
			for _, at := range []int{0, 4, 6, 7, 12, 19, 40} { // checksum, length, encoding, number, offset, payload
				disk := crashed.CrashClone(vfs.CrashCloneCfg{})
				name, content := lastLog(t, disk)
				begin := 0
				if n > 0 {
					begin = ends[n-1]
				}
				content[begin+at] ^= 1
				overwrite(t, disk, name, content)
				b, err := pebble.Open(dir, pebble.Config{FS: disk})
				if n < c.records-4 {
					require.ErrorIs(t, err, journal.ErrCorrupt, "record %d, byte %d", n+1, at)
					require.ErrorContains(t, err, name)
					continue
				}
				if err != nil {
					require.ErrorIs(t, err, journal.ErrCorrupt)
					continue
				}
				// The last record, when it seems to be of another log, looks like what that one left in the file.
				require.True(t, b.Recovered().Torn || n == c.records-1 && at == 7, "record %d, byte %d", n+1, at)
				_, last, err := b.Bounds(life)
				require.NoError(t, err)
				require.EqualValues(t, n, last)
				require.NoError(t, b.Close())
			}
		}
	}
}

func TestDamage_inATable(t *testing.T) {
	disk := vfs.NewMem()
	b := open(t, disk, pebble.Config{})
	for seq := range uint64(2000) {
		require.NoError(t, b.Apply(record(seq+1, 100)))
	}
	var other journal.Batch
	require.NoError(t, other.Set([]byte("z"), []byte("fine")))
	require.NoError(t, b.Apply(&other))
	require.NoError(t, b.Pebble().Flush())
	require.NoError(t, b.Close())
	names, err := disk.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		if name = path.Join(dir, name); strings.HasSuffix(name, ".sst") {
			f, err := disk.Open(name)
			require.NoError(t, err)
			content, err := io.ReadAll(f)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			if len(content) > 10_000 {
				content[5_000] ^= 1
				overwrite(t, disk, name, content)
			}
		}
	}
	var told atomic.Int64
	b = open(t, disk, pebble.Config{OnError: func(error) { told.Add(1) }})
	defer func() { require.NoError(t, b.Close()) }()
	var damage *journal.CorruptError
	for _, err = range b.Records(life, 1, 2000) {
	}
	require.ErrorAs(t, err, &damage)
	require.Equal(t, life, damage.Life)
	require.NotZero(t, damage.Seq)
	require.NotZero(t, told.Load())
	value, err := b.Get([]byte("z"))
	require.NoError(t, err, "nothing else stops")
	require.Equal(t, "fine", string(value))
	require.NoError(t, b.Apply(record(2001, 10)))
}
