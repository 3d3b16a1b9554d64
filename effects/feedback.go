package effects

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/retry"
)

// Completed composes the action that tells the reducer of a result, or of the fields of an emission:
//
//	{"type": e.OK, "id": e.ID (if it has one), ...result}
//
// It is nil when the effect names no type for it, which does not excuse a bad result. result is a msgpack map with strings for keys, none of
// them type or id; nil, as nothing or as msgpack, is an empty one. limit bounds the action, in bytes. Errors are permanent: code
// bad_result, with ErrTooLarge when it is about the bound.
func Completed(e *abi.Effect, result []byte, limit int) ([]byte, error) {
	n, fields, err := readFields(result, "type", "id")
	if err != nil {
		return nil, badResult(err)
	}
	if e.OK == "" {
		return nil, nil
	}
	b := appendHead(make([]byte, 0, headBytes+len(e.OK)+len(e.ID)+len(fields)), e.OK, e.ID, n)
	if size := len(b) + len(fields); size > limit {
		return nil, badResult(fmt.Errorf("%w: %d bytes with its type, the limit is %d", ErrTooLarge, size, limit))
	}
	return append(b, fields...), nil
}

func badResult(err error) error { return retry.Permanent(&Error{Code: CodeResult, Err: err}) }

// Failed composes the action that tells the reducer of the final error of a leaf:
//
//	{"type": e.Err, "id": e.ID (if it has one), "code": str, "attempts": int, "message": str, ...fields of an *Error}
//
// It is nil when the effect names no type for it. Code and fields are those of the outermost *Error in err; without one the code is that
// of an *abi.Error, panic, timeout or failed. The message is cut to 1 KiB, or to what limit leaves. Fields that are no map with
// strings for keys, have a key of the above or do not fit are left out, and the message says so. The error is ErrTooLarge,
// when not even an action without message and fields fits.
//
// REQUIRES: err is not nil.
func Failed(e *abi.Effect, err error, attempts, limit int) ([]byte, error) {
	if e.Err == "" {
		return nil, nil
	}
	code, message, extra := describe(err)
	n, fields, fault := readFields(extra, "type", "id", "code", "attempts", "message")
	head := func(n int) []byte {
		b := appendHead(make([]byte, 0, headBytes+len(e.Err)+len(e.ID)+len(fields)+abi.MaxTextBytes), e.Err, e.ID, n+3)
		b = pack.AppendString(pack.AppendString(b, "code"), code)
		b = pack.AppendInt(pack.AppendString(b, "attempts"), int64(attempts))
		return pack.AppendString(b, "message")
	}
	const textHeader = 3 // of a str of MaxTextBytes
	b := head(n)
	room := limit - len(b) - textHeader - len(fields)
	if fault == nil && n > 0 && room < min(len(message), abi.MaxTextBytes) {
		fault = ErrTooLarge
	}
	if fault != nil {
		fields, message = nil, "("+fault.Error()+": fields left out) "+message
		b = head(0)
		room = limit - len(b) - textHeader
	}
	if room < 0 {
		return nil, fmt.Errorf("%w: it takes %d bytes more than the limit, %d", ErrTooLarge, -room, limit)
	}
	return append(pack.AppendString(b, clip(message, min(abi.MaxTextBytes, room))), fields...), nil
}

// readFields reads a map with strings for keys, none of them reserved: how many fields it has, and their bytes.
func readFields(b []byte, reserved ...string) (n int, fields []byte, err error) {
	r := pack.NewReader(b)
	if len(b) == 0 || r.Nil() && !r.More() {
		return 0, nil, nil
	}
	n = r.MapLen()
	start := r.Pos()
	for i := 0; i < n && r.OK(); i++ {
		key := r.Str()
		for _, name := range reserved {
			if string(key) == name {
				r.Fail("the key " + name + " is the host's")
			}
		}
		r.Skip()
	}
	r.End()
	if err := r.Err(); err != nil {
		return 0, nil, fmt.Errorf("fields: %w", err)
	}
	return n, b[start:], nil
}

// headBytes is enough for all that is composed around type, id, message and fields.
const headBytes = 160

// appendHead appends the header of a map with n more fields, and its first ones.
func appendHead(b []byte, typ, id string, n int) []byte {
	if n++; id != "" {
		n++
	}
	b = pack.AppendMapLen(b, n)
	b = pack.AppendString(pack.AppendString(b, "type"), typ)
	if id != "" {
		b = pack.AppendString(pack.AppendString(b, "id"), id)
	}
	return b
}

// clip makes s UTF-8 of at most n bytes.
func clip(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "?")
}
