// Package sdk makes a guest of a Go program: a module whose business logic is one pure function, compiled to WebAssembly.
//
// A plugin is a package main that registers a reducer, a state and one function per action, to initialise a package variable:
//
//	var counter = sdk.Register(sdk.Reducer[State]{
//		Name:    "counter",
//		Actions: []sdk.Action[State]{sdk.On("increment", increment)},
//	})
//
//	func main() {}
//
//	func increment(s *State, a Step, env *sdk.Env) (sdk.Effects, error) {
//		s.Count += a.By
//		return nil, nil
//	}
//
// built with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared. Built natively the same package can be tested: see sdktest.
//
// # What a reducer must keep to
//
// What it returns and leaves in the state may depend only on the state, the action and env; the host replays it. In particular on
// no package variable, on no order of a Go map, on time.Now, math/rand or goroutines. A goroutine must not outlive the call: every 16th action
// of a store, from its first, traps over one that does, and cr1_idle over those of the others. The state must mean the same after it was
// encoded and decoded (the residency law of package abi): two pointers to one value come back as pointers to two values. Empty slices and maps come back empty, nil ones nil; with omitempty both come back nil. Times come
// back in UTC.
//
// A panic is a trap: the host takes everything back that the call did, and refuses the action.
//
// # Codecs
//
// How a type is encoded is decided when it is registered: by its own methods (Codec), by methods that tinylib/msgp generated, or by a plan
// that is compiled for it once. Plans know structs, pointers, slices, arrays, maps with keys that are strings or integers, strings,
// byte slices and arrays, numbers, bools, time.Time, time.Duration, Raw, and each other type with a codec, in any combination, also recursive. Anything else is a
// panic that names the field: interfaces, channels, functions, complex numbers, fields that are not exported. Maps are written in the order of
// their keys. Plans use no reflection but for maps and to allocate. Codecs of msgp have to be generated without maps: their order is Go's.
//
// Tags are `msgpack:"name,omitempty"` or `msgpack:"-"`, and `default:"1"` is what a field has when it is absent. Without a name the
// field's own is used. Fields of embedded structs are fields of the outer one.
//
// Unknown fields: commands and configs, which people write, are refused with them (BAD_ACTION); internal actions and states skip them, so that effects can
// say more and fields can be dropped. A field that was dropped is gone with the next time the state is stored; raise Reducer.Schema when that
// must not be. Generated codecs skip them always.
//
// A decoder never panics and allocates at most the size of an element for each byte of input. Integers are read as floats when no digit
// is lost; nothing else is converted.
//
// # Rejections
//
// When a reducer rejects, the state must be as before. The SDK takes care of it (and tells the host, with CLEAN) when assignment copies
// the whole state, that is without pointers, slices and maps, or when the state has a method Clone() S; Clone is then called before each
// action, so it has to be cheap. Otherwise the host rebuilds the state from its last
// encoding and the actions since.
//
// # Concurrency
//
// A guest runs one call at a time. Natively, a Module belongs to one goroutine; Register and New are safe from any.
package sdk
