package deploy

import (
	"context"
	"slices"
	"strings"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/observe"
)

// startEffects starts what the module's stores have asked for and not yet got, as the journal has it. With tidy, when no effect of the module can be under way, it removes
// what dispatches have left that were made after they had been cancelled.
func (m *Module) startEffects(ctx context.Context, tidy bool) error {
	last := ""
	var late journal.Batch
	started := make(map[string]bool)
	for row, err := range journal.Effects(m.registry.config.Backend, m.id) {
		if err != nil {
			return &abi.Error{Code: abi.CodeInternal, Text: "read the effects of module " + m.id.String(), Err: err}
		}
		if row.Ended() {
			for index := range row.Dispatched {
				journal.DeleteDispatched(&late, m.id, row.Life, row.Seq, index)
			}
			continue
		}
		if row.Key == last || started[row.Key] { // those of one life come together
			continue
		}
		last, started[row.Key] = row.Key, true
		if err := m.Place(row.Key).StartEffects(ctx, row.Key); err != nil {
			return err
		}
	}
	if tidy && !late.Empty() {
		return m.registry.commit(ctx, &late)
	}
	return nil
}

// Describe describes a leaf to observers.
func (m *Module) Describe(l *ledger.Leaf) observe.Leaf { return m.active.Load().LeafOf(l) }

// countLetters counts the dead letters that the journal has of the module.
//
// REQUIRES: none of its shards works yet.
func (m *Module) countLetters() error {
	n := 0
	for _, err := range journal.Letters(m.registry.config.Backend, m.id) {
		if err != nil {
			return &abi.Error{Code: abi.CodeInternal, Text: "read the dead letters of module " + m.id.String(), Err: err}
		}
		n++
	}
	m.letters.Store(int64(n))
	return nil
}

// Declared reports whether the active revision may emit an effect.
func (m *Module) Declared(k abi.Kind, target string) bool {
	return m.active.Load().Revision.Manifest.Allows(k, target)
}

// Granted reports whether the active revision was granted just this effect by whoever deployed it: by name, not by what it declares or by a pattern.
func (m *Module) Granted(k abi.Kind, target string) bool {
	return slices.Contains(decodeGrants(m.active.Load().Grants), string(k)+"="+target)
}

// undeclared are the effects of a manifest that neither the one before it nor a grant covers, as EFFECT=TARGET.
func undeclared(manifest, before *abi.Manifest, grants []string) []string {
	var more []string
	for _, e := range manifest.Effects {
		if e.Kind == abi.KindNone {
			continue
		}
		known := slices.ContainsFunc(before.Effects, func(g abi.EffectGrant) bool { return g.Kind == e.Kind })
		for _, target := range e.Targets {
			granted := slices.ContainsFunc(before.Effects, func(g abi.EffectGrant) bool {
				return g.Kind == e.Kind && slices.ContainsFunc(g.Targets, func(t string) bool { return covers(t, target) })
			}) || slices.ContainsFunc(grants, func(g string) bool {
				kind, pattern, _ := strings.Cut(g, "=")
				return kind == string(e.Kind) && covers(pattern, target)
			})
			if !granted {
				more = append(more, string(e.Kind)+"="+target)
			}
		}
		if len(e.Targets) == 0 && !known && !slices.Contains(grants, string(e.Kind)+"=*") {
			more = append(more, string(e.Kind)+"=*")
		}
	}
	return more
}

// covers reports whether a target, which may be a pattern itself, is within a pattern.
func covers(pattern, target string) bool {
	prefix, wild := strings.CutSuffix(pattern, "*")
	return pattern == target || wild && strings.HasPrefix(target, prefix)
}

func decodeGrants(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	r := pack.NewReader(b)
	var grants []string
	for n := r.ArrayLen(); n > 0 && r.OK(); n-- {
		grants = append(grants, string(r.Str()))
	}
	return grants
}
