package pebble_test

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/journaltest"
	"github.com/crhost/crhost/host/journal/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dir = "data/journal"

// open opens a journal in a file system.
func open(t testing.TB, fs vfs.FS, c pebble.Config) *pebble.Backend {
	t.Helper()
	c.FS = fs
	b, err := pebble.Open(dir, c)
	require.NoError(t, err)
	return b
}

// inject is errorfs.Wrap for logs that are used again, too, which it does not follow.
func inject(fs vfs.FS, injector errorfs.Injector) vfs.FS { return injected{errorfs.Wrap(fs, injector)} }

type injected struct{ vfs.FS }

func (i injected) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := i.Rename(from, to); err != nil {
		return nil, err
	}
	return i.OpenReadWrite(to, category)
}

// mortal is a backend on a disk that may lose power.
type mortal struct {
	*pebble.Backend
	disk  *vfs.MemFS
	power sync.RWMutex // held by those who write; guards out
	out   bool
}

func (m *mortal) Apply(batch *journal.Batch) error {
	m.power.RLock()
	defer m.power.RUnlock()
	if m.out {
		return journal.ErrClosed
	}
	return m.Backend.Apply(batch)
}

// crash returns what is found when the power goes out now.
func (m *mortal) crash() *vfs.MemFS {
	m.power.Lock()
	defer m.power.Unlock()
	m.out = true
	return m.disk.CrashClone(vfs.CrashCloneCfg{})
}

func TestConformance_crashable(t *testing.T) {
	on := func(disk *vfs.MemFS) journal.Backend {
		return &mortal{Backend: open(t, disk, pebble.Config{}), disk: disk}
	}
	journaltest.Run(t, func() journal.Backend { return on(vfs.NewCrashableMem()) }, journaltest.Features{
		Reopen: func(b journal.Backend) journal.Backend { return on(b.(*mortal).crash()) },
	})
}

func TestConformance_memory(t *testing.T) {
	journaltest.Run(t, func() journal.Backend { return open(t, vfs.NewMem(), pebble.Config{}) }, journaltest.Features{})
}

func TestConformance_disk(t *testing.T) {
	journaltest.Run(t, func() journal.Backend {
		b, err := pebble.Open(t.TempDir(), pebble.Config{})
		require.NoError(t, err)
		return b
	}, journaltest.Features{})
}
