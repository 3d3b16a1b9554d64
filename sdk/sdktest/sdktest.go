package sdktest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/sdk"
)

// TB is the part of testing.TB that is needed.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

// Start is the time of the first action, unless At says otherwise; each action is one second later.
var Start = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// The slots and ticket of a Scenario: the state in the first stays resident, that in the second comes from bytes at every action.
const (
	resident uint32 = iota
	twin
)

const ticket = 1

// Scenario is a store under test.
type Scenario[S any] struct {
	t      TB
	module *sdk.Module[S]
	state  []byte // what the store holds, encoded; nil = it is new
	warm   bool   // the resident slot holds it

	meta abi.Meta
	now  time.Time
	seq  uint64
	last outcome
}

// outcome is what an action came to.
type outcome struct {
	typ     string
	out     abi.Output // its slices are copies
	checked bool       // Then or Rejected has looked at it
}

// Given is a store that holds state.
func Given[S any](t TB, module *sdk.Module[S], state S) *Scenario[S] {
	s := Fresh(t, module)
	s.state = sdk.Pack(state)
	return s
}

// Fresh is a store that never had an action.
func Fresh[S any](t TB, module *sdk.Module[S]) *Scenario[S] {
	s := &Scenario[S]{
		t: t, module: module, now: Start, last: outcome{checked: true},
		meta: abi.Meta{Store: "default/" + module.Manifest().Name + "/main", Correlation: "test"},
	}
	t.Cleanup(s.settle)
	return s
}

// At sets the time of the next action.
func (s *Scenario[S]) At(now time.Time) *Scenario[S] { s.now = now; return s }

// From sets the principal of the actions that follow.
func (s *Scenario[S]) From(principal string) *Scenario[S] { s.meta.Principal = principal; return s }

// Of sets the address of the store, tenant/module/key.
func (s *Scenario[S]) Of(address string) *Scenario[S] { s.meta.Store = address; return s }

// Configured gives the module a config, as a deploy does. It holds for the module, and so for later scenarios of it.
func (s *Scenario[S]) Configured(config sdk.Raw) *Scenario[S] {
	s.t.Helper()
	in := abi.BytesInput{Body: config}
	frame := make([]byte, in.Size())
	in.Encode(frame)
	if out := s.decode(s.module.Configure(frame)); out.Status != abi.OK {
		s.t.Fatalf("the module refuses the config: %s: %s", out.Code, out.Text)
	}
	return s
}

// When sends an action of type typ with the fields of action, a struct or map; nil = none.
func (s *Scenario[S]) When(typ string, action any) *Scenario[S] {
	s.t.Helper()
	s.settle()
	body := packAction(typ, action)
	index := -1
	for i, a := range s.module.Manifest().Actions {
		if a.Type == typ {
			index = i
		}
	}
	if index < 0 {
		s.t.Fatalf("the module %s has no action %s", s.module.Manifest().Name, typ)
	}
	s.seq++
	in := abi.ReduceInput{Action: uint16(index), Ticket: ticket, Seq: s.seq, Now: s.now.UnixNano(), Body: body, Meta: s.meta.Append(nil)}
	binary.LittleEndian.PutUint64(in.Seed[:], s.seq)
	s.now = s.now.Add(time.Second)

	before := s.state
	out := s.run(in)
	s.checkTwin(in, before, out)
	s.last = outcome{typ: typ, out: out}
	s.state = s.checkState(before, out)
	return s
}

// run performs the action on the resident state.
func (s *Scenario[S]) run(in abi.ReduceInput) abi.Output {
	in.Slot, in.Mode, in.State = resident, abi.Resident, nil
	if !s.warm {
		in.Mode, in.State = mode(s.state), s.state
	}
	return s.reduce(&in)
}

func mode(state []byte) abi.Mode {
	if state == nil {
		return abi.Fresh
	}
	return abi.WithState
}

func (s *Scenario[S]) reduce(in *abi.ReduceInput) abi.Output {
	frame := s.module.Buffer(in.Size())
	return s.decode(s.module.Reduce(frame[:in.Encode(frame)]))
}

// decode reads an answer and copies it.
func (s *Scenario[S]) decode(frame []byte) abi.Output {
	s.t.Helper()
	var out abi.Output
	if err := out.Decode(bytes.Clone(frame)); err != nil {
		s.t.Fatalf("%v", err)
	}
	return out
}

func (s *Scenario[S]) encoded(slot uint32) []byte {
	s.t.Helper()
	out := s.decode(s.module.State(slot, ticket))
	if out.Status != abi.OK {
		s.t.Fatalf("cr1_state answers %s", out.Status)
	}
	return out.Body
}

// checkTwin performs the action again, on the state decoded from its bytes, and compares.
func (s *Scenario[S]) checkTwin(in abi.ReduceInput, before []byte, out abi.Output) {
	s.t.Helper()
	in.Slot, in.Mode, in.State = twin, mode(before), before
	again := s.reduce(&in)
	typ := s.module.Manifest().Actions[in.Action].Type
	if out.Status != again.Status || !bytes.Equal(out.Code, again.Code) {
		s.t.Fatalf("residency law: %s on the kept state is %s %s, on the same state decoded from its bytes %s %s",
			typ, out.Status, out.Code, again.Status, again.Code)
	}
	if d := diff(dumpEffects(out.Body), dumpEffects(again.Body)); d != "" {
		s.t.Fatalf("residency law: %s has other effects on the kept state (-) than on the same state decoded from its bytes (+)\n%s", typ, d)
	}
	if out.Status != abi.OK {
		return
	}
	kept, decoded := s.encoded(resident), s.encoded(twin)
	if !bytes.Equal(kept, decoded) {
		s.t.Fatalf("residency law: %s makes another state of the kept one (-) than of the same state decoded from its bytes (+)\n%s",
			typ, diff(dump(kept), dump(decoded)))
	}
}

// checkState checks what became of the state, and returns its encoding.
func (s *Scenario[S]) checkState(before []byte, out abi.Output) []byte {
	s.t.Helper()
	s.warm = out.Status == abi.OK || out.Flags&abi.Clean != 0
	if !s.warm {
		return before
	}
	after := s.encoded(resident)
	var state S
	if err := sdk.Unpack(after, &state); err != nil {
		s.t.Fatalf("residency law: the state cannot be read back: %v\n%s", err, dump(after))
	}
	if d := diff(dump(after), dump(sdk.Pack(state))); d != "" {
		s.t.Fatalf("residency law: a state (-) is another one when it is decoded and encoded (+)\n%s", d)
	}
	s.checkDeclared(out)
	if before == nil {
		return after
	}
	if d := diff(dump(before), dump(after)); d != "" {
		switch {
		case out.Status != abi.OK:
			s.t.Fatalf("the action was refused, but the state is not taken back; look at Clone\n%s", d)
		case out.Flags&abi.StateChanged == 0:
			s.t.Fatalf("the reducer says sdk.Unchanged, but the state has changed\n%s", d)
		}
	}
	return after
}

// checkDeclared checks that the effects are in the manifest.
func (s *Scenario[S]) checkDeclared(out abi.Output) {
	s.t.Helper()
	effects, err := abi.DecodeEffects(out.Body)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	var walk func(effects []abi.Effect)
	walk = func(effects []abi.Effect) {
		s.t.Helper()
		for _, e := range effects {
			if e.Kind.Leaf() && !s.module.Manifest().Allows(e.Kind, e.Target) {
				s.t.Fatalf("the effect %s %q is not in Reducer.Effects: the host would refuse the action", e.Kind, e.Target)
			}
			walk(e.Children)
		}
	}
	walk(effects)
}

// Then expects that the last action was accepted, with this state and exactly these effects.
func (s *Scenario[S]) Then(state S, effects ...sdk.Effect) *Scenario[S] {
	s.t.Helper()
	s.settle()
	if d := diff(dump(sdk.Pack(state)), dump(s.state)); d != "" {
		s.t.Fatalf("after %s the state is not (-) but (+)\n%s", s.last.typ, d)
	}
	if d := diff(dumpEffects(sdk.Effects(effects).Append(nil)), dumpEffects(s.last.out.Body)); d != "" {
		s.t.Fatalf("after %s the effects are not (-) but (+)\n%s", s.last.typ, d)
	}
	return s
}

// Rejected expects that the last action was rejected with this code.
func (s *Scenario[S]) Rejected(code string) *Scenario[S] {
	s.t.Helper()
	s.last.checked = true
	if out := s.last.out; out.Status != abi.Rejected || string(out.Code) != code {
		s.t.Fatalf("%s was not rejected as %s, it is %s", s.last.typ, code, said(out))
	}
	return s
}

// BadAction expects that the last action could not be read.
func (s *Scenario[S]) BadAction() *Scenario[S] {
	s.t.Helper()
	s.last.checked = true
	if s.last.out.Status != abi.BadAction {
		s.t.Fatalf("%s is not a bad action, it is %s", s.last.typ, said(s.last.out))
	}
	return s
}

// settle fails when the last action was refused and nobody expected it.
func (s *Scenario[S]) settle() {
	s.t.Helper()
	if !s.last.checked && s.last.out.Status != abi.OK {
		s.t.Fatalf("%s is not accepted, it is %s", s.last.typ, said(s.last.out))
	}
	s.last.checked = true
}

func said(out abi.Output) string {
	if out.Status == abi.OK {
		return "accepted"
	}
	return fmt.Sprintf("%s %s: %s", out.Status, out.Code, out.Text)
}

func packAction(typ string, action any) []byte {
	if action == nil {
		b := pack.AppendMapLen(nil, 1)
		return pack.AppendString(pack.AppendString(b, "type"), typ)
	}
	return sdk.PackAction(typ, action)
}
