package pebble

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/crhost/crhost/host/journal"
)

var (
	// ErrLocked: another host has the directory open, in this process or another.
	ErrLocked = errors.New("another host has the journal open")

	// ErrForeign: the directory holds a Pebble that is no journal.
	ErrForeign = errors.New("not a journal")
)

// Config is optional in all its fields.
type Config struct {
	// CacheBytes is how much of the tables is kept in memory. Defaults to DefaultCacheBytes.
	CacheBytes int64

	// MemTableBytes is how much is kept in memory until it is written to a table. Up to four times as much is in use, in memory and in logs. Defaults to
	// DefaultMemTableBytes.
	MemTableBytes int64

	// OnFatal is called once, in a goroutine of its own, when nothing can be written any more: with what Apply returns from then on. It may
	// close the backend and end the process. Not called when Open fails.
	OnFatal func(error)

	// OnError is called with what Pebble goes on from: flushes and compactions that failed and are tried again, damage that was read. It must
	// not block nor call the backend.
	OnError func(error)

	// FS is the file system, for tests. Defaults to the one of the operating system.
	FS vfs.FS
}

// Validate returns all that is wrong with a Config.
func (c Config) Validate() error {
	var faults []error
	if c.CacheBytes < 0 {
		faults = append(faults, fmt.Errorf("CacheBytes: %d is below zero", c.CacheBytes))
	}
	if c.MemTableBytes < 0 || c.MemTableBytes > math.MaxUint32 {
		faults = append(faults, fmt.Errorf("MemTableBytes: %d is not between 0 and %d", c.MemTableBytes, uint32(math.MaxUint32)))
	}
	return errors.Join(faults...)
}

// Backend is a journal on disk. It may be used by many goroutines.
type Backend struct {
	reader
	db       *pebble.DB
	fs       vfs.FS
	dir      string
	lock     io.Closer
	faults   *faults
	tails    tails
	recovery Recovery

	durability *pebble.WriteOptions // of batches: pebble.Sync, but for a mutant
	committing sync.WaitGroup       // goroutines in Pebble's Apply
	ended      error                // of Close
}

var _ journal.Backend = (*Backend)(nil)

// Open opens the journal in a directory, which is created when there is none. Its error is [ErrLocked] when another host has it, [ErrForeign]
// when the directory holds something else, journal.ErrCorrupt when what was synced is damaged, and journal.ErrFormat when a newer program
// wrote it. When the disk cannot be written, the directory may stay locked until the process ends.
func Open(dir string, c Config) (*Backend, error) {
	b, err := open(dir, c)
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	return b, nil
}

func open(dir string, c Config) (*Backend, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.CacheBytes = cmp.Or(c.CacheBytes, DefaultCacheBytes)
	c.MemTableBytes = cmp.Or(c.MemTableBytes, DefaultMemTableBytes)
	if c.FS == nil {
		c.FS = vfs.Default
	}
	lock, dir, err := acquire(c.FS, dir)
	if err != nil {
		return nil, err
	}
	recovery, err := readLogs(c.FS, dir)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	g := &gate{FS: c.FS, faults: newFaults(c.OnFatal)}
	o := options(c, g)
	o.Lock = lock
	b := &Backend{fs: c.FS, dir: dir, lock: lock, faults: g.faults, recovery: recovery, durability: pebble.Sync}
	opened := make(chan error, 1)
	go func() {
		db, err := pebble.Open(dir, o)
		b.db = db
		if err == nil {
			err = b.layout()
		}
		opened <- err
	}()
	select {
	case err = <-opened:
	case <-g.faults.dead:
		// What is under way in there never returns, and keeps the lock: the process is of no more use for this directory.
		return nil, g.faults.err
	}
	if err != nil {
		if b.db != nil {
			return nil, errors.Join(err, b.db.Close(), lock.Close())
		}
		return nil, errors.Join(corrupt(err, "journal", journal.CorruptError{Key: dir}), lock.Close())
	}
	b.reader = reader{source: b.db, use: new(use)}
	b.tails.last = b.lastSeq
	g.faults.armed.Store(true)
	return b, nil
}

// acquire creates and locks the directory, and returns the path that it is locked by.
func acquire(fs vfs.FS, dir string) (*pebble.Lock, string, error) {
	if err := makeDir(fs, dir); err != nil {
		return nil, "", err
	}
	if fs == vfs.Default {
		// The lock does not hold within a process, so Pebble keeps a list there: of paths.
		resolved, err := filepath.EvalSymlinks(dir)
		if err == nil {
			resolved, err = filepath.Abs(resolved)
		}
		if err != nil {
			return nil, "", err
		}
		dir = resolved
	}
	lock, err := pebble.LockDirectory(dir, fs)
	// Linux and the BSDs say EAGAIN when it is another process. Pebble has words for this one.
	if err != nil && (errors.Is(err, syscall.EAGAIN) || err.Error() == "lock held by current process") {
		return nil, "", ErrLocked
	}
	return lock, dir, err
}

// makeDir creates a directory and what is missing above it, durably.
func makeDir(fs vfs.FS, dir string) error {
	if exists(fs, dir) {
		return nil
	}
	parent := fs.PathDir(dir)
	if parent != dir {
		if err := makeDir(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	d, err := fs.OpenDir(parent)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func exists(fs vfs.FS, name string) bool {
	_, err := fs.Stat(name)
	return err == nil
}

// layout checks the version of the layout, and writes it into an empty Pebble.
func (b *Backend) layout() error {
	value, closer, err := b.db.Get(layoutKey)
	switch {
	case err == nil:
		defer closer.Close()
		return checkLayout(value)
	case !errors.Is(err, pebble.ErrNotFound):
		return err
	}
	it, err := b.db.NewIter(nil)
	if err != nil {
		return err
	}
	foreign := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	if foreign {
		return ErrForeign
	}
	if err := b.db.Set(layoutKey, encodeLayout(layoutVersion), pebble.Sync); err != nil {
		return err
	}
	// Pebble makes the first log of all before it raises the format, so that one has no offsets. This begins the next.
	return b.db.Flush()
}

// Recovered returns what Open found at the end of the last log.
func (b *Backend) Recovered() Recovery { return b.recovery }

// Err returns nil while batches can be written, and what Apply returns when they cannot.
func (b *Backend) Err() error { return b.faults.reason() }

// closePatience is how long Close waits for a Pebble that is dead.
const closePatience = time.Second

// Close ends the backend. It waits for calls that are under way, iterations included. Snapshots that are still open are an error. It returns
// why the backend is dead when it is; then some of Pebble's goroutines and the lock may stay until the process ends, as it should.
func (b *Backend) Close() error {
	if !b.use.end() {
		return b.ended
	}
	b.ended = b.close()
	return b.ended
}

func (b *Backend) close() error {
	idle := make(chan struct{})
	go func() {
		b.committing.Wait()
		close(idle)
	}()
	if !b.settles(idle) {
		return b.faults.err
	}
	close(b.faults.closing)
	var err error
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		defer func() {
			if r := recover(); r != nil {
				err = b.faults.die(fmt.Errorf("close: %v", r))
			}
		}()
		err = b.db.Close()
	}()
	if !b.settles(closed) {
		return b.faults.err
	}
	unlocked := b.lock.Close()
	if reason := b.faults.reason(); reason != nil {
		return reason
	}
	if err := errors.Join(err, unlocked); err != nil {
		return fmt.Errorf("pebble journal: close: %w", err)
	}
	return nil
}

// settles waits for done. It gives up when the backend is dead and something in Pebble will not return.
func (b *Backend) settles(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-b.faults.dead:
	}
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	select {
	case <-done:
		return true
	case <-b.faults.stuck:
	case <-patience.C:
	}
	return false
}
