package sdk

import (
	"math"
	"reflect"
	"time"
	"unsafe"

	"github.com/crhost/crhost/abi/pack"
)

// decoder reads one value for a plan.
type decoder struct {
	pack.Reader
	strict bool   // unknown fields are errors
	action bool   // the outermost map has a type besides its fields
	depth  int    // how deep the value under way is nested
	path   string // after an error: the field that it is about
}

// decode reads a value into v, which must be prepared: absent fields keep what they hold. It allocates at most the size of an element of the
// type for each byte of input.
func (p *plan) decode(d *decoder, v unsafe.Pointer) {
	switch p.kind {
	case kindStruct:
		p.decodeStruct(d, v)
	case kindBool:
		*(*bool)(v) = d.Bool()
	case kindInt:
		p.storeInt(d, v, d.Int())
	case kindUint:
		p.storeUint(d, v, d.Uint())
	case kindFloat32:
		*(*float32)(v) = d.float32()
	case kindFloat64:
		*(*float64)(v) = d.float64()
	case kindString:
		*(*string)(v) = string(d.Str())
	case kindTime:
		*(*time.Time)(v) = d.Time()
	case kindByteArray:
		if b := d.Bin(); d.OK() && len(b) != p.length {
			d.Fail("the bin has another length than the array")
		} else {
			copy(unsafe.Slice((*byte)(v), p.length), b)
		}
	case kindCodec:
		reflect.NewAt(p.typ, v).Interface().(Codec).ReadPack(&d.Reader)
	case kindMsgp:
		p.decodeMsgp(d, v)
	default:
		p.decodeComposite(d, v)
	}
}

// decodeComposite reads what may be nil, and arrays.
func (p *plan) decodeComposite(d *decoder, v unsafe.Pointer) {
	if p.kind != kindArray && d.Nil() {
		return
	}
	switch p.kind {
	case kindBytes:
		if b := d.Bin(); d.OK() {
			*(*[]byte)(v) = append(make([]byte, 0, len(b)), b...)
		}
	case kindRaw:
		*(*Raw)(v) = append(Raw(nil), d.Raw()...)
	case kindPointer:
		elem := reflect.New(p.elem.typ).UnsafePointer()
		p.elem.prepare(elem)
		p.elem.decode(d, elem)
		*(*unsafe.Pointer)(v) = elem
	default:
		if !d.enter() {
			return
		}
		switch p.kind {
		case kindSlice:
			p.decodeSlice(d, v)
		case kindArray:
			p.decodeArray(d, v)
		case kindMap:
			p.decodeMap(d, v)
		}
		d.depth--
	}
}

// enter goes into an array or map.
func (d *decoder) enter() bool {
	if d.depth++; d.depth > maxDepth {
		d.Fail("arrays and maps nest too deep")
	}
	return d.OK()
}

func (p *plan) decodeStruct(d *decoder, v unsafe.Pointer) {
	if !d.enter() {
		return
	}
	next := 0
	for n := d.MapLen(); n > 0 && d.OK(); n-- {
		name := d.Str()
		f := p.field(name, &next)
		if f == nil {
			d.unknown(name)
			continue
		}
		f.plan.decode(d, unsafe.Add(v, f.offset))
		if !d.OK() {
			d.within(f.name)
		}
	}
	d.depth--
}

// unknown meets a field that the struct does not have.
func (d *decoder) unknown(name []byte) {
	switch {
	case !d.OK():
	case d.action && d.depth == 1 && string(name) == "type":
		d.Str()
	case d.strict:
		d.Fail("unknown field")
		d.within(string(name[:min(len(name), 64)]))
	default:
		d.Skip()
	}
}

// within says that the error is about a part of name.
func (d *decoder) within(name string) {
	if d.path == "" {
		d.path = name
	} else {
		d.path = name + "." + d.path
	}
}

func (p *plan) decodeMsgp(d *decoder, v unsafe.Pointer) {
	raw := d.Raw()
	if !d.OK() {
		return
	}
	if _, err := reflect.NewAt(p.typ, v).Interface().(msgpCodec).UnmarshalMsg(raw); err != nil {
		d.Fail(err.Error())
	}
}

func (p *plan) decodeArray(d *decoder, v unsafe.Pointer) {
	n := d.ArrayLen()
	if d.OK() && n != p.length {
		d.Fail("the array has another length")
	}
	for i := 0; i < n && d.OK(); i++ {
		p.elem.decode(d, unsafe.Add(v, uintptr(i)*p.elem.size))
	}
}

// firstElements is how many elements a slice or map makes room for before it has seen them: a length alone allocates little.
const firstElements = 64

func (p *plan) decodeSlice(d *decoder, v unsafe.Pointer) {
	n := d.ArrayLen()
	if !d.OK() {
		return
	}
	room := min(n, firstElements)
	s := reflect.MakeSlice(p.typ, room, room)
	for i := 0; i < n && d.OK(); i++ {
		if i == room {
			s = reflect.AppendSlice(s, reflect.MakeSlice(p.typ, min(n-room, room), min(n-room, room)))
			room = s.Len()
		}
		elem := unsafe.Add(s.UnsafePointer(), uintptr(i)*p.elem.size)
		p.elem.prepare(elem)
		p.elem.decode(d, elem)
	}
	reflect.NewAt(p.typ, v).Elem().Set(s)
}

func (p *plan) decodeMap(d *decoder, v unsafe.Pointer) {
	n := d.MapLen()
	if !d.OK() {
		return
	}
	m := reflect.MakeMapWithSize(p.typ, min(n, firstElements))
	for i := 0; i < n && d.OK(); i++ {
		key, value := reflect.New(p.key.typ), reflect.New(p.elem.typ)
		p.elem.prepare(value.UnsafePointer())
		p.key.decode(d, key.UnsafePointer())
		p.elem.decode(d, value.UnsafePointer())
		if d.OK() {
			m.SetMapIndex(key.Elem(), value.Elem())
		}
	}
	reflect.NewAt(p.typ, v).Elem().Set(m)
}

func (p *plan) storeInt(d *decoder, v unsafe.Pointer, i int64) {
	fits := true
	switch p.size {
	case 1:
		*(*int8)(v), fits = int8(i), int64(int8(i)) == i
	case 2:
		*(*int16)(v), fits = int16(i), int64(int16(i)) == i
	case 4:
		*(*int32)(v), fits = int32(i), int64(int32(i)) == i
	default:
		*(*int64)(v) = i
	}
	if !fits {
		d.Fail("the number does not fit " + p.typ.Kind().String())
	}
}

func (p *plan) storeUint(d *decoder, v unsafe.Pointer, u uint64) {
	fits := true
	switch p.size {
	case 1:
		*(*uint8)(v), fits = uint8(u), uint64(uint8(u)) == u
	case 2:
		*(*uint16)(v), fits = uint16(u), uint64(uint16(u)) == u
	case 4:
		*(*uint32)(v), fits = uint32(u), uint64(uint32(u)) == u
	default:
		*(*uint64)(v) = u
	}
	if !fits {
		d.Fail("the number does not fit " + p.typ.Kind().String())
	}
}

// float64 takes an integer too, when no digit is lost: in JSON 3 and 3.0 are the same number to most people.
func (d *decoder) float64() float64 {
	switch d.Peek() {
	case pack.Int, pack.Uint:
		i := d.Int()
		if -1<<53 <= i && i <= 1<<53 {
			return float64(i)
		}
		d.Fail("the integer has more digits than a float")
		return 0
	}
	return d.Float()
}

func (d *decoder) float32() float32 {
	f := d.float64()
	if math.Abs(f) > math.MaxFloat32 && !math.IsInf(f, 0) {
		d.Fail("the number does not fit float32")
	}
	return float32(f)
}
