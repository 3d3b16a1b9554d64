package memory

import (
	"fmt"
	"iter"

	"github.com/crhost/crhost/host/journal"
)

// log is a ring of records. The record of a seq lies in the slot of its low bits.
type log struct {
	slots       [][]byte // a power of two
	first, next uint64   // seqs kept: first <= seq < next
	released    uint64   // records up to here are history
	dropped     bool     // it is in no table any more, whoever noted it
	_           [15]byte // fills a cache line, not to share one with another shard's
}

func (l *log) slot(seq uint64) *[]byte { return &l.slots[seq&uint64(len(l.slots)-1)] }

func (l *log) append(seq uint64, record []byte) error {
	kept := l.next - l.first
	switch {
	case kept == 0:
		l.first, l.next = seq, seq
	case seq != l.next:
		return fmt.Errorf("record %d appended after %d", seq, l.next-1)
	}
	if kept == uint64(len(l.slots)) {
		l.resize(max(2*len(l.slots), 4))
	}
	*l.slot(seq) = record
	l.next++
	return nil
}

func (l *log) resize(n int) {
	larger := log{slots: make([][]byte, n)}
	for seq := l.first; seq < l.next; seq++ {
		*larger.slot(seq) = *l.slot(seq)
	}
	l.slots = larger.slots
}

// trim removes records below a seq.
func (l *log) trim(below uint64) {
	for below = min(below, l.next); l.first < below; l.first++ {
		*l.slot(l.first) = nil
	}
}

// bound removes history beyond the last so many records.
func (l *log) bound(history uint64) {
	l.trim(min(l.released+1, l.next-min(history, l.next)))
}

func (l *log) clone() *log {
	c := *l
	c.slots = append([][]byte(nil), l.slots...)
	return &c
}

func (p *partition) keep(life journal.Incarnation, l *log) {
	if p.logs == nil {
		p.logs = make(map[journal.Incarnation]*log)
	}
	p.logs[life] = l
}

func (p *partition) write(w *journal.LogWrite, history uint64) (err error) {
	l := p.find(w)
	if l == nil {
		return nil
	}
	switch w.Op {
	case journal.OpAppend:
		err = l.append(w.Seq, w.Record)
		l.bound(history)
	case journal.OpRelease:
		l.released = max(l.released, w.Seq)
		l.bound(history)
	case journal.OpTrim:
		l.trim(w.Seq)
	case journal.OpDrop:
		delete(p.logs, w.Life)
		l.dropped = true
	}
	return err
}

// find returns the log of a write, a new one when the write keeps anything.
func (p *partition) find(w *journal.LogWrite) *log {
	if w.Place != nil {
		if l, _ := w.Place.Note.(*log); l != nil && !l.dropped {
			return l
		}
	}
	l := p.logs[w.Life]
	if l == nil {
		if w.Op == journal.OpDrop || w.Op == journal.OpTrim {
			return nil
		}
		l = new(log)
		p.keep(w.Life, l)
	}
	if w.Place != nil {
		w.Place.Note = l
	}
	return l
}

// Bounds returns the first and last seq kept; see journal.Reader.
func (t *tables) Bounds(life journal.Incarnation) (first, last uint64, err error) {
	p := &t.parts[partitionOf(life)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.closed != nil {
		return 0, 0, t.closed
	}
	if l := p.logs[life]; l != nil && l.first < l.next {
		return l.first, l.next - 1, nil
	}
	return 0, 0, nil
}

// scanned is how many entries a scan takes out under one lock.
const scanned = 128

// Records yields a stretch of a log; see journal.Reader.
func (t *tables) Records(life journal.Incarnation, from, to uint64) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		p := &t.parts[partitionOf(life)]
		var found [scanned]journal.Entry
		for {
			p.mu.Lock()
			err, n := t.closed, 0
			if l := p.logs[life]; l != nil && err == nil {
				for seq := max(from, l.first); n < scanned && seq < l.next && seq <= to; seq++ {
					found[n] = journal.Entry{Seq: seq, Bytes: *l.slot(seq)}
					n++
				}
			}
			p.mu.Unlock()
			if err != nil {
				yield(journal.Entry{}, err)
				return
			}
			for _, e := range found[:n] {
				if !yield(e, nil) {
					return
				}
				from = e.Seq + 1
			}
			if n < scanned {
				return
			}
		}
	}
}
