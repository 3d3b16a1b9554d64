package sdk

import (
	"errors"
	"reflect"
	"unsafe"

	"github.com/crhost/crhost/abi/pack"
)

// Codec is a type that encodes itself, with a pointer receiver for reading. A type with these methods is used as it is, wherever it
// appears in a state, action, config or event.
//
// AppendPack appends exactly one msgpack value, the same bytes for equal values. ReadPack reads what AppendPack wrote and reports what it
// cannot take with r.Fail; it must not keep what r returns, which aliases the input.
type Codec interface {
	AppendPack(b []byte) []byte
	ReadPack(r *pack.Reader)
}

// msgpCodec is what github.com/tinylib/msgp generates. It has to be run with sorted map keys or for types without maps. An action is given to it with
// the key type or without.
type msgpCodec interface {
	MarshalMsg(b []byte) ([]byte, error)
	UnmarshalMsg(b []byte) ([]byte, error)
}

// Raw is one msgpack value, kept as it is: for parts that a reducer passes on without looking into them. Empty is nil.
type Raw []byte

// Pack encodes v the way states, actions and events are encoded. Of an interface, the value in it is encoded.
// It panics when the type of v has no codec, see the package doc.
func Pack[T any](v T) Raw {
	p, at := planFor(&v)
	if p == nil {
		return pack.AppendNil(nil)
	}
	return p.append(make([]byte, 0, p.room), at, 0)
}

// planFor returns how *v is encoded and where it is: of an interface, the value in it; of nil, nil.
func planFor[T any](v *T) (*plan, unsafe.Pointer) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Interface {
		return planOf(t), unsafe.Pointer(v)
	}
	value := reflect.ValueOf(v).Elem().Elem()
	if !value.IsValid() {
		return nil, nil
	}
	held := reflect.New(value.Type())
	held.Elem().Set(value)
	return planOf(value.Type()), held.UnsafePointer()
}

// Unpack reads what Pack wrote. It copies what it keeps; unknown map keys are skipped. v is left half written after an error.
// It panics when the type of v has no codec.
func Unpack[T any](raw Raw, v *T) error {
	var zero T
	*v = zero
	p := planOf(reflect.TypeFor[T]())
	p.prepare(unsafe.Pointer(v))
	return decodeWhole(p, raw, unsafe.Pointer(v), false)
}

// PackAction encodes an action: the fields of v, a struct or map, and its type. It panics when v encodes to anything but a map.
func PackAction[A any](typ string, v A) Raw {
	if p, at := planFor(&v); p != nil && p.kind == kindStruct {
		b := pack.AppendMapLen(make([]byte, 0, p.room+len(typ)+16), p.present(at)+1)
		b = pack.AppendString(append(b, "\xa4type"...), typ)
		return p.appendFields(b, at, 0)
	}
	packed := Pack(v)
	fields := pack.NewReader(packed)
	if fields.Peek() != pack.Map {
		panic("sdk: the action " + typ + " is a " + fields.Peek().String() + ", want a struct or map")
	}
	n := fields.MapLen()
	b := pack.AppendMapLen(make([]byte, 0, len(packed)+len(typ)+16), n+1)
	b = pack.AppendString(append(b, "\xa4type"...), typ)
	return append(b, packed[fields.Pos():]...)
}

// decodeWhole reads b, exactly one value, into v, which must be prepared.
func decodeWhole(p *plan, b []byte, v unsafe.Pointer, strict bool) error {
	d := decoder{strict: strict}
	return d.whole(p, b, v)
}

// begin makes d read b from its start.
func (d *decoder) begin(b []byte) {
	d.Reset(b)
	d.depth, d.path = 0, ""
}

// whole reads b, exactly one value, into v, which must be prepared. d can be used again.
func (d *decoder) whole(p *plan, b []byte, v unsafe.Pointer) error {
	d.begin(b)
	p.decode(d, v)
	if d.End(); d.OK() {
		return nil
	}
	return d.failure()
}

// failure is the error of d, with the field that it is about.
func (d *decoder) failure() error {
	var syntax *pack.SyntaxError
	what := d.Err().Error()
	if errors.As(d.Err(), &syntax) {
		what = syntax.What
	}
	if d.path != "" {
		what = d.path + ": " + what
	}
	return errors.New(what)
}
