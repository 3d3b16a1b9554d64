package sdk

import "github.com/crhost/crhost/abi"

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
	bind   func(m *Module[S], a abi.Action) *handler
}

// On says that reduce does the actions of type typ. They are commands, which anybody may send, unless Internal is called on the result.
//
// reduce changes s in place and must do nothing else but return effects: what it returns and leaves in s may depend only on s, the
// action and env. It may keep parts of the action in s, but neither s nor env. Its error is from Reject, or Unchanged, or any other (see Reject).
// The fields of a command that A does not have are refused; those of an internal action are skipped.
func On[S, A any](typ string, reduce func(s *S, action A, env *Env) (Effects, error)) Action[S] {
	return Action[S]{
		action: abi.Action{Type: typ, Kind: abi.Command},
		bind: func(m *Module[S], a abi.Action) *handler {
			var action A // the one under way
			h := newHandler(&action, a)
			h.clear = func() {
				var zero A
				action = zero
			}
			h.run = func(slot uint32) bool {
				s := &m.states.list[slot]
				if m.states.flat {
					m.states.before = *s
				} else {
					m.states.keep(s)
				}
				effects, err := reduce(s, action, &m.env)
				if effects == nil && err == nil {
					return true
				}
				m.effects, m.err = effects, err
				return false
			}
			return h
		},
	}
}

// Internal makes it an action that only effects feed back.
func (a Action[S]) Internal() Action[S] { a.action.Kind = abi.Internal; return a }

// Doc adds a sentence for people, at most 1 KiB.
func (a Action[S]) Doc(text string) Action[S] { a.action.Doc = text; return a }
