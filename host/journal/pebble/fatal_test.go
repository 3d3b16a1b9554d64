package pebble_test

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/pebble"
)

// fault makes operations on files fail, from when it is on.
type fault struct {
	on   atomic.Bool
	file string // a part of the name, without the directory's
	ops  []errorfs.OpKind
}

func (f *fault) String() string { return f.file }

func (f *fault) MaybeError(op errorfs.Op) error {
	if !f.on.Load() || !strings.Contains(path.Base(op.Path), f.file) {
		return nil
	}
	for _, kind := range f.ops {
		if op.Kind == kind {
			return syscall.EIO
		}
	}
	return nil
}

var (
	syncs   = []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	writes  = []errorfs.OpKind{errorfs.OpFileWrite}
	creates = []errorfs.OpKind{errorfs.OpCreate, errorfs.OpRename}
)

var life = journal.Incarnation{1}

func record(seq uint64, size int) *journal.Batch {
	batch := new(journal.Batch)
	batch.Append(life, seq, []byte(strings.Repeat(fmt.Sprintf("%09d ", seq), 1+size/10)))
	return batch
}

func TestFailure_S14(t *testing.T) {
	for name, f := range map[string]*fault{
		"sync of the log":  {file: ".log", ops: syncs},
		"write of the log": {file: ".log", ops: writes},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewCrashableMem()
			told := make(chan error, 2)
			b := open(t, inject(disk, f), pebble.Config{OnFatal: func(err error) { told <- err }})
			for seq := range uint64(10) {
				require.NoError(t, b.Apply(record(seq+1, 10)))
			}
			require.NoError(t, b.Err())
			// What Open has flushed is compacted now, and not while the fault is on: then Pebble could not be closed.
			require.NoError(t, b.Pebble().Compact(t.Context(), []byte{0}, []byte{0xff}, false))
			f.on.Store(true)
			fatal := b.Apply(record(11, 10))
			require.ErrorIs(t, fatal, syscall.EIO)
			require.ErrorContains(t, fatal, f.file)
			require.NotErrorIs(t, fatal, journal.ErrRefused)
			require.Equal(t, fatal, <-told)

			f.on.Store(false)
			require.Equal(t, fatal, b.Apply(record(11, 10)), "for good, though the disk works again")
			require.Equal(t, fatal, b.Err())
			_, last, err := b.Bounds(life)
			require.NoError(t, err, "reads go on")
			require.GreaterOrEqual(t, last, uint64(10))
			s, err := b.Snapshot()
			require.NoError(t, err)
			require.NoError(t, s.Close())

			require.Equal(t, fatal, b.Close())
			require.ErrorIs(t, b.Apply(record(11, 10)), journal.ErrClosed)
			require.Empty(t, told, "told once")

			found := open(t, disk.CrashClone(vfs.CrashCloneCfg{}), pebble.Config{})
			defer func() { require.NoError(t, found.Close()) }()
			first, last, err := found.Bounds(life)
			require.NoError(t, err)
			require.EqualValues(t, 1, first)
			require.GreaterOrEqual(t, last, uint64(10), "what was acknowledged is there")
			require.LessOrEqual(t, last, uint64(11))
		})
	}
}

// A table that cannot be written is no loss: the log has it. Pebble goes on trying.
func TestFailure_ofATable(t *testing.T) {
	f := &fault{file: ".sst", ops: append(writes, syncs...)}
	var once sync.Once
	told := make(chan error)
	b := open(t, inject(vfs.NewMem(), f), pebble.Config{MemTableBytes: 64 << 10, OnError: func(err error) { once.Do(func() { go func() { told <- err }() }) }})
	f.on.Store(true)
	for seq := range uint64(150) {
		require.NoError(t, b.Apply(record(seq+1, 1000)))
	}
	require.ErrorIs(t, <-told, syscall.EIO)
	f.on.Store(false)
	require.NoError(t, b.Pebble().Flush(), "it comes to an end")
	require.NoError(t, b.Err())
	_, last, err := b.Bounds(life)
	require.NoError(t, err)
	require.EqualValues(t, 150, last)
	require.NoError(t, b.Close())
}

// child, when set, has a test be another process: a host, which ends with code 3.
const child = "CRHOST_TEST_PEBBLE_CHILD"

// runChild runs the test once more as another process, and returns what that said.
func runChild(t *testing.T, what string) string {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+test+"$", "-test.timeout", "60s")
	cmd.Env = append(os.Environ(), child+"="+what)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", out)
	require.Equal(t, 3, exit.ExitCode(), "%s", out)
	return string(out)
}

// Failures after which something in Pebble never returns take a process of their own. It ends as a host does: not by Pebble, with an
// answer for everybody who waits, with the backend closed, and with all on the disk that was acknowledged.
func TestFailure_endsTheProcess(t *testing.T) {
	faults := map[string]*fault{
		"create of the next log":      {file: ".log", ops: creates},
		"sync of the directory":       {file: "journal", ops: syncs},
		"sync of the log":             {file: ".log", ops: syncs},
		"write of the log":            {file: ".log", ops: writes},
		"sync of the manifest":        {file: "MANIFEST-", ops: syncs},
		"write of the manifest":       {file: "MANIFEST-", ops: writes},
		"sync of tables, for ever":    {file: ".sst", ops: syncs},
		"everything at the same time": {file: "", ops: slices.Concat(creates, writes, syncs)},
	}
	if name := os.Getenv(child); name != "" {
		hostThatFails(faults[name])
	}
	for name := range faults {
		t.Run(name, func(t *testing.T) {
			require.Regexp(t, `^pebble journal: .*input/output error\n$`, runChild(t, name))
		})
	}
}

func hostThatFails(f *fault) {
	said := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	disk := vfs.NewCrashableMem()
	fatal := make(chan error, 2)
	b, err := pebble.Open(dir, pebble.Config{FS: inject(disk, f), MemTableBytes: 256 << 10, OnFatal: func(err error) { fatal <- err }})
	said(err)
	var acked [8]uint64
	var wg sync.WaitGroup
	for i := range acked {
		wg.Go(func() {
			for seq := uint64(1); ; seq++ {
				if seq == 20 && i == 0 {
					f.on.Store(true)
				}
				batch := new(journal.Batch)
				batch.Append(journal.Incarnation{byte(i)}, seq, make([]byte, 20_000))
				if b.Apply(batch) != nil {
					return
				}
				acked[i] = seq
			}
		})
	}
	wg.Wait()
	told := <-fatal
	if closed := b.Close(); closed != told {
		fmt.Println("closed:", closed)
	}
	found, err := pebble.Open(dir, pebble.Config{FS: disk.CrashClone(vfs.CrashCloneCfg{})})
	said(err)
	for i, acked := range acked {
		_, last, err := found.Bounds(journal.Incarnation{byte(i)})
		said(err)
		if last < acked || last > acked+1 {
			fmt.Println("found", last, "acknowledged", acked)
		}
	}
	fmt.Println(told)
	os.Exit(3)
}
