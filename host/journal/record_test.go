package journal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRecord_costsOneAllocation(t *testing.T) {
	r := action
	require.EqualValues(t, 1, testing.AllocsPerRun(100, func() { r.Encode() }))
	require.Len(t, r.Encode(), r.Size())

	b, dirty := r.Encode(), make([]byte, 3+r.Size())
	for i := range dirty {
		dirty[i] = 0xff
	}
	dirty = r.AppendTo(dirty[:3])
	require.Equal(t, b, dirty[3:], "old bytes of the buffer do not shine through")

	var got Record
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := got.Decode(life, 7, b); err != nil {
			panic(err)
		}
	}))
	require.Same(t, &b[recordHeader], &got.Action[0], "parts alias the bytes")
	require.Equal(t, len(got.Action), cap(got.Action), "and appending to them does not write there")
}

func TestRecord_sealedNonsense(t *testing.T) {
	for _, c := range []struct {
		name   string
		offset int // that the error tells
		damage func(b []byte)
	}{
		{"no kind", 1, func(b []byte) { b[1] = 0 }},
		{"unknown kind", 1, func(b []byte) { b[1] = 3 }},
		{"no cause", 2, func(b []byte) { b[2] = 0 }},
		{"unknown cause", 2, func(b []byte) { b[2] = 5 }},
		{"reserved byte", 3, func(b []byte) { b[3] = 1 }},
		{"another life", 8, func(b []byte) { b[8]++ }},
		{"another seq", 24, func(b []byte) { b[24]++ }},
		{"reserved bytes", 82, func(b []byte) { b[82] = 1 }},
		{"hash of the effects", 72, func(b []byte) { b[72]++ }},
		{"action too long", 84, func(b []byte) { b[87] = 0xff }},
		{"effects too long", 92, func(b []byte) { b[92]++ }},
		{"meta too short", len(action.Encode()) - checksumSize - 1, func(b []byte) { b[88]-- }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := action.Encode()
			b = b[:len(b)-checksumSize]
			c.damage(b)
			var r Record
			err := r.Decode(life, 7, sealed(b))
			var corrupt *CorruptError
			require.ErrorAs(t, err, &corrupt)
			require.ErrorIs(t, err, ErrCorrupt)
			require.Equal(t, c.offset, corrupt.Offset, err.Error())
			require.Equal(t, life, corrupt.Life)
			require.EqualValues(t, 7, corrupt.Seq)
		})
	}
	adopting := action
	adopting.State = []byte("state")
	var r Record
	require.ErrorIs(t, r.Decode(life, 7, adopting.Encode()), ErrCorrupt, "a state that nothing adopted")
}

func BenchmarkRecord(b *testing.B) {
	r := action
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Encode()
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		encoded := r.Encode()
		var got Record
		for b.Loop() {
			if err := got.Decode(life, 7, encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
}
