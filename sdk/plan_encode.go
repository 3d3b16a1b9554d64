package sdk

import (
	"math"
	"reflect"
	"slices"
	"time"
	"unsafe"

	"github.com/crhost/crhost/abi/pack"
)

// append appends the encoding of the value at v, which lies in depth arrays and maps. It panics when they are too many, a cycle of pointers
// included: nobody could read them.
func (p *plan) append(b []byte, v unsafe.Pointer, depth int) []byte {
	switch p.kind {
	case kindStruct:
		return p.appendStruct(b, v, depth)
	case kindBool:
		return pack.AppendBool(b, *(*bool)(v))
	case kindInt:
		return pack.AppendInt(b, p.loadInt(v))
	case kindUint:
		return pack.AppendUint(b, p.loadUint(v))
	case kindFloat32:
		return pack.AppendFloat32(b, *(*float32)(v))
	case kindFloat64:
		return pack.AppendFloat(b, *(*float64)(v))
	case kindString:
		return pack.AppendString(b, *(*string)(v))
	case kindTime:
		return pack.AppendTime(b, *(*time.Time)(v))
	case kindByteArray:
		return pack.AppendBin(b, unsafe.Slice((*byte)(v), p.length))
	case kindArray:
		b = pack.AppendArrayLen(b, p.length)
		return p.appendElements(b, v, p.length, depth)
	case kindCodec:
		return reflect.NewAt(p.typ, v).Interface().(Codec).AppendPack(b)
	case kindMsgp:
		b, err := reflect.NewAt(p.typ, v).Interface().(msgpCodec).MarshalMsg(b)
		if err != nil {
			panic("sdk: encode " + p.typ.String() + ": " + err.Error())
		}
		return b
	case kindPointer:
		if elem := *(*unsafe.Pointer)(v); elem != nil {
			return p.elem.append(b, elem, depth)
		}
		return pack.AppendNil(b)
	case kindMap:
		return p.appendMap(b, v, depth)
	}
	s := (*sliceHeader)(v)
	switch {
	case s.data == nil || s.len == 0 && p.kind == kindRaw:
		return pack.AppendNil(b)
	case p.kind == kindBytes:
		return pack.AppendBin(b, *(*[]byte)(v))
	case p.kind == kindRaw:
		if err := pack.Valid(*(*Raw)(v)); err != nil {
			panic("sdk: encode sdk.Raw: " + err.Error())
		}
		return append(b, *(*Raw)(v)...)
	}
	b = pack.AppendArrayLen(b, s.len)
	return p.appendElements(b, s.data, s.len, depth)
}

func (p *plan) appendElements(b []byte, first unsafe.Pointer, n, depth int) []byte {
	checkDepth(depth)
	for i := range n {
		b = p.elem.append(b, unsafe.Add(first, uintptr(i)*p.elem.size), depth+1)
	}
	return b
}

func checkDepth(depth int) {
	if depth >= maxDepth {
		panic("sdk: a value nests too deep to be encoded")
	}
}

func (p *plan) appendStruct(b []byte, v unsafe.Pointer, depth int) []byte {
	return p.appendFields(pack.AppendMapLen(b, p.present(v)), v, depth)
}

// present is how many fields of the struct at v are written.
func (p *plan) present(v unsafe.Pointer) int {
	n := len(p.fields)
	for i := range p.fields {
		if f := &p.fields[i]; f.omit && f.plan.empty(unsafe.Add(v, f.offset)) {
			n--
		}
	}
	return n
}

func (p *plan) appendFields(b []byte, v unsafe.Pointer, depth int) []byte {
	checkDepth(depth)
	for i := range p.fields {
		f := &p.fields[i]
		at := unsafe.Add(v, f.offset)
		if f.omit && f.plan.empty(at) {
			continue
		}
		b = f.plan.append(append(b, f.key...), at, depth+1)
	}
	return b
}

// appendMap writes the pairs in the order of their keys: Go's own order differs from run to run.
func (p *plan) appendMap(b []byte, v unsafe.Pointer, depth int) []byte {
	m := reflect.NewAt(p.typ, v).Elem()
	if m.IsNil() {
		return pack.AppendNil(b)
	}
	checkDepth(depth)
	n := m.Len()
	b = pack.AppendMapLen(b, n)
	keys := reflect.MakeSlice(reflect.SliceOf(p.key.typ), n, n)
	values := reflect.MakeSlice(reflect.SliceOf(p.elem.typ), n, n)
	order := make([]int, n)
	for i, pairs := 0, m.MapRange(); pairs.Next(); i++ {
		keys.Index(i).SetIterKey(pairs)
		values.Index(i).SetIterValue(pairs)
		order[i] = i
	}
	firstKey, firstValue := keys.UnsafePointer(), values.UnsafePointer()
	key := func(i int) unsafe.Pointer { return unsafe.Add(firstKey, uintptr(i)*p.key.size) }
	slices.SortFunc(order, func(i, j int) int { return p.key.compare(key(i), key(j)) })
	for _, i := range order {
		b = p.key.append(b, key(i), depth+1)
		b = p.elem.append(b, unsafe.Add(firstValue, uintptr(i)*p.elem.size), depth+1)
	}
	return b
}

// compare orders two map keys.
func (p *plan) compare(x, y unsafe.Pointer) int {
	switch p.kind {
	case kindInt:
		return compare(p.loadInt(x), p.loadInt(y))
	case kindUint:
		return compare(p.loadUint(x), p.loadUint(y))
	}
	return compare(*(*string)(x), *(*string)(y))
}

func compare[T int64 | uint64 | string](x, y T) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// empty reports whether omitempty leaves the value out: decoding nothing gives it back, but for slices and maps that are empty and not nil.
func (p *plan) empty(v unsafe.Pointer) bool {
	switch p.kind {
	case kindBool:
		return !*(*bool)(v)
	case kindInt:
		return p.loadInt(v) == 0
	case kindUint:
		return p.loadUint(v) == 0
	case kindFloat32:
		return math.Float32bits(*(*float32)(v)) == 0
	case kindFloat64:
		return math.Float64bits(*(*float64)(v)) == 0
	case kindString:
		return *(*string)(v) == ""
	case kindBytes, kindSlice, kindRaw:
		return (*sliceHeader)(v).len == 0
	case kindPointer:
		return *(*unsafe.Pointer)(v) == nil
	case kindTime:
		return (*time.Time)(v).IsZero()
	case kindMap:
		return reflect.NewAt(p.typ, v).Elem().Len() == 0
	case kindArray: // not reflect's IsZero, to which -0 is 0 here
		for i := range p.length {
			if !p.elem.empty(unsafe.Add(v, uintptr(i)*p.elem.size)) {
				return false
			}
		}
		return true
	case kindStruct:
		for i := range p.fields {
			if f := &p.fields[i]; !f.plan.empty(unsafe.Add(v, f.offset)) {
				return false
			}
		}
		return true
	}
	return reflect.NewAt(p.typ, v).Elem().IsZero()
}

func (p *plan) loadInt(v unsafe.Pointer) int64 {
	switch p.size {
	case 1:
		return int64(*(*int8)(v))
	case 2:
		return int64(*(*int16)(v))
	case 4:
		return int64(*(*int32)(v))
	}
	return *(*int64)(v)
}

func (p *plan) loadUint(v unsafe.Pointer) uint64 {
	switch p.size {
	case 1:
		return uint64(*(*uint8)(v))
	case 2:
		return uint64(*(*uint16)(v))
	case 4:
		return uint64(*(*uint32)(v))
	}
	return *(*uint64)(v)
}
