package jsonpack_test

import (
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/httpapi/jsonpack"
)

// Whatever is accepted is JSON to others too, becomes valid msgpack, and is stable from then on.
func FuzzToMsgpack(f *testing.F) {
	for _, p := range pairs {
		f.Add([]byte(p.json))
	}
	f.Add([]byte(" {\"a\" : [1.5e3, \"\\ud834\\udd1e\"] }\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		packed, err := jsonpack.ToMsgpack(nil, in)
		if err != nil {
			return
		}
		require.True(t, json.Valid(in))
		require.NoError(t, pack.Valid(packed))
		text, err := jsonpack.ToJSON(nil, packed)
		require.NoError(t, err)
		again, err := jsonpack.ToMsgpack(nil, text)
		require.NoError(t, err, "%s", text)
		require.Equal(t, stable(t, packed), again)
	})
}

// Whatever is valid msgpack becomes JSON that comes back, as the canonical encoding of the same value.
func FuzzToJSON(f *testing.F) {
	for _, p := range pairs {
		packed, err := hex.DecodeString(p.msgpack)
		require.NoError(f, err)
		f.Add(packed)
	}
	f.Add([]byte("\xd1\x00\x07"))
	f.Fuzz(func(t *testing.T, in []byte) {
		text, err := jsonpack.ToJSON(nil, in)
		require.Equal(t, pack.Valid(in) == nil, err == nil)
		if err != nil {
			return
		}
		require.True(t, json.Valid(text), "%s", text)
		packed, err := jsonpack.ToMsgpack(nil, text)
		require.NoError(t, err, "%s", text)
		again, err := jsonpack.ToJSON(nil, packed)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
		require.LessOrEqual(t, len(packed), len(in))
	})
}

// stable returns the msgpack after one more round: a timestamp that JSON spelled as an ext has found its shortest form by then.
func stable(t *testing.T, packed []byte) []byte {
	text, err := jsonpack.ToJSON(nil, packed)
	require.NoError(t, err)
	packed, err = jsonpack.ToMsgpack(nil, text)
	require.NoError(t, err)
	return packed
}

func BenchmarkBoth(b *testing.B) {
	action := []byte(`{"type":"increment","by":3}`)
	packed, err := jsonpack.ToMsgpack(nil, action)
	require.NoError(b, err)
	b.Run("ToMsgpack", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 64)
		for b.Loop() {
			if _, err := jsonpack.ToMsgpack(buf, action); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ToJSON", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 64)
		for b.Loop() {
			if _, err := jsonpack.ToJSON(buf, packed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
