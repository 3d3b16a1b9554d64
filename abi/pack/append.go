package pack

import (
	"encoding/binary"
	"math"
	"time"
)

// canonicalNaN is the only NaN that is ever written: guests and hosts of any architecture then agree on its bytes.
const canonicalNaN = 0x7ff8000000000000

// AppendNil appends nil.
func AppendNil(b []byte) []byte { return append(b, 0xc0) }

// AppendBool appends v.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 0xc3)
	}
	return append(b, 0xc2)
}

// AppendInt appends v in its shortest form; values that are not negative take the unsigned forms.
func AppendInt(b []byte, v int64) []byte {
	switch {
	case v >= 0:
		return AppendUint(b, uint64(v))
	case v >= -32:
		return append(b, byte(v))
	case v >= math.MinInt8:
		return append(b, 0xd0, byte(v))
	case v >= math.MinInt16:
		return append(b, 0xd1, byte(v>>8), byte(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, 0xd2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(v))
}

// AppendUint appends v in its shortest form.
func AppendUint(b []byte, v uint64) []byte {
	switch {
	case v <= 0x7f:
		return append(b, byte(v))
	case v <= math.MaxUint8:
		return append(b, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return append(b, 0xcd, byte(v>>8), byte(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcf), v)
}

// AppendFloat32 appends v as a float32; every NaN becomes 0x7fc00000.
func AppendFloat32(b []byte, v float32) []byte {
	bits := math.Float32bits(v)
	if v != v {
		bits = 0x7fc00000
	}
	return binary.BigEndian.AppendUint32(append(b, 0xca), bits)
}

// AppendFloat appends v as a float64; every NaN becomes 0x7ff8000000000000.
func AppendFloat(b []byte, v float64) []byte {
	bits := math.Float64bits(v)
	if v != v {
		bits = canonicalNaN
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcb), bits)
}

// AppendString appends s as a str.
func AppendString(b []byte, s string) []byte {
	return append(appendStrHeader(b, len(s)), s...)
}

// AppendStringBytes appends s as a str.
func AppendStringBytes(b, s []byte) []byte {
	return append(appendStrHeader(b, len(s)), s...)
}

func appendStrHeader(b []byte, n int) []byte {
	switch {
	case n <= 31:
		return append(b, 0xa0|byte(n))
	case n <= math.MaxUint8:
		return append(b, 0xd9, byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xda, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
}

// AppendBin appends v as a bin.
func AppendBin(b, v []byte) []byte {
	n := len(v)
	switch {
	case n <= math.MaxUint8:
		b = append(b, 0xc4, byte(n))
	case n <= math.MaxUint16:
		b = append(b, 0xc5, byte(n>>8), byte(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
	}
	return append(b, v...)
}

// AppendArrayLen appends the header of an array of n elements.
func AppendArrayLen(b []byte, n int) []byte { return appendContainer(b, n, 0x90, 0xdc) }

// AppendMapLen appends the header of a map of n pairs.
func AppendMapLen(b []byte, n int) []byte { return appendContainer(b, n, 0x80, 0xde) }

func appendContainer(b []byte, n int, fix, wide byte) []byte {
	switch {
	case n <= 15:
		return append(b, fix|byte(n))
	case n <= math.MaxUint16:
		return append(b, wide, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, wide+1), uint32(n))
}

// AppendExt appends an extension value of type typ.
func AppendExt(b []byte, typ int8, data []byte) []byte {
	n := len(data)
	switch {
	case n == 1, n == 2, n == 4, n == 8, n == 16:
		fix := [...]byte{1: 0xd4, 2: 0xd5, 4: 0xd6, 8: 0xd7, 16: 0xd8}
		b = append(b, fix[n], byte(typ))
	case n <= math.MaxUint8:
		b = append(b, 0xc7, byte(n), byte(typ))
	case n <= math.MaxUint16:
		b = append(b, 0xc8, byte(n>>8), byte(n), byte(typ))
	default:
		b = append(binary.BigEndian.AppendUint32(append(b, 0xc9), uint32(n)), byte(typ))
	}
	return append(b, data...)
}

// AppendTime appends t as the timestamp extension (type -1) in its shortest form.
func AppendTime(b []byte, t time.Time) []byte {
	sec, ns := t.Unix(), uint64(t.Nanosecond())
	var data [12]byte
	switch {
	case sec>>34 == 0 && ns == 0 && sec <= math.MaxUint32:
		binary.BigEndian.PutUint32(data[:4], uint32(sec))
		return AppendExt(b, timestampType, data[:4])
	case sec>>34 == 0:
		binary.BigEndian.PutUint64(data[:8], ns<<34|uint64(sec))
		return AppendExt(b, timestampType, data[:8])
	}
	binary.BigEndian.PutUint32(data[:4], uint32(ns))
	binary.BigEndian.PutUint64(data[4:], uint64(sec))
	return AppendExt(b, timestampType, data[:])
}
