package pebble

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// Defaults of Config.
const (
	DefaultCacheBytes    = 64 << 20
	DefaultMemTableBytes = 64 << 20
)

// maxOpenFiles leaves most of the usual limit of 1,024 to connections.
const maxOpenFiles = 400

// options are Pebble's, each with its reason.
func options(c Config, g *gate) *pebble.Options {
	o := &pebble.Options{
		FS: g,

		// Log chunks carry offsets, so that damage can be told from a torn end; footers of tables are checksummed. Values of their own files,
		// which the next version adds, are of no use here. It may be raised and never lowered.
		FormatMajorVersion: pebble.FormatTableFormatV6,

		Logger:        &logger{faults: g.faults, onError: c.OnError},
		EventListener: events(c.OnError, g),

		CacheSize:    c.CacheBytes,
		MaxOpenFiles: maxOpenFiles,

		// A flush each 64 MiB writes few tables. A start reads at most what these hold.
		MemTableSize: uint64(c.MemTableBytes),
		// Reducing goes on while up to three are being flushed.
		MemTableStopWritesThreshold: 4,
		// Compactions get behind under bursts. Reads that pass more tables are better than writes that wait.
		L0CompactionThreshold: 2,
		L0StopWritesThreshold: 1000,
		// Half of the machine is for guests.
		CompactionConcurrencyRange: func() (int, int) { return 1, max(1, runtime.GOMAXPROCS(0)/2) },

		// Tables go to the disk as they are written and not at once at their end, where a sync of the log would wait for them.
		BytesPerSync: 512 << 10,
		// The log needs no such thing: every batch is synced. Nor a pause between syncs: committers gather batches meanwhile.
		WALBytesPerSync:    0,
		WALMinSyncInterval: nil,
		// Pebble syncs logs, tables and manifests before it closes them. One more sync in closing a log would have it panic past the gate.
		NoSyncOnClose: true,
	}
	// Fast at all levels: what is compressed harder costs time of compactions that guests need, and most bytes are written for history that is
	// hardly read.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	for i := range o.Levels {
		// Callers' keys are mostly looked up in vain; one byte in 200 spares them the disk, at all levels.
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		// Records are read in a row, so larger blocks; rows one by one, so not too large.
		o.Levels[i].BlockSize = 16 << 10
	}
	return o
}

// logger has Pebble's fatal errors end the backend and not the process.
type logger struct {
	faults  *faults
	onError func(error)
}

func (*logger) Infof(string, ...any) {}

func (l *logger) Errorf(format string, args ...any) { tell(l.onError, fmt.Errorf(format, args...)) }

// Fatalf ends the backend. Pebble calls it
//
//   - from Apply, when a commit has failed, with no lock held and nothing to be done after it: it returns;
//   - from flushes and compactions, when the manifest cannot be written (which the gate prevents), or something is wrong that ought not to be:
//     there it must not return.
func (l *logger) Fatalf(format string, args ...any) {
	_ = l.faults.die(fmt.Errorf(format, args...))
	if !strings.HasPrefix(format, "pebble: fatal commit error") {
		l.faults.never()
	}
}

// events tells of what Pebble goes on from. By default damage in a table would be fatal: here its readers get it.
func events(onError func(error), g *gate) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			g.retrying(err)
			tell(onError, err)
		},
		WriteStallBegin: func(pebble.WriteStallBeginInfo) { g.stall(true) },
		WriteStallEnd:   func() { g.stall(false) },
		DataCorruption:  func(info pebble.DataCorruptionInfo) { tell(onError, fmt.Errorf("%s: %w", info.Path, info.Details)) },
	}
}

func tell(onError func(error), err error) {
	if onError != nil {
		onError(fmt.Errorf("pebble journal: %w", err))
	}
}
