package pebble

import (
	"fmt"
	"sync"

	"github.com/crhost/crhost/host/journal"
)

// tailsKept bounds the table. An entry takes about 100 bytes.
const tailsKept = 1 << 18

// tails knows the ends of the logs that were appended to lately, so that an append out of order is noticed without reading. A caller who keeps a
// Place finds its log's end without a search.
type tails struct {
	mu   sync.Mutex // guards what follows, and all ends
	ends map[journal.Incarnation]*end
	last func(journal.Incarnation) (uint64, error) // reads the last seq of a log, 0 when it is empty
}

// end is where a log ends.
type end struct {
	next uint64 // the only seq that may be appended; 0 for any
	gone bool   // it is in no table any more, whoever noted it
}

// write checks the writes of a batch and moves the ends. It returns an error when a record does not follow.
func (t *tails) write(logs []journal.LogWrite) error {
	if len(logs) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range logs {
		if err := t.writeOne(&logs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *tails) writeOne(w *journal.LogWrite) error {
	switch w.Op {
	case journal.OpAppend:
		e := t.find(w)
		if e.next != 0 && w.Seq != e.next {
			return fmt.Errorf("log %s: record %d appended where %d follows", w.Life, w.Seq, e.next)
		}
		e.next = w.Seq + 1
	case journal.OpTrim:
		// An unknown log is not read for it: whatever follows is taken.
		if e := t.ends[w.Life]; e == nil {
			t.keep(w.Life, new(end))
		} else if w.Seq >= e.next {
			e.next = 0
		}
	case journal.OpDrop:
		if e := t.ends[w.Life]; e != nil {
			e.next = 0
		} else {
			t.keep(w.Life, new(end))
		}
	}
	return nil
}

// find returns the end of the log of an append.
func (t *tails) find(w *journal.LogWrite) *end {
	if w.Place != nil {
		if e, _ := w.Place.Note.(*end); e != nil && !e.gone {
			return e
		}
	}
	e := t.ends[w.Life]
	if e == nil {
		e = new(end)
		// The first record of a life is taken without a look: a life is new, and the look would be a read of the disk for each new store. The
		// others belong to a store that was just read. If that cannot be read again, the record is no worse for it.
		if w.Seq > 1 {
			if last, err := t.last(w.Life); err == nil && last > 0 {
				e.next = last + 1
			}
		}
		t.keep(w.Life, e)
	}
	if w.Place != nil {
		w.Place.Note = e
	}
	return e
}

func (t *tails) keep(life journal.Incarnation, e *end) {
	if len(t.ends) >= tailsKept {
		for other, old := range t.ends {
			old.gone = true
			delete(t.ends, other)
			break
		}
	}
	if t.ends == nil {
		t.ends = make(map[journal.Incarnation]*end)
	}
	t.ends[life] = e
}
