package effects_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
)

const roomy = 64 << 10

func packed(t require.TestingT, v any) []byte {
	b, err := msgpack.Marshal(v)
	require.NoError(t, err)
	return b
}

// unpacked reads an action with another implementation of msgpack than wrote it.
func unpacked(t require.TestingT, b []byte) (m map[string]any) {
	require.NoError(t, pack.Valid(b))
	require.NoError(t, msgpack.Unmarshal(b, &m))
	return m
}

func TestCompleted(t *testing.T) {
	many := map[string]any{}
	for i := range 20 {
		many[fmt.Sprint("field", i)] = int8(i)
	}
	for name, c := range map[string]struct {
		id     string
		result []byte
		want   map[string]any
	}{
		"fields":      {"", packed(t, map[string]any{"paid": true, "ref": "r1"}), map[string]any{"type": "charged", "paid": true, "ref": "r1"}},
		"with id":     {"pay", packed(t, map[string]any{"paid": true}), map[string]any{"type": "charged", "id": "pay", "paid": true}},
		"empty":       {"pay", packed(t, map[string]any{}), map[string]any{"type": "charged", "id": "pay"}},
		"nothing":     {"", nil, map[string]any{"type": "charged"}},
		"msgpack nil": {"", []byte{0xc0}, map[string]any{"type": "charged"}},
		"nested":      {"", packed(t, map[string]any{"m": map[string]any{"type": "x", "id": "y"}}), map[string]any{"type": "charged", "m": map[string]any{"type": "x", "id": "y"}}},
	} {
		b, err := effects.Completed(&abi.Effect{OK: "charged", ID: c.id}, c.result, roomy)
		require.NoError(t, err, name)
		require.Equal(t, c.want, unpacked(t, b), name)
		typ, err := abi.TypeOf(b)
		require.NoError(t, err)
		require.Equal(t, "charged", string(typ))

		// The bound is exact.
		exact, err := effects.Completed(&abi.Effect{OK: "charged", ID: c.id}, c.result, len(b))
		require.NoError(t, err, name)
		require.Equal(t, b, exact)
		_, err = effects.Completed(&abi.Effect{OK: "charged", ID: c.id}, c.result, len(b)-1)
		require.ErrorIs(t, err, effects.ErrTooLarge, name)
		require.True(t, retry.IsPermanent(err))
	}
	b, err := effects.Completed(&abi.Effect{OK: "charged"}, packed(t, many), roomy)
	require.NoError(t, err)
	require.Len(t, unpacked(t, b), 21)

	b, err = effects.Completed(&abi.Effect{}, packed(t, many), roomy)
	require.NoError(t, err)
	require.Nil(t, b, "nobody asked for it")
}

func TestCompleted_badResult(t *testing.T) {
	for name, result := range map[string][]byte{
		"no map":         packed(t, "text"),
		"an array":       packed(t, []int{1}),
		"two values":     append(packed(t, map[string]any{}), 0xc0),
		"nil and more":   {0xc0, 0xc0},
		"cut short":      packed(t, map[string]any{"a": "long enough"})[:6],
		"other keys":     packed(t, map[int]any{1: 2}),
		"a binary key":   {0x81, 0xc4, 0x01, 'a', 0x01},
		"its own type":   packed(t, map[string]any{"type": "command"}),
		"its own id":     packed(t, map[string]any{"id": "other"}),
		"not msgpack":    {0xc1},
		"nested too far": append(append([]byte{0x81, 0xa1, 'a'}, []byte(strings.Repeat("\x91", 80))...), 0x01),
	} {
		for _, e := range []*abi.Effect{{OK: "charged"}, {}} {
			b, err := effects.Completed(e, result, roomy)
			require.Nil(t, b, name)
			require.True(t, retry.IsPermanent(err), name)
			var failure *effects.Error
			require.ErrorAs(t, err, &failure, name)
			require.Equal(t, effects.CodeResult, failure.Code, name)
		}
	}
}

func TestFailed(t *testing.T) {
	conflict := &effects.Error{Code: "version_conflict", Message: "have 4", Fields: packed(t, map[string]any{"have": int8(4), "want": int8(3)})}
	for name, c := range map[string]struct {
		id   string
		err  error
		want map[string]any
	}{
		"unknown": {"", errors.New("boom"), map[string]any{"code": "failed", "message": "boom"}},
		"with fields, wrapped": {
			"pay", fmt.Errorf("append: %w", retry.Permanent(conflict)),
			map[string]any{"id": "pay", "code": "version_conflict", "message": "have 4", "have": int8(4), "want": int8(3)},
		},
		"text of the cause": {"", &effects.Error{Code: "x", Err: errors.New("cause")}, map[string]any{"code": "x", "message": "cause"}},
		"of the contract":   {"", &abi.Error{Code: abi.CodeTooLarge, Text: "9 bytes"}, map[string]any{"code": "too_large", "message": "9 bytes"}},
		"timeout": {
			"", fmt.Errorf("charge: %w", context.DeadlineExceeded), map[string]any{"code": "timeout", "message": "charge: context deadline exceeded"},
		},
		"panic":          {"", &effects.PanicError{Text: "boom", Stack: []byte("secret")}, map[string]any{"code": "panic", "message": "the handler panicked: boom"}},
		"no code":        {"", &effects.Error{Code: "Not A Code", Message: "m"}, map[string]any{"code": "failed", "message": "m"}},
		"not UTF-8":      {"", errors.New("a\xff\xfeb"), map[string]any{"code": "failed", "message": "a?b"}},
		"bad fields":     {"", &effects.Error{Code: "x", Message: "m", Fields: []byte{0x01}}, map[string]any{"code": "x", "message": "(fields: msgpack at byte 0: want a map, have uint: fields left out) m"}},
		"its own key":    {"", &effects.Error{Code: "x", Message: "m", Fields: packed(t, map[string]any{"attempts": 9})}, map[string]any{"code": "x", "message": "(fields: msgpack at byte 10: the key attempts is the host's: fields left out) m"}},
		"nothing to say": {"", &effects.Error{}, map[string]any{"code": "failed", "message": ""}},
	} {
		b, err := effects.Failed(&abi.Effect{Err: "charge_failed", ID: c.id}, c.err, 6, roomy)
		require.NoError(t, err, name)
		c.want["type"], c.want["attempts"] = "charge_failed", int8(6)
		require.Equal(t, c.want, unpacked(t, b), name)
	}
	b, err := effects.Failed(&abi.Effect{OK: "charged"}, errors.New("boom"), 1, roomy)
	require.NoError(t, err)
	require.Nil(t, b, "nobody asked for it")
}

// Whatever the limit is: over it is nothing, and what has to go goes in order.
func TestFailed_limit(t *testing.T) {
	e := &abi.Effect{Err: "charge_failed", ID: "pay"}
	failure := &effects.Error{Code: "x", Message: strings.Repeat("é", 2000), Fields: packed(t, map[string]any{"data": strings.Repeat("d", 3000)})}
	seen := map[string]bool{}
	for limit := range 5000 {
		b, err := effects.Failed(e, failure, 6, limit)
		if err != nil {
			require.ErrorIs(t, err, effects.ErrTooLarge)
			require.Less(t, limit, 80)
			seen["nothing"] = true
			continue
		}
		require.LessOrEqual(t, len(b), limit)
		m := unpacked(t, b)
		message := m["message"].(string)
		require.True(t, utf8.ValidString(message))
		require.NotContains(t, message, "?", "no character is cut in two")
		require.LessOrEqual(t, len(message), abi.MaxTextBytes)
		if _, has := m["data"]; has {
			require.Len(t, message, abi.MaxTextBytes, "fields or the whole message")
			seen["all"] = true
		} else {
			require.GreaterOrEqual(t, len(b), min(limit-4, abi.MaxTextBytes), "no room is left unused")
			require.True(t, len(message) < 40 || strings.HasPrefix(message, "(feedback too large: fields left out) é"))
			seen["no fields"] = true
		}
	}
	require.Len(t, seen, 3)
}

func FuzzFeedback(f *testing.F) {
	f.Add(packed(f, map[string]any{"a": 1, "b": []int{1}}), "pay", 200)
	f.Add(packed(f, map[string]any{"type": 1}), "", 100)
	f.Add([]byte{0xdf, 0xff, 0xff, 0xff, 0xff}, "", 100)
	f.Fuzz(func(t *testing.T, fields []byte, text string, limit int) {
		limit = min(limit, 1<<20)
		e := &abi.Effect{OK: "charged", Err: "charge_failed", ID: text}
		check := func(b []byte, err error, typ string) {
			if err != nil {
				require.Nil(t, b)
				return
			}
			require.LessOrEqual(t, len(b), limit)
			got, err := abi.TypeOf(b)
			require.NoError(t, err)
			require.Equal(t, typ, string(got))
		}
		b, err := effects.Completed(e, fields, limit)
		check(b, err, "charged")
		b, err = effects.Failed(e, &effects.Error{Code: text, Message: text, Fields: fields}, 3, limit)
		check(b, err, "charge_failed")
	})
}

func ExampleCompleted() {
	result := pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 1), "receipt"), "r-17")
	action, err := effects.Completed(&abi.Effect{Kind: abi.KindCall, Target: "charge", ID: "pay", OK: "charged"}, result, abi.DefaultActionBytes)
	fmt.Printf("%q %v\n", action, err)

	result = pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 1), "type"), "shipped")
	_, err = effects.Completed(&abi.Effect{Kind: abi.KindCall, Target: "charge", ID: "pay", OK: "charged"}, result, abi.DefaultActionBytes)
	fmt.Println(err)
	// Output:
	// "\x83\xa4type\xa7charged\xa2id\xa3pay\xa7receipt\xa4r-17" <nil>
	// bad_result: fields: msgpack at byte 6: the key type is the host's
}
