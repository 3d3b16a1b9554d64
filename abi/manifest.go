package abi

import (
	"strings"

	"github.com/crhost/crhost/abi/pack"
)

// ActionKind says who may send an action.
type ActionKind string

// The kinds of actions.
const (
	Command  ActionKind = "command"  // anybody may send it
	Internal ActionKind = "internal" // only effects feed it back
)

// Residency says whether a guest keeps states between calls.
type Residency string

// The residencies.
const (
	ResidencyNone  Residency = "none"  // it keeps only the state that it reduced last, until the next cr1_reduce
	ResidencySlots Residency = "slots" // it keeps a state in each slot until it is evicted
)

// Manifest is what a module says of itself.
type Manifest struct {
	Minor      uint64 // abi: the minor version that the guest needs
	Name       string // name
	Version    string // version, for people
	Schema     uint32 // schema: number of the state's schema, from 1
	Actions    []Action
	Effects    []EffectGrant
	Residency  Residency
	Slots      uint32 // slots: how many slots the guest has; 0 = as many as the host likes
	Migrations []Migration
	Limits     Limits
}

// Action is one action type.
type Action struct {
	Type string // [a-z0-9_.]{1,64}
	Kind ActionKind
	Doc  string // one sentence, may be empty
}

// EffectGrant is an effect kind that a module may emit, with the targets it may name. A target may end in * (any rest).
type EffectGrant struct {
	Kind    Kind
	Targets []string
}

// Migration is a step that cr1_migrate (and with Down cr1_migrate_down) can do.
type Migration struct {
	From, To uint32
	Down     bool
}

// Append appends the encoding of m: a msgpack map.
func (m *Manifest) Append(b []byte) []byte {
	b = pack.AppendMapLen(b, 10)
	b = pack.AppendUint(pack.AppendString(b, "abi"), m.Minor)
	b = appendField(b, "name", m.Name)
	b = appendField(b, "version", m.Version)
	b = pack.AppendUint(pack.AppendString(b, "schema"), uint64(m.Schema))
	b = pack.AppendArrayLen(pack.AppendString(b, "actions"), len(m.Actions))
	for _, a := range m.Actions {
		b = pack.AppendMapLen(b, 3)
		b = appendField(b, "type", a.Type)
		b = appendField(b, "kind", string(a.Kind))
		b = appendField(b, "doc", a.Doc)
	}
	b = pack.AppendArrayLen(pack.AppendString(b, "effects"), len(m.Effects))
	for _, e := range m.Effects {
		b = pack.AppendMapLen(b, 2)
		b = appendField(b, "kind", string(e.Kind))
		b = pack.AppendArrayLen(pack.AppendString(b, "targets"), len(e.Targets))
		for _, t := range e.Targets {
			b = pack.AppendString(b, t)
		}
	}
	b = appendField(b, "residency", string(m.Residency))
	b = pack.AppendUint(pack.AppendString(b, "slots"), uint64(m.Slots))
	b = pack.AppendArrayLen(pack.AppendString(b, "migrations"), len(m.Migrations))
	for _, s := range m.Migrations {
		b = pack.AppendMapLen(b, 3)
		b = pack.AppendUint(pack.AppendString(b, "from"), uint64(s.From))
		b = pack.AppendUint(pack.AppendString(b, "to"), uint64(s.To))
		b = pack.AppendBool(pack.AppendString(b, "down"), s.Down)
	}
	b = pack.AppendMapLen(pack.AppendString(b, "limits"), 5)
	for _, f := range m.Limits.fields() {
		b = pack.AppendUint(pack.AppendString(b, f.name), *f.value)
	}
	return b
}

type limitField struct {
	name  string
	value *uint64
	hard  uint64
}

func (l *Limits) fields() [5]limitField {
	return [5]limitField{
		{"action_bytes", &l.ActionBytes, HardActionBytes},
		{"effects_bytes", &l.EffectsBytes, HardEffectsBytes},
		{"state_bytes", &l.StateBytes, HardStateBytes},
		{"memory_pages", &l.MemoryPages, HardMemoryPages},
		{"fuel", &l.Fuel, HardFuel},
	}
}

// ManifestError says what is wrong with a manifest.
type ManifestError struct{ What string }

func (e *ManifestError) Error() string { return "manifest: " + e.What }

// Decode reads and validates a manifest. Unknown fields are skipped, so that a newer guest can say more to a newer host; what it
// *needs* of a newer host it says with abi. Errors are *ManifestError.
func (m *Manifest) Decode(b []byte) error {
	*m = Manifest{Residency: ResidencyNone}
	r := pack.NewReader(b)
	eachField(&r, func(name string) {
		switch name {
		case "abi":
			m.Minor = r.Uint()
		case "name":
			m.Name = string(r.Str())
		case "version":
			m.Version = string(r.Str())
		case "schema":
			m.Schema = readUint32(&r)
		case "actions":
			readList(&r, MaxActions, &m.Actions, decodeAction)
		case "effects":
			readList(&r, MaxLeaves, &m.Effects, decodeGrant)
		case "residency":
			m.Residency = Residency(r.Str())
		case "slots":
			m.Slots = readUint32(&r)
		case "migrations":
			readList(&r, MaxActions, &m.Migrations, decodeMigration)
		case "limits":
			eachField(&r, func(name string) { decodeLimit(&r, &m.Limits, name) })
		default:
			r.Skip()
		}
	})
	r.End()
	if err := r.Err(); err != nil {
		return &ManifestError{What: err.Error()}
	}
	return m.Validate()
}

func eachField(r *pack.Reader, read func(name string)) {
	for n := r.MapLen(); n > 0 && r.OK(); n-- {
		if name := string(r.Str()); r.OK() {
			read(name)
		}
	}
}

// readList appends an array to list, which holds at most limit elements, however many arrays a manifest gives for it.
func readList[T any](r *pack.Reader, limit int, list *[]T, read func(*pack.Reader) T) {
	n := r.ArrayLen()
	if len(*list)+n > limit {
		r.Fail(format("a list of %d, the limit is %d", len(*list)+n, limit))
	}
	for ; n > 0 && r.OK(); n-- {
		*list = append(*list, read(r))
	}
}

func readUint32(r *pack.Reader) uint32 {
	v := r.Uint()
	if v > 1<<32-1 {
		r.Fail("the number does not fit 32 bits")
	}
	return uint32(v)
}

func decodeAction(r *pack.Reader) (a Action) {
	eachField(r, func(name string) {
		switch name {
		case "type":
			a.Type = string(r.Str())
		case "kind":
			a.Kind = ActionKind(r.Str())
		case "doc":
			a.Doc = string(r.Str())
		default:
			r.Skip()
		}
	})
	return a
}

func decodeGrant(r *pack.Reader) (g EffectGrant) {
	eachField(r, func(name string) {
		switch name {
		case "kind":
			g.Kind = Kind(r.Str())
		case "targets":
			readList(r, MaxLeaves, &g.Targets, func(r *pack.Reader) string { return string(r.Str()) })
		default:
			r.Skip()
		}
	})
	return g
}

func decodeMigration(r *pack.Reader) (s Migration) {
	eachField(r, func(name string) {
		switch name {
		case "from":
			s.From = readUint32(r)
		case "to":
			s.To = readUint32(r)
		case "down":
			s.Down = r.Bool()
		default:
			r.Skip()
		}
	})
	return s
}

func decodeLimit(r *pack.Reader, l *Limits, name string) {
	for _, f := range l.fields() {
		if f.name == name {
			*f.value = r.Uint()
			return
		}
	}
	r.Skip()
}

// Validate checks the manifest's own rules. Errors are *ManifestError.
func (m *Manifest) Validate() error {
	bad := func(f string, args ...any) error { return &ManifestError{What: format(f, args...)} }
	switch {
	case m.Minor > Minor:
		return bad("the guest needs ABI %d.%d, this host speaks %d.%d", Version, m.Minor, Version, Minor)
	case !validType(m.Name):
		return bad("name %q is not 1 to %d of a-z, 0-9, _ and .", clip(m.Name, MaxNameBytes), MaxNameBytes)
	case len(m.Version) > MaxNameBytes:
		return bad("a version of %d bytes, the limit is %d", len(m.Version), MaxNameBytes)
	case textFault(m.Version) != "":
		return bad("the version %q %s", m.Version, textFault(m.Version))
	case m.Schema == 0:
		return bad("no schema number: the first is 1")
	case len(m.Actions) == 0:
		return bad("no actions")
	case len(m.Actions) > MaxActions:
		return bad("%d actions, the limit is %d", len(m.Actions), MaxActions)
	case m.Residency != ResidencyNone && m.Residency != ResidencySlots:
		return bad("residency %q, want none or slots", clip(string(m.Residency), MaxNameBytes))
	}
	types := make(map[string]bool, len(m.Actions))
	for _, a := range m.Actions {
		switch {
		case !validType(a.Type):
			return bad("action type %q is not 1 to %d of a-z, 0-9, _ and .", clip(a.Type, MaxNameBytes), MaxNameBytes)
		case types[a.Type]:
			return bad("action type %q twice", a.Type)
		case a.Kind != Command && a.Kind != Internal:
			return bad("action %s has kind %q, want command or internal", a.Type, clip(string(a.Kind), MaxNameBytes))
		case len(a.Doc) > MaxTextBytes:
			return bad("the doc of action %s has %d bytes, the limit is %d", a.Type, len(a.Doc), MaxTextBytes)
		case textFault(a.Doc) != "":
			return bad("the doc of action %s %s", a.Type, textFault(a.Doc))
		}
		types[a.Type] = true
	}
	kinds := make(map[Kind]bool, len(m.Effects))
	for _, e := range m.Effects {
		if ruleOf(e.Kind) == nil {
			return bad("unknown effect kind %q", clip(string(e.Kind), MaxNameBytes))
		}
		if kinds[e.Kind] {
			return bad("effect kind %s twice", string(e.Kind))
		}
		kinds[e.Kind] = true
		for _, t := range e.Targets {
			switch {
			case len(t) > MaxTextBytes:
				return bad("a target of effect kind %s has %d bytes, the limit is %d", string(e.Kind), len(t), MaxTextBytes)
			case textFault(t) != "":
				return bad("the target %q of effect kind %s %s", t, string(e.Kind), textFault(t))
			}
		}
	}
	for _, s := range m.Migrations {
		if s.From == s.To {
			return bad("a migration from schema %d to itself", int(s.From))
		}
	}
	for _, f := range m.Limits.fields() {
		if *f.value > f.hard {
			return bad("limit %s %d, the hard limit is %d", f.name, *f.value, f.hard)
		}
	}
	return nil
}

// Allows reports whether the manifest declares an effect of this kind with this target. A declared target that ends in * stands for all that
// begin like it; a kind declared without targets stands for none but the empty one.
func (m *Manifest) Allows(kind Kind, target string) bool {
	for _, g := range m.Effects {
		if g.Kind != kind {
			continue
		}
		if target == "" {
			return true
		}
		for _, t := range g.Targets {
			if prefix, wild := strings.CutSuffix(t, "*"); t == target || wild && strings.HasPrefix(target, prefix) {
				return true
			}
		}
	}
	return false
}

// validType checks the name of an action type, module or rejection: [a-z0-9_.]{1,64}.
func validType(s string) bool {
	if len(s) == 0 || len(s) > MaxNameBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// ValidCode reports whether code may be the code of a rejection.
func ValidCode(code []byte) bool { return validType(string(code)) }

// TypeOf finds the type of an action: the value of the key "type" in a msgpack map, which b must be, whole and well formed, with its
// keys strings. Errors are *pack.SyntaxError.
func TypeOf(b []byte) ([]byte, error) {
	r := pack.NewReader(b)
	var typ []byte
	for n := r.MapLen(); n > 0 && r.OK(); n-- {
		if key := r.Str(); string(key) == "type" {
			if typ != nil {
				r.Fail("the action has two types")
			}
			if typ = r.Str(); len(typ) == 0 {
				r.Fail("the action's type is empty")
			}
			continue
		}
		r.Skip()
	}
	r.End()
	if typ == nil {
		r.Fail("the action has no type")
	}
	return typ, r.Err()
}

func appendField(b []byte, name, value string) []byte {
	return pack.AppendString(pack.AppendString(b, name), value)
}
