package ledger_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

// requireSame requires that the journal gives a ledger that behaves like the one that wrote it, and L1 to L3.
func requireSame(t require.TestingT, k *book) {
	loaded := k.load()
	require.Equal(t, k.Empty(), loaded.Empty())
	require.Equal(t, k.Open(), loaded.Open())
	require.Equal(t, leaves(k.Ledger), leaves(loaded))
	require.Len(t, leaves(k.Ledger), k.Open(), "L2")
	if loaded != nil {
		require.Equal(t, text(k.Resume()), text(loaded.Resume()))
	}
	used := map[string]bool{}
	for leaf := range k.Leaves() {
		if leaf.Effect.Kind != abi.KindCancel {
			used[leaf.Effect.ID] = true
		}
	}
	for _, id := range ids {
		probe := []abi.Effect{call(id)}
		require.Equal(t, used[id], k.Check(probe, ledger.MaxOpen) != nil, "L1, %s", id)
		require.Equal(t, used[id], loaded.Check(probe, ledger.MaxOpen) != nil, "L1, %s", id)
		probe[0] = delay(id, 1)
		require.Equal(t, k.Check(probe, ledger.MaxOpen) == nil, loaded.Check(probe, ledger.MaxOpen) == nil, "who has %s", id)
	}
	kept := map[uint64]bool{}
	for row, err := range journal.EffectsOf(k.backend, journal.ModuleID{Tenant: id.Tenant, Module: id.Module}, life) {
		require.NoError(t, err)
		kept[row.Seq] = true
		lettered := slices.ContainsFunc(row.Leaves, func(s journal.Standing) bool { return s.Letter })
		require.True(t, k.Pending(row.Seq) || lettered, "L3")
		require.Equal(t, k.Pending(row.Seq), loaded.Pending(row.Seq))
	}
	for seq := range k.seq + 2 {
		require.True(t, kept[seq] || !k.Pending(seq), "L3")
	}
}

// lettersOf are those of a topic in the journal, and whether they were overtaken.
func lettersOf(t require.TestingT, k *book, topic string) map[ledger.Ref]bool {
	found := map[ledger.Ref]bool{}
	for ref, s := range standings(t, k, topic) {
		if s.Letter {
			found[ref] = s.Overtaken
		} else {
			require.False(t, s.Overtaken)
		}
	}
	return found
}

// standings are how the journal has the publishes to a topic.
func standings(t require.TestingT, k *book, topic string) map[ledger.Ref]journal.Standing {
	found := map[ledger.Ref]journal.Standing{}
	for row, err := range journal.EffectsOf(k.backend, journal.ModuleID{Tenant: id.Tenant, Module: id.Module}, life) {
		require.NoError(t, err)
		tree, err := abi.DecodeEffects(row.Tree)
		require.NoError(t, err)
		for leaf := range effects.Leaves(tree) {
			if leaf.Effect.Kind == abi.KindPublish && leaf.Effect.Target == topic {
				found[ledger.Ref{Seq: row.Seq, Index: leaf.Index}] = row.Leaves[leaf.Index]
			}
		}
	}
	return found
}

var (
	ids    = []string{"x", "y", "z"}
	topics = []string{"news", "mail"}
)

func leaves(l *ledger.Ledger) (list []string) {
	for leaf, held := range l.Leaves() {
		list = append(list, fmt.Sprintf("%s #%d due %d emitted %d %q again %q %v held %v holds %v", leaf.Key(), leaf.Drive, leaf.Due, leaf.Emitted, leaf.Token,
			leaf.Again, leaf.Effect.Kind, held, l.Holds(leaf.Ref, leaf.Drive)))
	}
	return list
}

func tree(t *rapid.T, depth int) abi.Effect {
	anyID := rapid.SampledFrom([]string{"", "", "x", "y", "z"})
	kinds := []string{"call", "call", "delay", "cancel", "cancelFed", "none", "dispatch", "publish", "publish"}
	if depth > 0 {
		kinds = append(kinds, "sequential", "sequential", "parallel")
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "delay":
		return delay(anyID.Draw(t, "id"), 5)
	case "cancel":
		return cancel(rapid.SampledFrom(ids).Draw(t, "id"))
	case "cancelFed":
		e := cancel(rapid.SampledFrom(ids).Draw(t, "id"))
		e.OK = "ok"
		return e
	case "none":
		return abi.Effect{Kind: abi.KindNone}
	case "publish":
		return publish(rapid.SampledFrom(topics).Draw(t, "topic"))
	case "dispatch":
		return abi.Effect{Kind: abi.KindDispatch, Target: "test/b", ID: anyID.Draw(t, "id"), Body: delay("", 0).Body}
	case "sequential", "parallel":
		e := abi.Effect{Kind: abi.Kind(kind)}
		for range rapid.IntRange(1, 4).Draw(t, "children") {
			e.Children = append(e.Children, tree(t, depth-1))
		}
		return e
	default:
		return call(anyID.Draw(t, "id"))
	}
}

// After any sequence of changes the journal has the ledger, and the moves are such that each leaf is started once a drive, in its turn, and each effect is
// opened and done in turns.
func TestLedger_property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := newBook(t)
		var letters []ledger.Ref
		started := map[string]bool{} // leaf and drive
		running := map[ledger.Ref]ledger.Leaf{}
		open := map[uint64]bool{}
		trees := map[uint64][]abi.Effect{}
		outcomes := map[ledger.Ref]effects.Outcome{}
		overtaken := map[string]map[ledger.Ref]bool{} // of the leaves of a topic that have letters
		for _, topic := range topics {
			overtaken[topic] = map[ledger.Ref]bool{}
		}
		forget := func(ref ledger.Ref) {
			for _, topic := range topics {
				delete(overtaken[topic], ref)
			}
		}
		follow := func() {
			for _, o := range k.moves.Opened {
				require.False(t, open[o.Seq])
				open[o.Seq] = true
			}
			for _, ref := range k.moves.Stop {
				_, ok := running[ref]
				require.True(t, ok, "stopped what does not run")
				delete(running, ref)
				outcomes[ref] = max(outcomes[ref], effects.Cancelled)
			}
			for _, l := range k.moves.Start {
				name := fmt.Sprint(l.Ref, l.Drive)
				require.False(t, started[name], "%s started twice", name)
				started[name] = true
				running[l.Ref] = *l
				require.True(t, k.Holds(l.Ref, l.Drive))
				if l.Drive == 1 { // E5
					require.False(t, precedes(trees[l.Seq], l.Index, func(index int) bool {
						ref := ledger.Ref{Seq: l.Seq, Index: index}
						_, runs := running[ref]
						return runs && outcomes[ref] != effects.Done
					}), "started before its turn")
				}
			}
			for _, seq := range k.moves.Done {
				require.True(t, open[seq])
				delete(open, seq)
			}
			for ref, l := range running {
				require.True(t, k.Holds(ref, l.Drive), "what runs is open")
			}
			for seq := range k.seq + 1 {
				require.Equal(t, open[seq], k.Pending(seq))
			}
		}
		pick := func() (ref ledger.Ref, ok bool) {
			var refs []ledger.Ref
			for ref := range running {
				refs = append(refs, ref)
			}
			slices.SortFunc(refs, func(a, b ledger.Ref) int { return int(a.Seq)*1000 + a.Index - int(b.Seq)*1000 - b.Index })
			if len(refs) == 0 {
				return ledger.Ref{}, false
			}
			return rapid.SampledFrom(refs).Draw(t, "leaf"), true
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				var list []abi.Effect
				for range rapid.IntRange(1, 4).Draw(t, "effects") {
					list = append(list, tree(t, 3))
				}
				leaves := 0
				for range effects.Leaves(list) {
					leaves++
				}
				trees[k.seq+1] = list
				if leaves > 0 && k.add(list...) == nil {
					follow()
				}
			},
			"settle": func(t *rapid.T) {
				ref, ok := pick()
				if !ok {
					t.Skip()
				}
				outcome := rapid.SampledFrom([]effects.Outcome{effects.Done, effects.Done, effects.Dead}).Draw(t, "outcome")
				letter := outcome == effects.Dead || rapid.Bool().Draw(t, "refused")
				leaf := running[ref]
				k.settle(ref.Seq, ref.Index, outcome, letter)
				delete(running, ref)
				if outcomes[ref] != effects.Done {
					outcomes[ref] = outcome
				}
				if leaf.Effect.Kind == abi.KindPublish {
					lane, stand := overtaken[leaf.Effect.Target], standings(t, k, leaf.Effect.Target)
					for dead := range lane {
						if outcome == effects.Done && effects.Outcome(stand[dead].Outcome) == effects.Dead && (dead.Seq < ref.Seq || dead.Seq == ref.Seq && dead.Index < ref.Index) {
							lane[dead] = true
						}
					}
					if letter {
						lane[ref] = false
					}
				}
				if letter {
					letters = append(letters, ref)
				}
				follow()
			},
			"emit": func(t *rapid.T) {
				ref, ok := pick()
				if !ok {
					t.Skip()
				}
				k.change(func(b *journal.Batch, _ *ledger.Moves) { k.Emit(b, ref, []byte("token")) })
			},
			"redrive": func(t *rapid.T) {
				if len(letters) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(letters)-1).Draw(t, "letter")
				require.True(t, k.redrive(letters[i].Seq, letters[i].Index, []byte("action")), "every letter can be redriven")
				forget(letters[i])
				letters = slices.Delete(letters, i, i+1)
				follow()
			},
			"discard": func(t *rapid.T) {
				if len(letters) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(letters)-1).Draw(t, "letter")
				require.True(t, k.discard(letters[i].Seq, letters[i].Index))
				forget(letters[i])
				letters = slices.Delete(letters, i, i+1)
			},
			"restart": func(t *rapid.T) {
				if loaded := k.load(); loaded != nil {
					k.Ledger = loaded
					resumed := map[ledger.Ref]bool{}
					for _, l := range k.Resume().Start {
						require.Equal(t, running[l.Ref].Drive, l.Drive)
						resumed[l.Ref] = true
					}
					require.Len(t, resumed, len(running), "what ran goes on")
				} else {
					k.Ledger = ledger.New(id, life)
				}
			},
			"": func(t *rapid.T) {
				requireSame(t, k)
				for topic, lane := range overtaken {
					require.Equal(t, lane, lettersOf(t, k, topic), "E6, L4")
				}
			},
		})
	})
}

// precedes reports whether there is a leaf for which is holds that comes before another one in a sequential.
func precedes(list []abi.Effect, index int, is func(int) bool) bool {
	for leaf := range effects.Leaves(list) {
		if is(leaf.Index) && effects.LaterRan(list, leaf.Index, func(i int) bool { return i == index }) {
			return true
		}
	}
	return false
}
