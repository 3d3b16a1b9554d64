package sdk

import (
	"reflect"
	"strconv"
	"time"
	"unsafe"
)

// preset is the value that a field has when it is absent, from its tag `default:"1"`.
type preset struct {
	offset uintptr
	typ    reflect.Kind
	size   uintptr
	value  unsafe.Pointer // to a value of the field's type
}

var durationType = reflect.TypeFor[time.Duration]()

// defaults collects the default tags of t, which lies at base in p's type, and of the structs and arrays in it. They hold for every codec.
func (c *compiler) defaults(p *plan, t reflect.Type, base uintptr, where string) {
	if t.Kind() == reflect.Array && hasDefaults(t.Elem()) {
		for i := range t.Len() {
			c.defaults(p, t.Elem(), base+uintptr(i)*t.Elem().Size(), where+"[]")
		}
	}
	if t.Kind() != reflect.Struct || t == timeType {
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		at := where + "." + f.Name
		text, has := f.Tag.Lookup("default")
		if has && f.Tag.Get("msgpack") == "-" {
			c.refuse(at, "is not encoded, so it is never absent and has no default")
		}
		if !has {
			c.defaults(p, f.Type, base+f.Offset, at)
			continue
		}
		value := reflect.New(f.Type)
		if !parse(value.Elem(), text) {
			c.refuse(at, "the default \""+text+"\" is not a "+f.Type.String())
		}
		p.preset = append(p.preset, preset{base + f.Offset, f.Type.Kind(), f.Type.Size(), value.UnsafePointer()})
	}
}

// hasDefaults reports whether defaults would find a tag in t.
func hasDefaults(t reflect.Type) bool {
	switch {
	case t.Kind() == reflect.Array:
		return hasDefaults(t.Elem())
	case t.Kind() != reflect.Struct || t == timeType:
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if _, has := f.Tag.Lookup("default"); has || hasDefaults(f.Type) {
			return true
		}
	}
	return false
}

// parse sets v, a bool, number, duration or string, to what text says.
func parse(v reflect.Value, text string) bool {
	var err error
	switch {
	case v.Type() == durationType:
		var d time.Duration
		d, err = time.ParseDuration(text)
		v.SetInt(int64(d))
	case v.CanInt():
		var i int64
		i, err = strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(i)
	case v.CanUint():
		var u uint64
		u, err = strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(u)
	case v.CanFloat():
		var f float64
		f, err = strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(f)
	case v.Kind() == reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v.SetBool(b)
	case v.Kind() == reflect.String:
		v.SetString(text)
	default:
		return false
	}
	return err == nil
}

// prepare gives a zero value its defaults, before it is decoded.
func (p *plan) prepare(v unsafe.Pointer) {
	for i := range p.preset {
		d := &p.preset[i]
		at := unsafe.Add(v, d.offset)
		switch {
		case d.typ == reflect.String:
			*(*string)(at) = *(*string)(d.value)
		case d.size == 8:
			*(*uint64)(at) = *(*uint64)(d.value)
		default:
			copy(unsafe.Slice((*byte)(at), d.size), unsafe.Slice((*byte)(d.value), d.size))
		}
	}
}
