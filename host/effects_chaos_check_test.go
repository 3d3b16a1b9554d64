package host_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

var scripts = journal.ModuleID{Tenant: "default", Module: "script"}

// fed is an action that an effect brought.
type fed struct {
	seq, drive uint64
	typ, note  string
	cause      journal.Cause
}

// final reports whether the leaf ends with it: it is no emission.
func (f fed) final() bool { return !strings.HasPrefix(f.note, "part ") }

// book is what the journal has of one life.
type book struct {
	life    journal.Incarnation
	records []journal.Record
	trees   map[uint64][]abi.Effect
	fed     map[string][]fed // by leaf
}

func readBook(r journal.Reader, life journal.Incarnation) (*book, error) {
	b := &book{life: life, trees: make(map[uint64][]abi.Effect), fed: make(map[string][]fed)}
	for e, err := range r.Records(life, 1, math.MaxUint64) {
		if err != nil {
			return nil, err
		}
		var record journal.Record
		var meta abi.Meta
		var action struct {
			Type string `msgpack:"type"`
			Note string `msgpack:"note"`
		}
		if err := errors.Join(record.Decode(life, e.Seq, e.Bytes), meta.Decode(record.Meta), msgpack.Unmarshal(record.Action, &action)); err != nil {
			return nil, err
		}
		b.records = append(b.records, record)
		if len(record.Effects) > 0 {
			tree, err := abi.DecodeEffects(record.Effects)
			if err != nil {
				return nil, err
			}
			b.trees[record.Seq] = tree
		}
		if meta.Causation != "" {
			b.fed[meta.Causation] = append(b.fed[meta.Causation], fed{record.Seq, meta.Drive, action.Type, action.Note, record.Cause})
		}
	}
	return b, nil
}

// attempt is one at a leaf.
type attempt struct {
	key     string
	ref     ledger.Ref
	drive   uint64
	running bool
}

// attempt looks whether an attempt may be made now, and returns what to call at its end.
func (c *chaos) attempt(of int, journaled journal.Reader, r *effects.Request) (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.attempted[r.Key]
	c.attempted[r.Key] = true
	if of != c.host {
		return func() {}
	}
	a := attempt{key: r.Key, drive: r.Drive, running: true}
	var life string
	at := strings.NewReplacer("/", " ").Replace(r.Key)
	if _, err := fmt.Sscan(at, &life, &a.ref.Seq, &a.ref.Index); err != nil {
		c.fault("the key %s: %v", r.Key, err)
		return func() {}
	}
	incarnation, _ := journal.ParseIncarnation(life)
	b, err := readBook(journaled, incarnation)
	if err != nil {
		return func() {} // it has crashed
	}
	c.checkTurn(b, journaled, a)
	if r.Effect.Kind != abi.KindPublish && r.Effect.Kind != abi.KindAppend {
		return func() {}
	}
	lane := life + string(r.Effect.Kind) + r.Effect.Target
	c.checkLane(b, journaled, r.Effect, a, c.lanes[lane], first)
	c.lanes[lane] = a
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if l := c.lanes[lane]; of == c.host && l.key == a.key {
			l.running = false
			c.lanes[lane] = l
		}
	}
}

func (c *chaos) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// checkTurn: an attempt is made in its turn (E5), and not of what is done (E2, E4).
func (c *chaos) checkTurn(b *book, r journal.Reader, a attempt) {
	for _, f := range b.fed[a.key] {
		if f.final() && f.drive >= a.drive {
			c.fault("%s #%d is attempted after it was fed back as action %d", a.key, a.drive, f.seq)
		}
	}
	if a.drive > 1+uint64(c.redriven[a.key]) {
		c.fault("%s #%d is attempted, and was redriven %d times", a.key, a.drive, c.redriven[a.key])
	}
	if a.drive > 1 {
		return // later ones may go on without it
	}
	for leaf := range effects.Leaves(b.trees[a.ref.Seq]) {
		if leaf.Index != a.ref.Index && precedes(b.trees[a.ref.Seq], leaf.Index, a.ref.Index) && !c.done(b, r, ledger.Ref{Seq: a.ref.Seq, Index: leaf.Index}, leaf.Effect) {
			c.fault("%s is attempted before leaf %d is done", a.key, leaf.Index)
		}
	}
}

// precedes reports whether a leaf comes before another one in a sequential.
func precedes(tree []abi.Effect, index, other int) bool {
	return effects.LaterRan(tree, index, func(i int) bool { return i == other })
}

// done reports whether a leaf has been done, feedback included, by what the journal has.
func (c *chaos) done(b *book, r journal.Reader, ref ledger.Ref, e *abi.Effect) bool {
	key := effects.Key(b.life, ref.Seq, ref.Index)
	for _, f := range b.fed[key] {
		if f.cause != journal.CauseDispatch && f.final() && f.typ != "err" {
			return true
		}
	}
	switch {
	case c.redriven[key] > 0 || c.discarded[key]:
		return true // who knows; another drive may be under way apart from the sequential
	case e.OK == "" && e.Kind != abi.KindDelay && (c.succeeded[key] || e.Kind == abi.KindCancel || e.Kind == abi.KindDispatch):
		return true
	}
	letter, err := journal.ReadLetter(r, scripts, journal.LetterID{Life: b.life, Seq: ref.Seq, Index: ref.Index})
	return err == nil && (letter.Reason == ledger.ReasonFeedbackRejected || letter.Reason == ledger.ReasonFeedbackTrapped || letter.Reason == ledger.ReasonCascade)
}

// checkLane: publishes and appends of one store to one target wait for one another, and those that no sequential holds go in their order (E6).
func (c *chaos) checkLane(b *book, r journal.Reader, e *abi.Effect, a, before attempt, first bool) {
	if before.key != "" && before.key != a.key && before.running {
		c.fault("%s #%d is attempted while %s #%d is", a.key, a.drive, before.key, before.drive)
	}
	free := func(ref ledger.Ref) bool { // in no sequential
		for leaf := range effects.Leaves(b.trees[ref.Seq]) {
			if precedes(b.trees[ref.Seq], leaf.Index, ref.Index) {
				return false
			}
		}
		return true
	}
	for row, err := range journal.EffectsOf(r, scripts, b.life) {
		if err != nil {
			return
		}
		for leaf := range effects.Leaves(b.trees[row.Seq]) {
			ref, standing := ledger.Ref{Seq: row.Seq, Index: leaf.Index}, row.Leaves[leaf.Index]
			key := effects.Key(b.life, ref.Seq, ref.Index)
			open := standing.Outcome == 0 || standing.Apart
			switch {
			case key == a.key || !open || leaf.Effect.Kind != e.Kind || leaf.Effect.Target != e.Target:
			case key == before.key && uint64(standing.Drive) == before.drive:
				c.fault("%s #%d is attempted before %s #%d, which was before it in its lane, is finished", a.key, a.drive, key, standing.Drive)
			case first && a.drive == 1 && standing.Drive == 1 && !c.attempted[key] && free(ref) && free(a.ref) &&
				(ref.Seq < a.ref.Seq || ref.Seq == a.ref.Seq && ref.Index < a.ref.Index):
				c.fault("%s is attempted before %s, which comes before it", a.key, key)
			}
		}
	}
}

// check looks at what is there when all is done.
func (c *chaos) check() {
	require.Empty(c, c.faults)
	for row, err := range journal.Effects(c.journal, scripts) {
		require.NoError(c, err)
		require.Fail(c, "an effect that never ends", "%+v", row)
	}
	dispatched := make(map[string]int) // actions, by leaf and drive
	var books []*book
	for _, key := range chaosKeys {
		row, err := journal.ReadStore(c.journal, journal.StoreID{Tenant: "default", Module: "script", Key: key})
		require.NoError(c, err)
		b, err := readBook(c.journal, row.Life)
		require.NoError(c, err)
		books = append(books, b)
		for leaf, list := range b.fed {
			for _, f := range list {
				if f.cause == journal.CauseDispatch {
					dispatched[fmt.Sprint(leaf, " #", f.drive)]++
				}
			}
		}
	}
	for _, a := range c.acked {
		b := books[slices.Index(chaosKeys, a.store)]
		require.LessOrEqual(c, a.seq, uint64(len(b.records)), "action %d of %s was acknowledged, and is gone", a.seq, a.store)
		var meta abi.Meta
		require.NoError(c, meta.Decode(b.records[a.seq-1].Meta))
		require.Equal(c, a.correlation, meta.Correlation, "action %d of %s was acknowledged, and is another", a.seq, a.store)
	}
	for leaf, n := range dispatched {
		require.Equal(c, 1, n, "%s was dispatched more than once", leaf)
	}
	for _, b := range books {
		c.checkRecords(b)
		for seq, tree := range b.trees {
			for leaf := range effects.Leaves(tree) {
				c.checkLeaf(b, ledger.Ref{Seq: seq, Index: leaf.Index}, leaf.Effect, dispatched)
			}
		}
	}
}

// checkRecords: seqs without gaps (S1), times that do not go back nor ahead.
func (c *chaos) checkRecords(b *book) {
	last := int64(0)
	for i, r := range b.records {
		require.EqualValues(c, i+1, r.Seq)
		require.GreaterOrEqual(c, r.Time, last)
		last = r.Time
	}
	require.LessOrEqual(c, last, time.Now().UnixNano())
}

func (c *chaos) checkLeaf(b *book, ref ledger.Ref, e *abi.Effect, dispatched map[string]int) {
	key := effects.Key(b.life, ref.Seq, ref.Index)
	ends, parts := make(map[uint64]int), 0
	for _, f := range b.fed[key] {
		switch {
		case f.cause == journal.CauseDispatch: // to the store itself
		case f.final():
			ends[f.drive]++
			require.Equal(c, 1, ends[f.drive], "%s #%d was fed back more than once", key, f.drive)
			if e.Kind == abi.KindDispatch && f.typ == "ok" && c.redriven[key] == 0 {
				require.Equal(c, 1, dispatched[fmt.Sprint(key, " #", f.drive)], "%s is done and never was dispatched", key)
			}
			require.LessOrEqual(c, f.drive, uint64(1+c.redriven[key]))
		default: // E2: with its token, each emission is fed back once
			require.Equal(c, fmt.Sprint("part ", parts), f.note, "%s", key)
			parts++
		}
	}
	c.checkCancelled(b, ref, e, b.fed[key])
	if !c.done(b, c.journal, ref, e) {
		require.True(c, c.excused(b, ref, e), "%s, a %s, is neither done nor cancelled nor stopped: %v", key, e.Kind, b.fed[key])
	}
	if e.Target == "stream" && parts < 3 {
		require.True(c, c.excused(b, ref, e) || c.discarded[key], "%s has but %d parts", key, parts)
	}
}

// excused reports whether a leaf may have come to nothing: it has an id that is cancelled or replaced some time, or something before it has.
func (c *chaos) excused(b *book, ref ledger.Ref, e *abi.Effect) bool {
	return c.ended(b, ref, e) || func() bool {
		for leaf := range effects.Leaves(b.trees[ref.Seq]) {
			before := ledger.Ref{Seq: ref.Seq, Index: leaf.Index}
			key := effects.Key(b.life, before.Seq, before.Index)
			if precedes(b.trees[ref.Seq], leaf.Index, ref.Index) && (c.discarded[key] || c.ended(b, before, leaf.Effect)) {
				return true
			}
		}
		return false
	}()
}

// ended reports whether the leaf's id is cancelled or replaced some time.
func (c *chaos) ended(b *book, ref ledger.Ref, e *abi.Effect) bool {
	if e.ID == "" || e.Kind == abi.KindCancel {
		return false
	}
	for seq, tree := range b.trees {
		for leaf := range effects.Leaves(tree) {
			if leaf.Effect.ID == e.ID && (ledger.Ref{Seq: seq, Index: leaf.Index}) != ref && (leaf.Effect.Kind == abi.KindCancel || leaf.Effect.Kind == abi.KindDelay) {
				return true
			}
		}
	}
	return false
}

// checkCancelled: what a cancel outside of a sequential has ended, or a delay replaced, feeds nothing back afterwards (E8).
func (c *chaos) checkCancelled(b *book, ref ledger.Ref, e *abi.Effect, list []fed) {
	if e.ID == "" || e.Kind == abi.KindCancel {
		return
	}
	for key := range c.redriven { // what is set going again may be what was not there to be cancelled
		if strings.HasPrefix(key, fmt.Sprintf("%s/%d/", b.life, ref.Seq)) {
			return
		}
	}
	for seq, tree := range b.trees {
		if seq <= ref.Seq {
			continue
		}
		for leaf := range effects.Leaves(tree) {
			free := true
			for other := range effects.Leaves(tree) {
				free = free && !precedes(tree, other.Index, leaf.Index)
			}
			if leaf.Effect.ID != e.ID || !(leaf.Effect.Kind == abi.KindCancel && free || leaf.Effect.Kind == abi.KindDelay && e.Kind == abi.KindDelay) {
				continue
			}
			for _, f := range list {
				require.True(c, f.cause == journal.CauseDispatch || f.seq <= seq, "leaf %d of action %d was ended by action %d and fed back as %d", ref.Index, ref.Seq, seq, f.seq)
			}
		}
	}
}
