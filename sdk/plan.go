package sdk

import (
	"maps"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/crhost/crhost/abi/pack"
)

// plan is how values of one type are encoded and decoded: compiled once, by reflection, into offsets and kinds, then followed with plain
// loads and stores. Only maps, and what has to be allocated, still go through reflect.
type plan struct {
	kind   kind
	typ    reflect.Type
	id     uintptr  // of typ
	size   uintptr  // of one value, in bytes
	fields []field  // of a struct, embedded ones flattened, in order
	elem   *plan    // of a pointer, slice, array or map
	key    *plan    // of a map
	length int      // of an array
	room   int      // what an encoded value mostly fits into, bytes
	flat   bool     // assignment copies it whole: no pointers, slices or maps
	preset []preset // what absent fields get
}

type field struct {
	name   string
	key    []byte // the name, encoded
	offset uintptr
	omit   bool // omitempty
	plan   *plan
}

type kind uint8

const (
	kindStruct kind = iota
	kindBool
	kindInt // int and uint of every size
	kindUint
	kindFloat32
	kindFloat64
	kindString
	kindBytes
	kindByteArray
	kindTime
	kindRaw
	kindPointer
	kindSlice
	kindArray
	kindMap
	kindCodec
	kindMsgp
)

var (
	timeType  = reflect.TypeFor[time.Time]()
	rawType   = reflect.TypeFor[Raw]()
	codecType = reflect.TypeFor[Codec]()
	msgpType  = reflect.TypeFor[msgpCodec]()
)

// planCache remembers the plans of a process: they depend on nothing but their type.
type planCache struct {
	recent [64]atomic.Pointer[plan] // each the last one used of those whose types share a place: found without the lock and without hashing
	mu     sync.Mutex               // guards plans
	plans  map[reflect.Type]*plan
}

var plans = planCache{plans: make(map[reflect.Type]*plan)}

// planOf returns the plan of typ. It panics, naming the field, when a part of typ cannot be encoded.
func planOf(typ reflect.Type) *plan {
	id := typeID(typ)
	recent := &plans.recent[id/32%uintptr(len(plans.recent))]
	p := recent.Load()
	if p == nil || p.id != id {
		p = plans.find(typ)
		recent.Store(p)
	}
	return p
}

// typeID is the address of what describes typ: the same for the same type.
func typeID(typ reflect.Type) uintptr {
	return (*[2]uintptr)(unsafe.Pointer(&typ))[1] // an interface, as the language lays it out
}

func (plans *planCache) find(typ reflect.Type) *plan {
	plans.mu.Lock()
	defer plans.mu.Unlock()
	if p := plans.plans[typ]; p != nil {
		return p
	}
	c := compiler{made: make(map[reflect.Type]*plan)}
	p := c.compile(typ, typ.String())
	maps.Copy(plans.plans, c.made)
	return p
}

// compiler turns types into plans. made holds the types under way and done, so that a type may contain itself behind a pointer, slice or map.
type compiler struct {
	made map[reflect.Type]*plan
}

func (c *compiler) refuse(where, why string) {
	panic("sdk: " + where + ": " + why)
}

func (c *compiler) compile(t reflect.Type, where string) *plan {
	if p := c.made[t]; p != nil {
		return p
	}
	p := &plan{typ: t, id: typeID(t), size: t.Size(), room: 16}
	c.made[t] = p
	switch {
	case t == timeType:
		p.kind, p.flat = kindTime, true
	case t == rawType:
		p.kind = kindRaw
	case reflect.PointerTo(t).Implements(codecType):
		p.kind, p.flat = kindCodec, isFlat(t)
	case reflect.PointerTo(t).Implements(msgpType):
		p.kind, p.flat = kindMsgp, isFlat(t)
	default:
		c.plain(p, where)
	}
	c.defaults(p, t, 0, where)
	return p
}

// plain plans a type that has no codec of its own.
func (c *compiler) plain(p *plan, where string) {
	t := p.typ
	switch t.Kind() {
	case reflect.Bool:
		p.kind, p.flat = kindBool, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.kind, p.flat = kindInt, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		p.kind, p.flat = kindUint, true
	case reflect.Float32:
		p.kind, p.flat = kindFloat32, true
	case reflect.Float64:
		p.kind, p.flat = kindFloat64, true
	case reflect.String:
		p.kind, p.flat = kindString, true
	case reflect.Struct:
		p.kind = kindStruct
		c.structFields(p, t, 0, where)
		p.flat, p.room = true, 8
		for i := range p.fields {
			f := &p.fields[i]
			p.flat = p.flat && f.plan.flat
			p.room += len(f.key) + f.plan.room
		}
	case reflect.Slice:
		p.kind = kindSlice
		if t.Elem().Kind() == reflect.Uint8 {
			p.kind = kindBytes
			return
		}
		p.elem = c.compile(t.Elem(), where+"[]")
	case reflect.Array:
		p.kind, p.length = kindArray, t.Len()
		if t.Elem().Kind() == reflect.Uint8 {
			p.kind, p.flat = kindByteArray, true
			return
		}
		p.elem = c.compile(t.Elem(), where+"[]")
		p.flat = p.elem.flat
	case reflect.Pointer:
		p.kind = kindPointer
		p.elem = c.compile(t.Elem(), where)
		switch p.elem.kind {
		case kindPointer, kindSlice, kindBytes, kindMap, kindRaw:
			c.refuse(where, "a "+t.String()+" cannot tell a nil inside from a nil outside")
		}
	case reflect.Map:
		p.kind = kindMap
		p.key = c.compile(t.Key(), where+" (key)")
		switch p.key.kind {
		case kindString, kindInt, kindUint:
		default:
			c.refuse(where, "a map's keys are strings or integers, not "+t.Key().String())
		}
		p.elem = c.compile(t.Elem(), where+"[]")
	case reflect.Interface:
		c.refuse(where, "the type "+t.String()+" can hold anything, so it would not come back as it was; use a struct, or sdk.Raw to pass a value on")
	default:
		c.refuse(where, "a "+t.String()+" cannot be encoded")
	}
}

// structFields adds the fields of t, which lies at base in p's type.
func (c *compiler) structFields(p *plan, t reflect.Type, base uintptr, where string) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := where + "." + f.Name
		name, omit := c.tag(f, at)
		if name == "-" {
			continue
		}
		_, tagged := f.Tag.Lookup("msgpack")
		if f.Anonymous && !tagged {
			if f.Type.Kind() != reflect.Struct || f.Type == timeType {
				c.refuse(at, "only structs can be embedded; give it a name or a msgpack tag")
			}
			c.structFields(p, f.Type, base+f.Offset, at)
			continue
		}
		if !f.IsExported() {
			c.refuse(at, "is not exported, so its value would be lost between calls; export it, or tag it `msgpack:\"-\"` when it may be lost")
		}
		for j := range p.fields {
			if p.fields[j].name == name {
				c.refuse(at, "a second field named \""+name+"\"")
			}
		}
		if omit && hasDefaults(f.Type) {
			c.refuse(at, "omitempty would turn an empty value into the defaults of its fields")
		}
		p.fields = append(p.fields, field{
			name: name, key: pack.AppendString(nil, name), offset: base + f.Offset, omit: omit, plan: c.compile(f.Type, at),
		})
	}
}

// tag reads `msgpack:"name,omitempty"`; without a name, the field's own is taken.
func (c *compiler) tag(f reflect.StructField, at string) (name string, omit bool) {
	name, options, more := strings.Cut(f.Tag.Get("msgpack"), ",")
	if name == "" {
		name = f.Name
	}
	if more && options != "omitempty" {
		c.refuse(at, "unknown option \""+options+"\" in its msgpack tag, want omitempty")
	}
	if _, has := f.Tag.Lookup("default"); has && more {
		c.refuse(at, "omitempty and default together would turn an empty value into the default")
	}
	return name, more
}

// isFlat reports whether assignment copies values of t whole.
func isFlat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if !isFlat(t.Field(i).Type) {
				return t == timeType // its pointer is to a zone, which nobody changes
			}
		}
		return true
	case reflect.Array:
		return isFlat(t.Elem())
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return false
	}
	return true
}

// field finds a field by its name. next is a guess, kept by the caller: writers mostly keep the order of the struct.
func (p *plan) field(name []byte, next *int) *field {
	if i := *next; i < len(p.fields) && p.fields[i].name == string(name) {
		*next = i + 1
		return &p.fields[i]
	}
	for i := range p.fields {
		if p.fields[i].name == string(name) {
			*next = i + 1
			return &p.fields[i]
		}
	}
	return nil
}

// sliceHeader is a slice of any type, as the language lays it out.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

// maxDepth is how deep values may nest: what nests deeper, no host accepts.
const maxDepth = pack.MaxDepth
