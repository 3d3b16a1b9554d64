package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

const (
	effectVersion   = 1
	standingVersion = 1
)

// Effect is what an action described and its store has not got yet. It is written once; how its leaves stand is a row of its own, which is small
// and changes.
type Effect struct {
	Key         string // of the store
	Time        int64  // of the action, Unix nanoseconds
	Depth       uint32 // how many actions caused this one, one after another, since the last from outside
	Correlation string
	Trace       string // W3C traceparent of the action's span; empty when it was not traced
	Tree        []byte // effects, as the guest returned them
}

// Standing is how one leaf of an effect stands.
type Standing struct {
	Outcome   uint8  // as of package effects; 0 = open
	Ran       bool   // it was started, ever
	Letter    bool   // it has a dead letter
	Overtaken bool   // later ones of the letter's lane were done
	Apart     bool   // it is in another drive, of which the sequential around it knows nothing: that went on, by Outcome
	Drive     uint32 // which run it is in, from 1
	Due       int64  // of a delay that is armed, Unix nanoseconds
	Emitted   uint64 // actions that it fed back before it was done
	Token     []byte // of the last of these
	Again     []byte // what is to be fed back once more, instead of doing the leaf again
}

// The rows of an effect, by the letter behind its seq.
const (
	effectRow     = 'd' // Effect
	standingRow   = 's' // []Standing
	dispatchedRow = 'x' // index: the result of a dispatch, written with what the other store made of it
)

func effectKey(id ModuleID, life Incarnation, seq uint64, row byte) []byte {
	k := append(moduleKey(prefixEffect, id), life[:]...)
	return append(binary.BigEndian.AppendUint64(k, seq), row)
}

func dispatchedKey(id ModuleID, life Incarnation, seq uint64, index int) []byte {
	return binary.BigEndian.AppendUint16(effectKey(id, life, seq, dispatchedRow), uint16(index))
}

// PutEffect writes what an action described, and how its leaves stand at first.
func PutEffect(b *Batch, id ModuleID, life Incarnation, seq uint64, e *Effect, leaves []Standing) {
	w := newWriter(effectVersion, 44+len(e.Key)+len(e.Correlation)+len(e.Trace)+len(e.Tree)+standingSize*len(leaves))
	w.text(e.Key)
	w.u64(uint64(e.Time))
	w.u32(e.Depth)
	w.text(e.Correlation)
	w.text(e.Trace)
	w.bytes(e.Tree)
	w.standings(leaves)
	b.put(effectKey(id, life, seq, effectRow), w.seal())
}

// PutStandings writes how the leaves of an effect stand, all of them, by index. It counts instead of what PutEffect wrote.
func PutStandings(b *Batch, id ModuleID, life Incarnation, seq uint64, leaves []Standing) {
	w := newWriter(standingVersion, 4+standingSize*len(leaves))
	w.standings(leaves)
	b.put(effectKey(id, life, seq, standingRow), w.seal())
}

// standingSize is the size of a Standing without token and action.
const standingSize = 32

func (w *writer) standings(leaves []Standing) {
	w.u32(uint32(len(leaves)))
	for i := range leaves {
		l := &leaves[i]
		flags := uint32(l.Outcome)
		if l.Ran {
			flags |= standingRan
		}
		if l.Letter {
			flags |= standingLetter
		}
		if l.Apart {
			flags |= standingApart
		}
		if l.Overtaken {
			flags |= standingOvertaken
		}
		w.u32(flags)
		w.u32(l.Drive)
		w.u64(uint64(l.Due))
		w.u64(l.Emitted)
		w.bytes(l.Token)
		w.bytes(l.Again)
	}
}

func (r *reader) standings() (leaves []Standing) {
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		flags := r.u32()
		if flags&^(standingOutcome|standingRan|standingLetter|standingApart|standingOvertaken) != 0 {
			r.damaged(r.off-4, "unknown flags %#x", flags)
		}
		leaves = append(leaves, Standing{
			Outcome: uint8(flags & standingOutcome), Ran: flags&standingRan != 0, Letter: flags&standingLetter != 0,
			Apart: flags&standingApart != 0, Overtaken: flags&standingOvertaken != 0,
			Drive: r.u32(), Due: int64(r.u64()), Emitted: r.u64(), Token: r.some(), Again: r.some(),
		})
	}
	return leaves
}

const (
	standingOutcome   = 0xff
	standingRan       = 1 << 8
	standingLetter    = 1 << 9
	standingApart     = 1 << 10
	standingOvertaken = 1 << 11
)

// PutDispatched notes, in the batch of another store's action, that a dispatch of this one has become that action (SEMANTICS E2).
func PutDispatched(b *Batch, id ModuleID, life Incarnation, seq uint64, index int, result []byte) {
	w := newWriter(effectVersion, 4+len(result))
	w.bytes(result)
	b.put(dispatchedKey(id, life, seq, index), w.seal())
}

// DeleteDispatched removes the note of a dispatch.
func DeleteDispatched(b *Batch, id ModuleID, life Incarnation, seq uint64, index int) {
	b.Delete(dispatchedKey(id, life, seq, index))
}

// DeleteEffect removes an effect, and how it stands if PutStandings wrote that.
func DeleteEffect(b *Batch, id ModuleID, life Incarnation, seq uint64, moved bool) {
	b.Delete(effectKey(id, life, seq, effectRow))
	if moved {
		b.Delete(effectKey(id, life, seq, standingRow))
	}
}

// EffectRow is an effect with its place.
type EffectRow struct {
	Effect
	Life       Incarnation
	Seq        uint64
	Leaves     []Standing
	Moved      bool           // PutStandings wrote Leaves
	Dispatched map[int][]byte // results of dispatches that were made, by index
}

// EffectsOf yields the effects of one life, by seq; not what is left of one that was cancelled while its dispatch was under way. It stops after an error.
func EffectsOf(r Reader, id ModuleID, life Incarnation) iter.Seq2[*EffectRow, error] {
	return func(yield func(*EffectRow, error) bool) {
		for e, err := range effects(r, append(moduleKey(prefixEffect, id), life[:]...), len(moduleKey(prefixEffect, id))) {
			if (err != nil || !e.Ended()) && !yield(e, err) {
				return
			}
		}
	}
}

// Effects yields the effects of all lives of a module, by life and seq, and what is left of those that have ended. It stops after an error.
func Effects(r Reader, id ModuleID) iter.Seq2[*EffectRow, error] {
	prefix := moduleKey(prefixEffect, id)
	return effects(r, prefix, len(prefix))
}

func effects(r Reader, prefix []byte, at int) iter.Seq2[*EffectRow, error] {
	return func(yield func(*EffectRow, error) bool) {
		var e *EffectRow
		for row, err := range r.Rows(prefix, PrefixEnd(prefix)) {
			if err == nil && len(row.Key) < at+len(Incarnation{})+8+1 {
				err = &CorruptError{What: "effect", Key: fmt.Sprintf("%q", row.Key), Reason: "key holds no life and seq"}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			rest := row.Key[at:]
			life, seq := Incarnation(rest), binary.BigEndian.Uint64(rest[16:])
			if e != nil && (e.Life != life || e.Seq != seq) {
				if !yield(e, nil) {
					return
				}
				e = nil
			}
			if e == nil {
				e = &EffectRow{Life: life, Seq: seq}
			}
			if err := e.read(row, rest[24], rest[25:]); err != nil {
				yield(nil, err)
				return
			}
		}
		if e != nil {
			yield(e, nil)
		}
	}
}

// Ended reports whether the effect was removed before a dispatch of it was noted: nobody will ask for that note.
func (e *EffectRow) Ended() bool { return e.Tree == nil && e.Leaves == nil }

func (e *EffectRow) read(row Row, kind byte, rest []byte) error {
	switch kind {
	case effectRow:
		r := newReader("effect", effectVersion, row.Key, row.Value)
		e.Effect = Effect{Key: r.text(), Time: int64(r.u64()), Depth: r.u32(), Correlation: r.text(), Trace: r.text(), Tree: r.bytes()}
		e.Leaves = r.standings()
		return r.close()
	case standingRow: // behind the effect's own
		r := newReader("standing", standingVersion, row.Key, row.Value)
		e.Leaves, e.Moved = r.standings(), true
		return r.close()
	case dispatchedRow:
		r := newReader("dispatched", effectVersion, row.Key, row.Value)
		result := r.bytes()
		if len(rest) != 2 {
			r.damaged(0, "key holds no index")
		}
		if err := r.close(); err != nil {
			return err
		}
		if e.Dispatched == nil {
			e.Dispatched = make(map[int][]byte)
		}
		e.Dispatched[int(binary.BigEndian.Uint16(rest))] = result
		return nil
	}
	return &CorruptError{What: "effect", Key: fmt.Sprintf("%q", row.Key), Reason: "key of an unknown row"}
}

const letterVersion = 1

// LetterID names a dead letter: the leaf whose it is. A leaf has one at most.
type LetterID struct {
	Life  Incarnation
	Seq   uint64
	Index int
}

// String is the id as text: incarnation.seq.index.
func (id LetterID) String() string { return fmt.Sprintf("%s.%d.%d", id.Life, id.Seq, id.Index) }

// ParseLetterID reads what String wrote.
func ParseLetterID(s string) (id LetterID, ok bool) {
	life, rest, ok1 := strings.Cut(s, ".")
	seq, index, ok2 := strings.Cut(rest, ".")
	var err1, err2 error
	id.Life, ok = ParseIncarnation(life)
	id.Seq, err1 = strconv.ParseUint(seq, 10, 64)
	id.Index, err2 = strconv.Atoi(index)
	return id, ok && ok1 && ok2 && err1 == nil && err2 == nil && id.Index >= 0 && id.Index < 1<<16 && id.String() == s
}

// DeadLetter is a leaf that was given up, or feedback that nobody took (SEMANTICS E4).
type DeadLetter struct {
	Key         string // of the store
	Reason      string // exhausted, permanent, ...; see docs/EFFECTS.md
	Time        int64  // Unix nanoseconds
	Drive       uint32 // that ended with it
	Correlation string
	Trace       string
	Effect      []byte // the leaf, a msgpack map
	Action      []byte // what was, or would have been, fed back; nil when nothing
	Fed         bool   // the reducer took Action
	Attempts    []Attempt
}

// Attempt is one try at a leaf that failed.
type Attempt struct {
	Time  int64 // when it ended, Unix nanoseconds
	Error string
}

func letterKey(id ModuleID, letter LetterID) []byte {
	k := append(moduleKey(prefixLetter, id), letter.Life[:]...)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint64(k, letter.Seq), uint16(letter.Index))
}

// PutLetter writes a dead letter.
func PutLetter(b *Batch, id ModuleID, letter LetterID, d *DeadLetter) {
	w := newWriter(letterVersion, 64+len(d.Key)+len(d.Reason)+len(d.Correlation)+len(d.Trace)+len(d.Effect)+len(d.Action))
	w.text(d.Key)
	w.text(d.Reason)
	w.u64(uint64(d.Time))
	w.u32(d.Drive)
	w.text(d.Correlation)
	w.text(d.Trace)
	w.bytes(d.Effect)
	w.bytes(d.Action)
	fed := uint32(0)
	if d.Fed {
		fed = 1
	}
	w.u32(fed)
	w.u32(uint32(len(d.Attempts)))
	for _, a := range d.Attempts {
		w.u64(uint64(a.Time))
		w.text(a.Error)
	}
	b.put(letterKey(id, letter), w.seal())
}

// DeleteLetter removes a dead letter.
func DeleteLetter(b *Batch, id ModuleID, letter LetterID) { b.Delete(letterKey(id, letter)) }

// LetterRow is a dead letter with its id.
type LetterRow struct {
	ID LetterID
	DeadLetter
}

// Letters yields the dead letters of a module, by life, seq and index. It stops after an error.
func Letters(r Reader, id ModuleID) iter.Seq2[LetterRow, error] {
	prefix := moduleKey(prefixLetter, id)
	return func(yield func(LetterRow, error) bool) {
		for row, err := range r.Rows(prefix, PrefixEnd(prefix)) {
			var l LetterRow
			if err == nil {
				l, err = decodeLetter(row, len(prefix))
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// ReadLetter returns a dead letter, or an error that is [ErrNotFound].
func ReadLetter(r Reader, id ModuleID, letter LetterID) (DeadLetter, error) {
	key := letterKey(id, letter)
	value, err := r.Get(key)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("read dead letter %s: %w", letter, err)
	}
	row, err := decodeLetter(Row{key, value}, len(moduleKey(prefixLetter, id)))
	return row.DeadLetter, err
}

// Overtaken reports whether later leaves of a dead letter's lane were done (SEMANTICS E6): how the leaf stands says so, not its letter, which is never
// written again.
func Overtaken(r Reader, id ModuleID, letter LetterID) (bool, error) {
	key := effectKey(id, letter.Life, letter.Seq, standingRow)
	value, err := r.Get(key)
	if errors.Is(err, ErrNotFound) { // the letter has gone meanwhile
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read how the leaf of dead letter %s stands: %w", letter, err)
	}
	var e EffectRow
	if err := e.read(Row{key, value}, standingRow, nil); err != nil {
		return false, err
	}
	return letter.Index < len(e.Leaves) && e.Leaves[letter.Index].Overtaken, nil
}

func decodeLetter(row Row, at int) (LetterRow, error) {
	r := newReader("dead letter", letterVersion, row.Key, row.Value)
	rest := row.Key[at:]
	if len(rest) != len(Incarnation{})+8+2 {
		r.damaged(0, "key holds no life, seq and index")
		return LetterRow{}, r.err
	}
	l := LetterRow{ID: LetterID{Incarnation(rest), binary.BigEndian.Uint64(rest[16:]), int(binary.BigEndian.Uint16(rest[24:]))}}
	l.DeadLetter = DeadLetter{
		Key: r.text(), Reason: r.text(), Time: int64(r.u64()), Drive: r.u32(), Correlation: r.text(), Trace: r.text(), Effect: r.bytes(), Action: r.some(),
	}
	switch fed := r.u32(); fed {
	case 0, 1:
		l.Fed = fed == 1
	default:
		r.damaged(r.off-4, "fed back %d times", fed)
	}
	n := int(r.u32())
	for i := 0; i < n && r.err == nil; i++ {
		l.Attempts = append(l.Attempts, Attempt{Time: int64(r.u64()), Error: r.text()})
	}
	return l, r.close()
}
