package pebble

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// errCutOff is what Pebble gets from its file system once the backend is dead.
var errCutOff = errors.New("journal is dead: nothing more is written")

// retryPause slows down Pebble's retries of failed flushes and compactions, which otherwise follow one another at once.
const retryPause = 100 * time.Millisecond

// gate stands between Pebble and its file system. Pebble has no way to go on after a failed write of its log or manifest; depending on who
// meets the error it calls Fatalf, panics with a mutex held (or with one not held that a deferred call unlocks, which no recover catches), or
// spins. So the gate sees the failure first, tells it, and from then on lets nothing through:
//
//	log       write, sync     the error: Pebble's log writer hands it to all who wait
//	log       create, close   never returns: Pebble panics on an error while it changes logs
//	manifest  anything        never returns: Pebble calls Fatalf on an error, with its mutex held, and is inconsistent after it
//	directory sync            never returns: it may be for either
//	the rest  create, rename  waits for Close: a failed flush would be tried again at once
//	the rest  write, sync     the error: it may be holding what Close waits for
//
// While the backend lives, failures of tables pass through and are told to nobody: Pebble reports and retries them.
type gate struct {
	vfs.FS
	faults *faults
	slow   atomic.Bool // a flush or compaction has failed: pause before the next table

	stalled atomic.Bool  // writers wait for flushes
	failed  atomic.Int64 // flushes and compactions, since writers wait
}

// failedWhileStalled is how many failures in a row writers wait for, some seconds with the pauses.
const failedWhileStalled = 30

// retrying is told that Pebble is about to try again what has failed. When nobody can write meanwhile, and it goes on failing, that is the end.
func (g *gate) retrying(err error) {
	g.slow.Store(true)
	if g.stalled.Load() && g.failed.Add(1) >= failedWhileStalled {
		_ = g.faults.die(fmt.Errorf("batches wait for a flush, which failed %d times: %w", failedWhileStalled, err))
	}
}

// stall is told when writers begin and end to wait.
func (g *gate) stall(on bool) {
	g.failed.Store(0)
	g.stalled.Store(on)
}

// faults is the first failure that nobody can go on from.
type faults struct {
	onFatal func(error)
	armed   atomic.Bool // Open has succeeded: failures are told to onFatal
	once    sync.Once
	err     error
	dead    chan struct{} // closed when err is set

	closing   chan struct{} // closed when Close lets those go who wait for it
	stuckOnce sync.Once
	stuck     chan struct{} // closed when something in Pebble will never return, so that Pebble cannot be closed
}

func newFaults(onFatal func(error)) *faults {
	return &faults{onFatal: onFatal, dead: make(chan struct{}), closing: make(chan struct{}), stuck: make(chan struct{})}
}

// die says why nothing more can be written, and returns that. The first reason stays.
func (f *faults) die(err error) error {
	f.once.Do(func() {
		f.err = fmt.Errorf("pebble journal: %w", err)
		close(f.dead)
		if f.onFatal != nil && f.armed.Load() {
			go f.onFatal(f.err) // Pebble may hold its mutex here
		}
	})
	return f.err
}

// reason returns why nothing more can be written, or nil.
func (f *faults) reason() error {
	select {
	case <-f.dead:
		return f.err
	default:
		return nil
	}
}

// wait holds the caller until the backend is closed.
func (f *faults) wait() error {
	<-f.closing
	return errCutOff
}

// setStuck says that some goroutine in Pebble holds locks for good.
func (f *faults) setStuck() { f.stuckOnce.Do(func() { close(f.stuck) }) }

// never holds the caller for good.
func (f *faults) never() {
	f.setStuck()
	select {}
}

// class is what a file is for.
type class uint8

const (
	classTable class = iota // and all else
	classLog
	classManifest
	classDir
)

func (g *gate) classOf(name string) class {
	base := g.PathBase(name)
	switch {
	case strings.HasSuffix(base, ".log"):
		return classLog
	case strings.HasPrefix(base, "MANIFEST-"), g.isMarker(name):
		return classManifest
	}
	return classTable
}

// change passes a change of names through the gate.
func (g *gate) change(c class, op, name string, do func() error) error {
	if g.faults.reason() == nil {
		if c == classTable && g.slow.Swap(false) {
			time.Sleep(retryPause)
		}
		err := do()
		if err == nil {
			return nil
		}
		if c == classTable {
			g.slow.Store(true)
			return err
		}
		_ = g.faults.die(fmt.Errorf("%s %s: %w", op, name, err))
	}
	if c != classTable {
		g.faults.never()
	}
	return g.faults.wait()
}

func (g *gate) open(c class, op, name string, do func() (vfs.File, error)) (f vfs.File, err error) {
	err = g.change(c, op, name, func() (err error) {
		f, err = do()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &file{File: f, gate: g, name: name, class: c}, nil
}

func (g *gate) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if g.isMarker(name) {
		if err := g.syncDir(g.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return g.open(g.classOf(name), "create", name, func() (vfs.File, error) { return g.FS.Create(name, category) })
}

// isMarker says that the file's name names another file: Pebble's present manifest. Pebble syncs the names of both at once; when power loss keeps the marker
// only, it does not open any more. So the directory is synced before a marker is made.
func (g *gate) isMarker(name string) bool { return strings.HasPrefix(g.PathBase(name), "marker.") }

func (g *gate) syncDir(name string) error {
	d, err := g.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (g *gate) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.open(g.classOf(to), "reuse", to, func() (vfs.File, error) { return g.FS.ReuseForWrite(from, to, category) })
}

func (g *gate) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.open(g.classOf(name), "open", name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, category, opts...) })
}

func (g *gate) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &file{File: f, gate: g, name: name, class: classDir}, nil
}

func (g *gate) Rename(from, to string) error {
	return g.change(g.classOf(to), "rename", to, func() error { return g.FS.Rename(from, to) })
}

func (g *gate) Link(from, to string) error {
	return g.change(g.classOf(to), "link", to, func() error { return g.FS.Link(from, to) })
}

// Remove never waits: Close waits for whoever removes files.
func (g *gate) Remove(name string) error {
	if g.faults.reason() != nil {
		return errCutOff
	}
	return g.FS.Remove(name)
}

func (g *gate) RemoveAll(name string) error {
	if g.faults.reason() != nil {
		return errCutOff
	}
	return g.FS.RemoveAll(name)
}

func (g *gate) MkdirAll(name string, perm os.FileMode) error {
	if g.faults.reason() != nil {
		return errCutOff
	}
	return g.FS.MkdirAll(name, perm)
}

// Lock is not for Pebble: whoever opens holds the lock.
func (g *gate) Lock(name string) (io.Closer, error) { return g.FS.Lock(name) }

func (g *gate) Unwrap() vfs.FS { return g.FS }

// file is a file that is written through the gate.
type file struct {
	vfs.File
	gate  *gate
	name  string
	class class
}

// write passes a change of the file through the gate.
func (f *file) write(op string, do func() error) error {
	faults := f.gate.faults
	if faults.reason() == nil {
		err := do()
		if err == nil {
			return nil
		}
		if f.class == classTable {
			f.gate.slow.Store(true)
			return err
		}
		err = faults.die(fmt.Errorf("%s %s: %w", op, f.name, err))
		if f.class == classLog {
			return err
		}
	}
	if f.class == classDir || f.class == classManifest {
		faults.never()
	}
	return errCutOff
}

func (f *file) Write(p []byte) (n int, err error) {
	err = f.write("write", func() error {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

func (f *file) WriteAt(p []byte, offset int64) (n int, err error) {
	err = f.write("write", func() error {
		n, err = f.File.WriteAt(p, offset)
		return err
	})
	return n, err
}

func (f *file) Sync() error     { return f.write("sync", f.File.Sync) }
func (f *file) SyncData() error { return f.write("sync", f.File.SyncData) }

// SyncTo promises nothing, and is called in closing a log: its failure shows in that.
func (f *file) SyncTo(length int64) (full bool, err error) {
	err = f.write("sync", func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	if f.class == classLog {
		return full && err == nil, nil
	}
	return full, err
}

// Close closes the file. A log that is closed after a failure and not by Close is one that Pebble wants to follow with another.
func (f *file) Close() error {
	if f.class == classLog && f.gate.faults.reason() != nil {
		select {
		case <-f.gate.faults.closing:
		default:
			f.gate.faults.never()
		}
	}
	return f.File.Close()
}
