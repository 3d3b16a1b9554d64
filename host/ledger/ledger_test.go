package ledger_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/ledger"
)

var (
	id   = journal.StoreID{Tenant: "default", Module: "test", Key: "a"}
	life = journal.Incarnation{1}
)

// book is a ledger whose changes are applied to a journal.
type book struct {
	*ledger.Ledger
	t       require.TestingT
	backend *memory.Backend
	seq     uint64
	now     int64
	moves   *ledger.Moves // of the last change
}

func newBook(t require.TestingT) *book {
	return &book{Ledger: ledger.New(id, life), t: t, backend: memory.New(memory.Config{})}
}

// change makes a change durable.
func (k *book) change(f func(*journal.Batch, *ledger.Moves)) {
	b := new(journal.Batch)
	k.moves = &ledger.Moves{Now: k.now}
	f(b, k.moves)
	require.NoError(k.t, k.backend.Apply(b))
}

// add enters an action's effects, if they are not refused.
func (k *book) add(tree ...abi.Effect) error {
	if err := k.Check(tree, ledger.MaxOpen); err != nil {
		return err
	}
	k.seq++
	k.change(func(b *journal.Batch, m *ledger.Moves) {
		k.Add(b, m, k.seq, journal.Effect{Key: id.Key, Correlation: fmt.Sprint("c", k.seq), Tree: abi.AppendEffects(nil, tree)}, tree)
	})
	return nil
}

func (k *book) settle(seq uint64, index int, outcome effects.Outcome, letter bool) {
	k.change(func(b *journal.Batch, m *ledger.Moves) {
		k.Settle(b, m, ledger.Ref{Seq: seq, Index: index}, outcome, letter)
	})
}

func (k *book) redrive(seq uint64, index int, again []byte) (ok bool) {
	k.change(func(b *journal.Batch, m *ledger.Moves) {
		ok = k.Redrive(b, m, ledger.Ref{Seq: seq, Index: index}, again)
	})
	return ok
}

func (k *book) discard(seq uint64, index int) (ok bool) {
	k.change(func(b *journal.Batch, _ *ledger.Moves) { ok = k.Discard(b, ledger.Ref{Seq: seq, Index: index}) })
	return ok
}

func (k *book) load() *ledger.Ledger {
	l, err := ledger.Load(k.backend, id, life)
	require.NoError(k.t, err)
	return l
}

// said is what the last change had as moves, as text.
func (k *book) said() string { return text(k.moves) }

func text(m *ledger.Moves) string {
	s := ""
	for _, o := range m.Opened {
		s += fmt.Sprintf("open %d; ", o.Seq)
	}
	for _, r := range m.Stop {
		s += fmt.Sprintf("stop %d/%d; ", r.Seq, r.Index)
	}
	for _, l := range m.Start {
		s += fmt.Sprintf("start %d/%d #%d", l.Seq, l.Index, l.Drive)
		if l.Due != 0 {
			s += fmt.Sprint(" due ", l.Due)
		}
		if l.Emitted != 0 {
			s += fmt.Sprintf(" from %d %q", l.Emitted, l.Token)
		}
		if l.Again != nil {
			s += fmt.Sprintf(" again %q", l.Again)
		}
		if l.Dispatched != nil {
			s += fmt.Sprintf(" dispatched %q", l.Dispatched)
		}
		s += "; "
	}
	for _, seq := range m.Done {
		s += fmt.Sprintf("done %d; ", seq)
	}
	return s
}

func call(id string) abi.Effect {
	return abi.Effect{Kind: abi.KindCall, Target: "echo", ID: id, OK: "ok", Err: "err"}
}

func delay(id string, after time.Duration) abi.Effect {
	return abi.Effect{Kind: abi.KindDelay, ID: id, After: after, Body: pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 1), "type"), "tick")}
}

func publish(topic string) abi.Effect {
	return abi.Effect{Kind: abi.KindPublish, Target: topic, Body: []byte{0xc0}}
}

func cancel(id string) abi.Effect { return abi.Effect{Kind: abi.KindCancel, ID: id} }

func sequential(list ...abi.Effect) abi.Effect {
	return abi.Effect{Kind: abi.KindSequential, Children: list}
}

func parallel(list ...abi.Effect) abi.Effect {
	return abi.Effect{Kind: abi.KindParallel, Children: list}
}

// E5: what is started, and when.
func TestE5_turns(t *testing.T) {
	k := newBook(t)
	require.True(t, k.Empty())
	require.NoError(t, k.add(sequential(parallel(call(""), call("")), call(""), abi.Effect{Kind: abi.KindNone}), call("")))
	require.Equal(t, "open 1; start 1/0 #1; start 1/1 #1; start 1/3 #1; ", k.said())
	require.Equal(t, 4, k.Open())
	require.False(t, k.Holds(ledger.Ref{Seq: 1, Index: 2}, 1), "not its turn")
	k.settle(1, 1, effects.Done, false)
	require.Equal(t, "", k.said())
	k.settle(1, 3, effects.Dead, true)
	require.Equal(t, "", k.said())
	k.settle(1, 0, effects.Done, false)
	require.Equal(t, "start 1/2 #1; ", k.said())
	require.True(t, k.Pending(1))
	k.settle(1, 2, effects.Done, false)
	require.Equal(t, "done 1; ", k.said())
	require.False(t, k.Pending(1))
	require.False(t, k.Empty(), "there is a letter")
	require.True(t, k.discard(1, 3))
	require.False(t, k.discard(1, 3))
	require.True(t, k.Empty())
	require.Nil(t, k.load())
}

// E8: ids.
func TestE8_ids(t *testing.T) {
	inUse := &abi.Error{Code: abi.CodeInvalidEffect}
	for _, c := range []struct {
		name  string
		first []abi.Effect
		then  []abi.Effect
		said  string // of then; empty when it is refused
		open  int
	}{
		{"another", []abi.Effect{call("x")}, []abi.Effect{call("y")}, "open 2; start 2/0 #1; ", 2},
		{"a call again", []abi.Effect{call("x")}, []abi.Effect{call("x")}, "", 1},
		{"a delay in the place of a call", []abi.Effect{call("x")}, []abi.Effect{delay("x", 5)}, "", 1},
		{"a call in the place of a delay", []abi.Effect{delay("x", 5)}, []abi.Effect{call("x")}, "", 1},
		{"a delay replaced", []abi.Effect{delay("x", 5)}, []abi.Effect{delay("x", 6)}, "open 2; stop 1/0; start 2/0 #1 due 106; done 1; ", 1},
		{"a delay replaced before its turn", []abi.Effect{sequential(call(""), delay("x", 5), call(""))}, []abi.Effect{delay("x", 6)},
			"open 2; start 2/0 #1 due 106; ", 2},
		{"a delay replaced twice in one action", []abi.Effect{call("")}, []abi.Effect{delay("x", 5), delay("x", 6), delay("x", 7)},
			"open 2; start 2/2 #1 due 107; ", 2},
		{"a delay replaced by a later one of its sequential", []abi.Effect{call("")}, []abi.Effect{sequential(delay("x", 5), call("y"), delay("x", 6)), call("z")}, // a slip: it stops its own sequential
			"open 2; start 2/3 #1; ", 2},
		{"two calls of one action", []abi.Effect{call("")}, []abi.Effect{call("x"), call("x")}, "", 1},
		{"cancelled", []abi.Effect{call("x")}, []abi.Effect{cancel("x")}, "open 2; stop 1/0; done 1; done 2; ", 0},
		{"cancelled and used again", []abi.Effect{call("x")}, []abi.Effect{cancel("x"), call("x")}, "open 2; stop 1/0; start 2/1 #1; done 1; ", 1},
		{"used again and cancelled", []abi.Effect{call("x")}, []abi.Effect{call("x"), cancel("x")}, "", 1},
		{"used and cancelled in one action", []abi.Effect{call("")}, []abi.Effect{call("x"), delay("x2", 5), cancel("x")}, "open 2; start 2/1 #1 due 105; ", 2},
		{"nothing to cancel", []abi.Effect{call("")}, []abi.Effect{cancel("x")}, "open 2; done 2; ", 1},
		{"cancelled before its turn", []abi.Effect{sequential(call(""), call("x"), call(""))}, []abi.Effect{cancel("x")}, "open 2; done 2; ", 1},
		{"a cancel in a sequential waits for its turn", []abi.Effect{call("x")}, []abi.Effect{sequential(call(""), cancel("x"))}, "open 2; start 2/0 #1; ", 3},
		{"a cancel in a sequential does not free an id", []abi.Effect{call("x")}, []abi.Effect{sequential(cancel("x"), call("x"))}, "", 1},
		{"a cancel whose turn it is", []abi.Effect{call("x")}, []abi.Effect{sequential(cancel("x"), call("y"))}, "open 2; stop 1/0; start 2/1 #1; done 1; ", 1},
		{"a cancel of what would begin with it", []abi.Effect{call("")}, []abi.Effect{sequential(cancel("x")), call("x"), call("y")}, "open 2; start 2/2 #1; ", 2},
		{"a cancel that is fed back", []abi.Effect{call("x")}, []abi.Effect{{Kind: abi.KindCancel, ID: "x", OK: "ok"}}, "open 2; stop 1/0; start 2/0 #1; done 1; ", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newBook(t)
			k.now = 100
			require.NoError(t, k.add(c.first...))
			if err := k.add(c.then...); c.said == "" {
				require.ErrorIs(t, err, inUse)
			} else {
				require.NoError(t, err)
				require.Equal(t, c.said, k.said())
			}
			require.Equal(t, c.open, k.Open())
			requireSame(t, k)
		})
	}
}

// A cancel in a sequential, when its turn comes, ends what runs and what waits, in its own action too.
func TestE8_cancelInTurn(t *testing.T) {
	k := newBook(t)
	require.NoError(t, k.add(call("x"), sequential(call(""), cancel("x"), call("")), sequential(call(""), call("y"))))
	require.NoError(t, k.add(sequential(call("z"), cancel("y"))))
	k.settle(1, 1, effects.Done, false)
	require.Equal(t, "stop 1/0; start 1/3 #1; ", k.said())
	k.settle(2, 0, effects.Done, false)
	require.Equal(t, "done 2; ", k.said())
	k.settle(1, 3, effects.Done, false)
	k.settle(1, 4, effects.Done, false)
	require.Equal(t, "done 1; ", k.said())
	require.True(t, k.Empty())
}

// E4: another drive.
func TestE4_redrive(t *testing.T) {
	for _, c := range []struct {
		name string
		tree []abi.Effect
		do   func(k *book) // ends with a redrive of 1/0
		said string        // of the redrive
		done string        // of its end
	}{
		{"what it kept from running goes on", []abi.Effect{sequential(call(""), call(""))}, func(k *book) {
			k.settle(1, 0, effects.Dead, true)
			require.True(k.t, k.redrive(1, 0, nil))
		}, "open 1; start 1/0 #2; ", "start 1/1 #1; "},
		{"a leaf that was dead is done again, whatever was refused", []abi.Effect{call("")}, func(k *book) {
			k.settle(1, 0, effects.Dead, true)
			require.True(k.t, k.redrive(1, 0, []byte("action")))
		}, "open 1; start 1/0 #2; ", "done 1; "},
		{"a leaf that was done is only fed back", []abi.Effect{call("")}, func(k *book) {
			k.settle(1, 0, effects.Done, true)
			require.True(k.t, k.redrive(1, 0, []byte("action")))
		}, "open 1; start 1/0 #2 again \"action\"; ", "done 1; "},
		{"later ones that run do not wait for it", []abi.Effect{sequential(call(""), call(""), call(""))}, func(k *book) {
			k.settle(1, 0, effects.Done, true)
			require.True(k.t, k.redrive(1, 0, []byte("action")))
		}, "start 1/0 #2 again \"action\"; ", ""},
		{"nor do those that a later one has stopped", []abi.Effect{sequential(call(""), call(""), call(""))}, func(k *book) {
			k.settle(1, 0, effects.Done, true)
			k.settle(1, 1, effects.Dead, true)
			require.True(k.t, k.redrive(1, 0, []byte("action")))
		}, "open 1; start 1/0 #2 again \"action\"; ", "done 1; "},
		{"emissions go on where they were", []abi.Effect{call("")}, func(k *book) {
			k.change(func(b *journal.Batch, _ *ledger.Moves) { k.Emit(b, ledger.Ref{Seq: 1}, []byte("token")) })
			k.settle(1, 0, effects.Dead, true)
			require.True(k.t, k.redrive(1, 0, nil))
		}, "open 1; start 1/0 #2 from 1 \"token\"; ", "done 1; "},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newBook(t)
			require.NoError(t, k.add(c.tree...))
			require.False(t, k.redrive(1, 0, nil), "it has no letter")
			c.do(k)
			require.Equal(t, c.said, k.said())
			require.True(t, k.Pending(1))
			require.True(t, k.Holds(ledger.Ref{Seq: 1}, 2))
			require.False(t, k.Holds(ledger.Ref{Seq: 1}, 1))
			requireSame(t, k)
			k.settle(1, 0, effects.Done, false)
			require.Equal(t, c.done, k.said())
			requireSame(t, k)
		})
	}
}

// E4: a redrive that goes on with nothing leaves the rest of the tree as it is, to be redriven itself.
func TestE4_redriveKeepsToItsSequential(t *testing.T) {
	k := newBook(t)
	require.NoError(t, k.add(sequential(call(""), call("")), sequential(call(""), call(""))))
	k.settle(1, 0, effects.Dead, true)
	k.settle(1, 2, effects.Done, true)
	require.True(t, k.redrive(1, 2, []byte("action")))
	k.settle(1, 2, effects.Done, false)
	k.settle(1, 3, effects.Done, false)
	require.True(t, k.redrive(1, 0, nil))
	k.settle(1, 0, effects.Done, false)
	require.Equal(t, "start 1/1 #1; ", k.said())
}

// An id that was used again while its leaf was dead: the newest leaf has it.
func TestE4_redriveWithItsIDInUse(t *testing.T) {
	k := newBook(t)
	require.NoError(t, k.add(sequential(call("x"), call("y"))))
	k.settle(1, 0, effects.Dead, true)
	require.NoError(t, k.add(call("x"), call("y")))
	require.True(t, k.redrive(1, 0, nil))
	requireSame(t, k)
	require.ErrorIs(t, k.add(call("x")), &abi.Error{Code: abi.CodeInvalidEffect})
	k.settle(1, 0, effects.Done, false)
	require.Equal(t, "start 1/1 #1; ", k.said())
	require.ErrorIs(t, k.add(call("x")), &abi.Error{Code: abi.CodeInvalidEffect}, "the newer one has it still")
	k.settle(2, 1, effects.Done, false)
	require.ErrorIs(t, k.add(call("y")), &abi.Error{Code: abi.CodeInvalidEffect}, "the older one has it now")
	k.settle(1, 1, effects.Dead, true)
	require.NoError(t, k.add(call("y")))
	require.True(t, k.redrive(1, 1, nil))
	requireSame(t, k)
	require.NoError(t, k.add(cancel("y")))
	require.Equal(t, "open 4; stop 3/0; stop 1/1; done 3; done 1; done 4; ", k.said(), "who cancels one cancels all")
	requireSame(t, k)
}

// E6: a letter is overtaken when a later leaf of its lane was done, and not by one of another lane, an earlier one, or one that died too; a redrive begins anew.
func TestE6_overtaken(t *testing.T) {
	k := newBook(t)
	for range 4 {
		require.NoError(t, k.add(publish("news"), publish("mail")))
	}
	k.settle(1, 0, effects.Dead, true)
	k.settle(2, 0, effects.Dead, true)
	k.settle(2, 1, effects.Done, false)
	require.Equal(t, map[ledger.Ref]bool{{Seq: 1}: false, {Seq: 2}: false}, lettersOf(t, k, "news"))
	k.Ledger = k.load()
	k.settle(3, 0, effects.Done, true)
	require.Equal(t, map[ledger.Ref]bool{{Seq: 1}: true, {Seq: 2}: true, {Seq: 3}: false}, lettersOf(t, k, "news"))
	require.True(t, k.redrive(1, 0, nil))
	k.settle(1, 0, effects.Dead, true)
	require.Equal(t, map[ledger.Ref]bool{{Seq: 1}: false, {Seq: 2}: true, {Seq: 3}: false}, lettersOf(t, k, "news"), "it went to the end")
	require.True(t, k.redrive(2, 0, nil))
	k.settle(2, 0, effects.Done, false)
	k.settle(4, 0, effects.Done, false)
	require.Equal(t, map[ledger.Ref]bool{{Seq: 1}: true, {Seq: 3}: false}, lettersOf(t, k, "news"), "what was done is not overtaken, its feedback is")
	require.True(t, k.discard(1, 0))
	require.NoError(t, k.add(publish("news"), publish("news")))
	k.settle(5, 0, effects.Dead, true)
	k.settle(5, 1, effects.Dead, true)
	require.True(t, k.redrive(5, 0, nil))
	k.settle(5, 0, effects.Done, false)
	require.Equal(t, map[ledger.Ref]bool{{Seq: 3}: false, {Seq: 5, Index: 1}: false}, lettersOf(t, k, "news"), "what was retried first came before it")
}

func TestCheck_room(t *testing.T) {
	k := newBook(t)
	all := slices.Repeat([]abi.Effect{call("")}, ledger.MaxOpen-1)
	require.NoError(t, k.add(all...))
	require.NoError(t, k.add(call("")))
	require.ErrorIs(t, k.add(call("")), &abi.Error{Code: abi.CodeOverloaded})
	k.settle(2, 0, effects.Done, false)
	require.NoError(t, k.add(call("")))
}

func TestDelay_due(t *testing.T) {
	k := newBook(t)
	k.now = 100
	require.NoError(t, k.add(delay("a", 0), delay("b", math.MaxInt64)))
	require.Equal(t, fmt.Sprintf("open 1; start 1/0 #1 due 100; start 1/1 #1 due %d; ", math.MaxInt64), k.said())
	require.NoError(t, k.add(sequential(call(""), delay("c", 5))))
	k.now = 200
	k.settle(2, 0, effects.Done, false)
	require.Equal(t, "start 2/1 #1 due 205; ", k.said(), "it counts from when its turn comes")
	require.Equal(t, "open 1; open 2; start 1/0 #1 due 100; start 1/1 #1 due 9223372036854775807; start 2/1 #1 due 205; ", text(k.load().Resume()))
}

// E2: a dispatch that was made is not made again; one that was cancelled meanwhile leaves nothing that a start stumbles over.
func TestE2_dispatched(t *testing.T) {
	dispatch := abi.Effect{Kind: abi.KindDispatch, Target: "test/b", ID: "x", Body: delay("", 0).Body, OK: "ok"}
	made := func(k *book, seq uint64) {
		k.change(func(b *journal.Batch, _ *ledger.Moves) {
			journal.PutDispatched(b, journal.ModuleID{Tenant: id.Tenant, Module: id.Module}, life, seq, 0, []byte("result"))
		})
	}
	k := newBook(t)
	require.NoError(t, k.add(dispatch))
	made(k, 1)
	require.Equal(t, "open 1; start 1/0 #1 dispatched \"result\"; ", text(k.load().Resume()))
	k.settle(1, 0, effects.Done, false)
	require.Nil(t, k.load())

	require.NoError(t, k.add(dispatch))
	made(k, 2)
	require.NoError(t, k.add(cancel("x")))
	require.Nil(t, k.load())

	require.NoError(t, k.add(dispatch))
	require.NoError(t, k.add(cancel("x")))
	made(k, 4)
	require.Nil(t, k.load(), "it came too late")
	require.NoError(t, k.add(call("")))
	require.Equal(t, "open 6; start 6/0 #1; ", text(k.load().Resume()))
}

// S15: nothing is left of a store that ended.
func TestDrop_S15(t *testing.T) {
	k := newBook(t)
	require.NoError(t, k.add(call("x"), sequential(delay("y", 5), call("")), abi.Effect{Kind: abi.KindDispatch, Target: "test/b", Body: delay("", 0).Body}))
	require.NoError(t, k.add(call("")))
	k.settle(2, 0, effects.Dead, true)
	require.NoError(t, k.add(call("")))
	k.settle(3, 0, effects.Done, true)
	require.True(t, k.redrive(3, 0, []byte("action")))
	module := journal.ModuleID{Tenant: id.Tenant, Module: id.Module}
	k.change(func(b *journal.Batch, _ *ledger.Moves) {
		journal.PutLetter(b, module, journal.LetterID{Life: life, Seq: 2}, &journal.DeadLetter{})
		journal.PutDispatched(b, module, life, 1, 3, []byte("result"))
	})
	k.change(func(b *journal.Batch, m *ledger.Moves) { *m = *k.Drop(b) })
	require.Equal(t, "stop 1/0; stop 1/1; stop 1/3; stop 3/0; done 1; done 3; ", k.said())
	for row := range k.backend.Rows(nil, nil) {
		require.Fail(t, "left", "%q", row.Key)
	}
	require.True(t, (*ledger.Ledger)(nil).Drop(new(journal.Batch)).Empty())
}

func TestLoad_damaged(t *testing.T) {
	module := journal.ModuleID{Tenant: id.Tenant, Module: id.Module}
	for name, damage := range map[string]func(*journal.Batch){
		"no leaves":       func(b *journal.Batch) { journal.PutStandings(b, module, life, 1, nil) },
		"too many leaves": func(b *journal.Batch) { journal.PutStandings(b, module, life, 1, make([]journal.Standing, 3)) },
		"no such outcome": func(b *journal.Batch) {
			journal.PutStandings(b, module, life, 1, []journal.Standing{{}, {Outcome: 4}})
		},
		"no tree": func(b *journal.Batch) {
			journal.PutEffect(b, module, life, 1, &journal.Effect{Tree: []byte{0xc1}}, nil)
		},
		"standings only": func(b *journal.Batch) {
			journal.DeleteEffect(b, module, life, 1, true)
			journal.PutStandings(b, module, life, 1, make([]journal.Standing, 2))
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newBook(t)
			require.NoError(t, k.add(call(""), call("")))
			k.change(func(b *journal.Batch, _ *ledger.Moves) { damage(b) })
			_, err := ledger.Load(k.backend, id, life)
			require.ErrorIs(t, err, journal.ErrCorrupt)
			require.ErrorContains(t, err, life.String()+" seq 1")
		})
	}
}

// A leaf that is done can stop what comes behind it: the last branch of a parallel of which another is dead.
func TestSettle_lastOfAStoppedParallel(t *testing.T) {
	k := newBook(t)
	require.NoError(t, k.add(sequential(parallel(call("a"), call("b")), call("c"))))
	k.settle(1, 0, effects.Dead, false)
	require.Equal(t, 2, k.Open())
	k.settle(1, 1, effects.Done, false)
	require.Zero(t, k.Open())
	require.NoError(t, k.add(call("c")), "its id is free")
}
