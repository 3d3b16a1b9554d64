package pebble_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/pebble"
)

// writer writes batches to logs and rows of its own, one after the other, and remembers what the journal holds after each.
type writer struct {
	id     byte
	rnd    *rand.Rand
	states []map[string]string // after 0, 1, 2, ... batches
	last   [3]uint64           // seqs of its logs
	first  [3]uint64

	mu        sync.Mutex // guards what follows
	submitted int
	acked     int
}

func (w *writer) life(i int) journal.Incarnation { return journal.Incarnation{w.id, byte(i), 15: 1} }

func recordName(life journal.Incarnation, seq uint64) string { return fmt.Sprintf("%s/%d", life, seq) }

// next makes a batch of several writes and what the journal holds with it.
func (w *writer) next() (*journal.Batch, map[string]string) {
	batch, state := new(journal.Batch), maps.Clone(w.states[len(w.states)-1])
	n := len(w.states)
	for i := range w.last {
		for range 1 + w.rnd.IntN(2) {
			w.last[i]++
			record := strings.Repeat(fmt.Sprintf("%d/%d ", n, i), 1+w.rnd.IntN(100))
			batch.Append(w.life(i), w.last[i], []byte(record))
			state[recordName(w.life(i), w.last[i])] = record
		}
		row := fmt.Sprintf("row %d/%d/%d", w.id, i, w.rnd.IntN(5))
		state[row] = fmt.Sprint(n)
		_ = batch.Set([]byte(row), []byte(state[row]))
	}
	gone := fmt.Sprintf("row %d/0/%d", w.id, w.rnd.IntN(5))
	batch.Delete([]byte(gone))
	delete(state, gone)
	switch i := w.rnd.IntN(3); w.rnd.IntN(12) {
	case 0:
		below := w.first[i] + uint64(w.rnd.IntN(int(w.last[i]-w.first[i]+1)))
		batch.Trim(w.life(i), below)
		for ; w.first[i] < below; w.first[i]++ {
			delete(state, recordName(w.life(i), w.first[i]))
		}
	case 1:
		batch.Drop(w.life(i))
		for ; w.first[i] <= w.last[i]; w.first[i]++ {
			delete(state, recordName(w.life(i), w.first[i]))
		}
		w.first[i], w.last[i] = 1, 0
	case 2:
		batch.Release(w.life(i), w.last[i])
	}
	return batch, state
}

// crash is what was found on the disk at one moment, and what was known then.
type crash struct {
	disk             *vfs.MemFS
	acked, submitted []int // of each writer
}

// crashRun has writers write at random, with a crash at each sync of a file, and returns what was wrong with the journals that were found.
func crashRun(t *testing.T, seed uint64, batches int, mutate func(*pebble.Backend) journal.Backend) (faults []string) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	rnd := rand.New(rand.NewPCG(seed, 0))
	writers := make([]*writer, 3)
	for i := range writers {
		writers[i] = &writer{id: byte(i), rnd: rand.New(rand.NewPCG(seed, uint64(i+1))), states: []map[string]string{{}}, first: [3]uint64{1, 1, 1}}
	}
	known := func(what func(*writer) int) (known []int) {
		for _, w := range writers {
			w.mu.Lock()
			known = append(known, what(w))
			w.mu.Unlock()
		}
		return known
	}
	var mu sync.Mutex // guards crashes and rnd
	var crashes []crash
	syncs := atSync(func() {
		mu.Lock()
		defer mu.Unlock()
		c := crash{acked: known(func(w *writer) int { return w.acked })}
		c.disk = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * rnd.IntN(3), RNG: rnd})
		c.submitted = known(func(w *writer) int { return w.submitted })
		crashes = append(crashes, c)
	})
	backend := open(t, inject(disk, syncs), pebble.Config{MemTableBytes: 128 << 10})
	defer func() { require.NoError(t, backend.Close()) }()
	b := mutate(backend)
	var wg sync.WaitGroup
	for _, w := range writers {
		wg.Go(func() {
			for range batches {
				batch, state := w.next()
				w.mu.Lock()
				w.states = append(w.states, state)
				w.submitted++
				w.mu.Unlock()
				if err := b.Apply(batch); err != nil {
					t.Error(err)
					return
				}
				w.mu.Lock()
				w.acked++
				w.mu.Unlock()
			}
		})
	}
	wg.Wait()
	mu.Lock()
	found := slices.Clone(crashes)
	mu.Unlock()
	again := rand.New(rand.NewPCG(seed, 100)) // the other is in use still: tables are being compacted
	for n, c := range found {
		if fault := c.check(writers, again); fault != "" {
			faults = append(faults, fmt.Sprintf("crash %d of %d: %s", n, len(found), fault))
		}
	}
	t.Logf("%d crashes", len(found))
	return faults
}

// atSync calls do before each sync of a file.
func atSync(do func()) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			do()
		}
		return nil
	})
}

// check opens what was found, and what is found when the power goes out once more while it is being opened.
func (c *crash) check(writers []*writer, rnd *rand.Rand) string {
	var mu sync.Mutex // guards again and rnd
	var again []*vfs.MemFS
	b, err := pebble.Open(dir, pebble.Config{FS: inject(c.disk, atSync(func() {
		mu.Lock()
		defer mu.Unlock()
		again = append(again, c.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * rnd.IntN(3), RNG: rnd}))
	}))})
	if err != nil {
		return err.Error()
	}
	fault := c.compare(b, writers)
	if err := b.Close(); err != nil {
		return err.Error()
	}
	if fault != "" || len(again) == 0 {
		return fault
	}
	b, err = pebble.Open(dir, pebble.Config{FS: again[rnd.IntN(len(again))]})
	if err != nil {
		return "again: " + err.Error()
	}
	defer b.Close()
	if fault = c.compare(b, writers); fault != "" {
		return "again: " + fault
	}
	return ""
}

// compare says what is wrong: each writer's batches are there up to one between the last acknowledged and the last submitted, whole.
func (c *crash) compare(b journal.Reader, writers []*writer) string {
	for i, w := range writers {
		found, err := w.read(b)
		if err != nil {
			return err.Error()
		}
		ok := false
		for n := c.acked[i]; n <= c.submitted[i]; n++ {
			ok = ok || maps.Equal(found, w.states[n])
		}
		if !ok {
			return fmt.Sprintf("writer %d: what is there is not what %d to %d batches left", i, c.acked[i], c.submitted[i])
		}
	}
	return ""
}

// read returns what the journal holds of the writer.
func (w *writer) read(b journal.Reader) (map[string]string, error) {
	found := map[string]string{}
	for i := range w.last {
		for e, err := range b.Records(w.life(i), 0, 1<<40) {
			if err != nil {
				return nil, err
			}
			found[recordName(w.life(i), e.Seq)] = string(e.Bytes)
		}
	}
	prefix := fmt.Appendf(nil, "row %d/", w.id)
	for row, err := range b.Rows(prefix, journal.PrefixEnd(prefix)) {
		if err != nil {
			return nil, err
		}
		found[string(row.Key)] = string(row.Value)
	}
	return found, nil
}

func TestCrash_atEverySync(t *testing.T) {
	right := func(b *pebble.Backend) journal.Backend { return b }
	seeds := uint64(8)
	if testing.Short() {
		seeds = 2
	}
	if os.Getenv("CRHOST_LONG") != "" {
		seeds = 300
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { require.Empty(t, crashRun(t, seed, 60, right)) })
	}
}

// halves is a mutant that writes a batch in two.
type halves struct{ *pebble.Backend }

func (h halves) Apply(batch *journal.Batch) error {
	var logs, rows journal.Batch
	for _, w := range batch.Logs() {
		switch w.Op {
		case journal.OpAppend:
			logs.Append(w.Life, w.Seq, w.Record)
		case journal.OpTrim:
			logs.Trim(w.Life, w.Seq)
		case journal.OpDrop:
			logs.Drop(w.Life)
		}
	}
	for _, w := range batch.Rows() {
		if w.Delete {
			rows.Delete(w.Key)
		} else {
			_ = rows.Set(w.Key, w.Value)
		}
	}
	if err := h.Backend.Apply(&logs); err != nil {
		return err
	}
	return h.Backend.Apply(&rows)
}

func TestCrash_mutants(t *testing.T) {
	for name, mutate := range map[string]func(*pebble.Backend) journal.Backend{
		"does not sync":         func(b *pebble.Backend) journal.Backend { b.LoseSyncs(); return b },
		"writes a batch in two": func(b *pebble.Backend) journal.Backend { return halves{b} },
	} {
		t.Run(name, func(t *testing.T) {
			faults := crashRun(t, 1, 60, mutate)
			require.NotEmpty(t, faults)
			t.Log(faults[0])
		})
	}
}
