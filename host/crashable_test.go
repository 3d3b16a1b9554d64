package host_test

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/journal/pebble"
)

// crashable is a journal whose power can fail.
type crashable interface {
	journal.Backend

	// Crash returns the journal as it is found afterwards. The old one takes nothing any more.
	Crash() crashable
}

// inMemory is a memory journal, of which what was applied survives.
type inMemory struct{ *memory.Backend }

func (m inMemory) Crash() crashable { return inMemory{m.Backend.Crash()} }

// onDisk is a Pebble on a disk of which a crash keeps what was synced, and of the rest what it likes.
type onDisk struct {
	*pebble.Backend
	t    *testing.T
	fs   *vfs.MemFS
	dice *rand.Rand
	dead atomic.Bool
}

var errPower = errors.New("the power has failed")

func openDisk(t *testing.T, fs *vfs.MemFS, dice *rand.Rand) *onDisk {
	b, err := pebble.Open("journal", pebble.Config{FS: fs, MemTableBytes: 128 << 10})
	require.NoError(t, err)
	return &onDisk{Backend: b, t: t, fs: fs, dice: dice}
}

// Apply tells nobody of what was applied when the power has failed meanwhile: it may be there afterwards, or not.
func (d *onDisk) Apply(b *journal.Batch) error {
	if d.dead.Load() {
		return errPower
	}
	if err := d.Backend.Apply(b); err != nil || !d.dead.Load() {
		return err
	}
	return errPower
}

func (d *onDisk) Crash() crashable {
	d.dead.Store(true)
	return openDisk(d.t, d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * d.dice.IntN(3), RNG: d.dice}), d.dice)
}
