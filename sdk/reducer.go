package sdk

import (
	"reflect"
	"unsafe"

	"github.com/crhost/crhost/abi"
)

// Reducer is what a plugin registers: its name, its state and one function per action. Zero fields are the documented defaults.
type Reducer[S any] struct {
	Name    string // [a-z0-9_.]{1,64}
	Version string // for people
	Schema  uint32 // number of the state's schema; raise it when old states need a migration. Defaults to 1
	Initial S      // the state of a new store. It is copied by encoding it, so that stores share nothing
	Actions []Action[S]
	Effects []Grant    // the effects that the reducer may return; any other is refused by the host
	Config  Settings   // from UseConfig; nil = the module takes no config
	Limits  abi.Limits // what the reducer needs beyond the defaults
}

// Grant is an effect kind that a reducer may return, with the targets it may name; a target may end in *.
type Grant = abi.EffectGrant

// The kinds of effects, for Grant.
const (
	KindCall       = abi.KindCall
	KindDelay      = abi.KindDelay
	KindParallel   = abi.KindParallel
	KindSequential = abi.KindSequential
	KindPublish    = abi.KindPublish
	KindAppend     = abi.KindAppend
	KindLoad       = abi.KindLoad
	KindProject    = abi.KindProject
	KindDispatch   = abi.KindDispatch
	KindCancel     = abi.KindCancel
	KindNone       = abi.KindNone
)

// Action is one action type of a reducer over states S; On makes it.
type Action[S any] struct {
	action abi.Action
	bind   func(strict bool) handler[S]
}

// handler does the actions of one type.
type handler[S any] interface {
	// decode reads an action and keeps it for reduce.
	decode(b []byte) error
	reduce(s *S, env *Env) (Effects, error)
}

// On says that reduce does the actions of type typ. They are commands, which anybody may send, unless Internal is called on the result.
//
// reduce changes s in place and must do nothing else but return effects: what it returns and leaves in s may depend only on s, the
// action and env. It may keep parts of the action in s, but neither s nor env. Its error is from Reject, or Unchanged, or any other (see Reject).
// The fields of a command that A does not have are refused; those of an internal action are skipped.
func On[S, A any](typ string, reduce func(s *S, action A, env *Env) (Effects, error)) Action[S] {
	return Action[S]{
		action: abi.Action{Type: typ, Kind: abi.Command},
		bind: func(strict bool) handler[S] {
			p := planOf(reflect.TypeFor[A]())
			if p.kind != kindStruct && p.kind != kindCodec && p.kind != kindMsgp {
				panic("sdk: action " + typ + ": a " + p.typ.String() + " has no fields; use a struct")
			}
			return &binding[S, A]{fn: reduce, plan: p, strict: strict}
		},
	}
}

// Internal makes it an action that only effects feed back.
func (a Action[S]) Internal() Action[S] { a.action.Kind = abi.Internal; return a }

// Doc adds a sentence for people, at most 1 KiB.
func (a Action[S]) Doc(text string) Action[S] { a.action.Doc = text; return a }

// binding is an action type with its function.
type binding[S, A any] struct {
	fn     func(*S, A, *Env) (Effects, error)
	plan   *plan
	strict bool
	action A // the one under way
}

func (h *binding[S, A]) decode(b []byte) error {
	var zero A
	h.action = zero
	h.plan.prepare(unsafe.Pointer(&h.action))
	d := decoder{strict: h.strict, action: true}
	d.Reset(b)
	h.plan.decode(&d, unsafe.Pointer(&h.action))
	if d.End(); d.OK() {
		return nil
	}
	return d.failure()
}

func (h *binding[S, A]) reduce(s *S, env *Env) (Effects, error) { return h.fn(s, h.action, env) }
