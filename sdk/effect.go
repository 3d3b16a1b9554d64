package sdk

import (
	"reflect"
	"time"
	"unsafe"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

// Effect describes a side effect, or a tree of them. The host performs it once the action is durable; what comes back, comes back as an
// action. The zero Effect is None.
type Effect struct{ node abi.Effect }

// Effects is what a reducer returns; nil is none. The host performs them like Parallel.
type Effects []Effect

// What the commonest effects begin as. In a guest a copy is made at once, whereas a literal is first zeroed, which takes a host eight copies.
var (
	call     = Effect{abi.Effect{Kind: abi.KindCall}}
	delay    = Effect{abi.Effect{Kind: abi.KindDelay}}
	publish  = Effect{abi.Effect{Kind: abi.KindPublish}}
	dispatch = Effect{abi.Effect{Kind: abi.KindDispatch}}
)

// None does nothing.
func None() Effect { return Effect{abi.Effect{Kind: abi.KindNone}} }

// Call performs the named operation with args, and feeds back its result.
func Call[A any](operation string, args A) Effect {
	e := call
	e.node.Target, e.node.Body = operation, body(args)
	return e
}

// Delay feeds back an action of this store after d.
func Delay[A any](d time.Duration, typ string, action A) Effect {
	e := delay
	e.node.After, e.node.Body = d, PackAction(typ, action)
	return e
}

// Parallel performs effects all at once.
func Parallel(effects ...Effect) Effect {
	return Effect{abi.Effect{Kind: abi.KindParallel, Children: nodes(effects)}}
}

// Sequential performs effects one after another; one that fails for good or is cancelled stops the rest.
func Sequential(effects ...Effect) Effect {
	return Effect{abi.Effect{Kind: abi.KindSequential, Children: nodes(effects)}}
}

// Publish sends an event to a topic.
func Publish[E any](topic string, event E) Effect {
	e := publish
	e.node.Target, e.node.Body = topic, body(event)
	return e
}

// Append adds events to an event stream, whatever its version is; see Expect. Each is a struct or map with a field type, a text; the host keeps
// that, and the number in a field schema, apart from the rest, which is the event's data. It feeds back stream, version and position, or a failure with
// the code version_conflict when the stream was not as expected.
func Append[E any](stream string, events ...E) Effect {
	packed := make([][]byte, len(events))
	for i, event := range events {
		packed[i] = Pack(event)
	}
	return Effect{abi.Effect{Kind: abi.KindAppend, Target: stream, Events: packed}}
}

// Load feeds back the events of an event stream from the given version on, as maps of type, schema, version, position, time and data. It is a page: more says
// whether to load again, from the version that was fed back and 1.
func Load(stream string, from uint64) Effect {
	return Effect{abi.Effect{Kind: abi.KindLoad, Target: stream, From: from}}
}

// Project hands one event to one projection: the one at this position, as an append or a load fed it back. It is done when readers of the projection see
// what the event changed.
func Project(projection string, position uint64) Effect {
	return Effect{abi.Effect{Kind: abi.KindProject, Target: projection, Body: Pack(position)}}
}

// Dispatch sends an action to another store of the same tenant.
func Dispatch[A any](address, typ string, action A) Effect {
	e := dispatch
	e.node.Target, e.node.Body = address, PackAction(typ, action)
	return e
}

// Cancel ends the effect of this store that has the id.
func Cancel(id string) Effect { return Effect{abi.Effect{Kind: abi.KindCancel, ID: id}} }

// ID names the effect in its store, for Cancel. A Delay replaces the one that has its id.
func (e Effect) ID(id string) Effect { e.node.ID = id; return e }

// OK is the type of the action that feeds back the result.
func (e Effect) OK(typ string) Effect { e.node.OK = typ; return e }

// Err is the type of the action that feeds back the final error.
func (e Effect) Err(typ string) Effect { e.node.Err = typ; return e }

// Retry names the retry policy.
func (e Effect) Retry(policy string) Effect { e.node.Retry = policy; return e }

// Timeout bounds each attempt.
func (e Effect) Timeout(d time.Duration) Effect { e.node.Timeout = d; return e }

// Key is the order key of a Publish.
func (e Effect) Key(key string) Effect { e.node.Key = key; return e }

// Expect is the version that the stream of an Append must have.
func (e Effect) Expect(version int64) Effect { e.node.Expect = &version; return e }

// Describe is the effect as the contract has it. The caller must not change it.
func (e Effect) Describe() abi.Effect {
	if e.node.Kind == "" {
		e.node.Kind = abi.KindNone
	}
	return e.node
}

// body is Pack for what nobody changes afterwards: all structs without fields share one.
func body[A any](v A) []byte {
	if unsafe.Sizeof(v) == 0 {
		if p := planOf(reflect.TypeFor[A]()); p.kind == kindStruct && len(p.fields) == 0 {
			return noFields
		}
	}
	return Pack(v)
}

var noFields = []byte{0x80}

func nodes(effects []Effect) []abi.Effect {
	list := make([]abi.Effect, len(effects))
	for i, e := range effects {
		list[i] = e.Describe()
	}
	return list
}

// Append appends the encoding of effects.
func (effects Effects) Append(b []byte) []byte {
	b = pack.AppendArrayLen(b, len(effects))
	for i := range effects {
		node := &effects[i].node
		if node.Kind == "" { // the zero Effect
			node = &abi.Effect{Kind: abi.KindNone}
		}
		b = node.Append(b)
	}
	return b
}
