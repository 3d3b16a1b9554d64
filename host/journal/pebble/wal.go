package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"github.com/crhost/crhost/host/journal"
)

// Recovery is what Open found at the end of the last log.
type Recovery struct {
	Torn   bool   // the log ended in the middle of what was being written, which is cut
	File   string // the log
	Offset int64  // from here on it is cut
	Bytes  int64  // from there to the end of the file, of which a part may be what an older log left there
}

// readLogs reads the logs before Pebble does. It returns how the last one ends, or an error that is journal.ErrCorrupt when one of them is damaged
// where it had been synced.
func readLogs(fs vfs.FS, dir string) (last Recovery, err error) {
	logs, err := wal.Scan(wal.Dir{FS: fs, Dirname: dir})
	if err != nil {
		return Recovery{}, err
	}
	for _, log := range logs {
		_, path := log.SegmentLocation(0)
		if last, err = readLog(fs, path, uint32(log.Num)); err != nil {
			return Recovery{}, err
		}
	}
	return last, nil
}

func readLog(fs vfs.FS, path string, number uint32) (Recovery, error) {
	f, err := fs.Open(path)
	if err != nil {
		return Recovery{}, err
	}
	defer f.Close()
	r := logReader{number: number}
	block := make([]byte, blockSize)
	for {
		n, err := io.ReadFull(f, block)
		if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			return Recovery{}, fmt.Errorf("read %s: %w", path, err)
		}
		r.read(block[:n])
		if n < len(block) {
			break
		}
	}
	if r.damaged() {
		return Recovery{}, &journal.CorruptError{
			What: "log", Key: path, Offset: int(r.stop), Reason: "damaged, and what follows says that it had been synced",
		}
	}
	if !r.torn {
		return Recovery{File: path, Offset: r.end}, nil
	}
	return Recovery{Torn: true, File: path, Offset: r.end, Bytes: r.at - r.end}, nil
}

// A log is blocks of chunks; a record is one full chunk, or a first, some middle and a last one. No chunk crosses a block; the end of a block that is
// too short for a header is zeros. A chunk is, little-endian (Pebble's package record has the whole story):
//
//	crc u32  length u16  encoding u8  number of the log u32  [offset u64]  payload
//
// The offset is in encodings 9 to 12: that much of the log had been synced when the chunk was made, or more. A file may have been another log before;
// the number tells.
const (
	blockSize   = 32 << 10
	shortHeader = 11
	longHeader  = 19
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunk is a chunk whose checksum is right.
type chunk struct {
	size        int // with its header
	first, last bool
	synced      uint64
	long        bool
}

// parse reads the chunk at the start of b. Ours says that at least the header is one of this log.
func parse(b []byte, number uint32) (c chunk, ours, ok bool) {
	if len(b) < shortHeader || b[6] < 5 || b[6] > 12 || binary.LittleEndian.Uint32(b[7:]) != number {
		return chunk{}, false, false
	}
	header := shortHeader
	if b[6] > 8 {
		header, c.long = longHeader, true
	}
	c.size = header + int(binary.LittleEndian.Uint16(b[4:]))
	if len(b) < c.size {
		return chunk{}, true, false
	}
	sum := crc32.Checksum(b[6:c.size], castagnoli)
	if binary.LittleEndian.Uint32(b) != (sum>>15|sum<<17)+0xa282ead8 {
		return c, true, false
	}
	kind := (b[6] - 5) % 4 // full, first, middle, last
	c.first, c.last = kind <= 1, kind == 0 || kind == 3
	if c.long {
		c.synced = binary.LittleEndian.Uint64(b[shortHeader:])
	}
	return c, true, true
}

// logReader follows a log to where it stops, and looks at what lies behind.
type logReader struct {
	number uint32
	at     int64 // where the present block begins
	end    int64 // of the last whole record

	stopped bool
	stop    int64 // offset of the first thing that is no chunk
	torn    bool  // something of this log lies behind end

	synced []uint64 // different offsets found behind stop
}

// read takes the next block. All but the last are full.
func (r *logReader) read(block []byte) {
	defer func() { r.at += int64(len(block)) }()
	i := 0
	if !r.stopped {
		i = r.follow(block)
		if !r.stopped {
			return
		}
		c, ours, _ := parse(block[i:], r.number)
		r.torn = r.torn || ours
		if ours && c.size > 0 {
			i += c.size // its payload is not searched: it may hold anything
		}
		// Chunks begin anywhere here; in later blocks, the first begins at zero.
		for ; i < len(block); i++ {
			if _, _, ok := parse(block[i:], r.number); ok {
				break
			}
		}
	}
	for i < len(block) {
		c, _, ok := parse(block[i:], r.number)
		if !ok {
			return
		}
		r.torn = true
		if c.long && !slices.Contains(r.synced, c.synced) && len(r.synced) < 3 {
			r.synced = append(r.synced, c.synced)
		}
		if c.long && int64(c.synced) > r.stop {
			r.synced = append(r.synced[:0], c.synced, c.synced, c.synced) // beyond doubt
		}
		i += c.size
	}
}

// follow goes from chunk to chunk, to the end of the block or to where the log stops.
func (r *logReader) follow(block []byte) (i int) {
	for i < len(block) {
		c, _, ok := parse(block[i:], r.number)
		if !ok {
			if rest := block[i:]; len(rest) < longHeader && len(block) == blockSize && allZero(rest) {
				return len(block)
			}
			r.stopped, r.stop = true, r.at+int64(i)
			return i
		}
		i += c.size
		r.torn = !c.last
		if c.last {
			r.end = r.at + int64(i)
		}
	}
	return i
}

// damaged says that what lies behind the stop proves that the stop had been synced.
//
// It does when it says so by its offset. Pebble's offsets are too low by what was written in whole blocks, so there is a second proof. An offset changes when a sync
// has ended. Three different ones behind the stop mean that one sync ended and a later one began and ended after the bytes at the stop were made, and the
// later one included them.
func (r *logReader) damaged() bool { return len(r.synced) >= 3 }

func allZero(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }
