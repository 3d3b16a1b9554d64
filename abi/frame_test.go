package abi_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/abi"
)

func genBytes(t *rapid.T, name string) []byte {
	return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, name)...)
}

func TestReduceInput_roundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := abi.ReduceInput{
			Mode:   abi.Mode(rapid.IntRange(0, 2).Draw(t, "mode")),
			Action: rapid.Uint16().Draw(t, "action"), Slot: rapid.Uint32().Draw(t, "slot"), Ticket: rapid.Uint64().Draw(t, "ticket"),
			Seq: rapid.Uint64().Draw(t, "seq"), Now: rapid.Int64().Draw(t, "now"),
			State: genBytes(t, "state"), Body: genBytes(t, "body"), Meta: genBytes(t, "meta"),
		}
		copy(want.Seed[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "seed"))
		b := make([]byte, want.Size()+rapid.IntRange(0, 9).Draw(t, "room"))
		n := want.Encode(b)
		require.Equal(t, want.Size(), n)

		var got abi.ReduceInput
		require.NoError(t, got.Decode(b[:n]))
		require.Equal(t, want, got)
		_, body, err := abi.ReduceHeaderOf(b[:n])
		require.NoError(t, err)
		require.Equal(t, want.Body, body)

		// A newer writer's header is longer, and is read all the same.
		extra := 8 * rapid.IntRange(1, 5).Draw(t, "extra")
		longer := append(append(append([]byte{}, b[:abi.ReduceHeaderLen]...), make([]byte, extra)...), b[abi.ReduceHeaderLen:n]...)
		binary.LittleEndian.PutUint16(longer[2:], uint16(abi.ReduceHeaderLen+extra))
		require.NoError(t, got.Decode(longer))
		require.Equal(t, want, got)
		_, body, err = abi.ReduceHeaderOf(longer)
		require.NoError(t, err)
		require.Equal(t, want.Body, body)

		// No frame that is cut short passes.
		require.Error(t, got.Decode(b[:rapid.IntRange(0, n-1).Draw(t, "cut")]))
	})
}

func TestOutput_roundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := abi.Output{
			Status:   abi.Status(rapid.IntRange(0, 4).Draw(t, "status")),
			SizeHint: rapid.Uint64().Draw(t, "hint"), Body: genBytes(t, "body"), Code: genBytes(t, "code"), Text: genBytes(t, "text"),
		}
		if want.Status != abi.OK {
			want.Flags = abi.Flags(rapid.IntRange(0, 3).Draw(t, "flags"))
		}
		b := want.Append(nil)
		require.Len(t, b, want.Size())
		var got abi.Output
		require.NoError(t, got.Decode(b))
		for _, section := range []*[]byte{&want.Body, &want.Code, &want.Text, &got.Body, &got.Code, &got.Text} {
			if len(*section) == 0 { // of nothing, or none
				*section = nil
			}
		}
		require.Equal(t, want, got)
		require.Error(t, got.Decode(append(b, 0)))
		require.Error(t, got.Decode(b[:len(b)-1]))
	})
}

func TestBytesInput_roundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := abi.BytesInput{From: rapid.Uint32().Draw(t, "from"), To: rapid.Uint32().Draw(t, "to"), Body: genBytes(t, "body")}
		b := make([]byte, want.Size())
		require.Equal(t, len(b), want.Encode(b))
		var got abi.BytesInput
		require.NoError(t, got.Decode(b))
		require.Equal(t, want, got)
		require.Error(t, got.Decode(b[:len(b)-1]))
	})
}

// edit returns a copy of b with a byte changed.
func edit(b []byte, at int, v byte) []byte {
	b = append([]byte{}, b...)
	b[at] = v
	return b
}

func TestFrames_errors(t *testing.T) {
	all := vectors()
	reduce, bytes, out := all["reduce-state"], all["bytes-migrate"], all["output-rejected"]
	decodeReduce := func(b []byte) error { return new(abi.ReduceInput).Decode(b) }
	decodeBytes := func(b []byte) error { return new(abi.BytesInput).Decode(b) }
	decodeOutput := func(b []byte) error { return new(abi.Output).Decode(b) }
	for name, c := range map[string]struct {
		decode func([]byte) error
		in     []byte
		want   string
	}{
		"reduce empty":       {decodeReduce, nil, "reduce input frame: 0 bytes are fewer than its header of 72"},
		"reduce version":     {decodeReduce, edit(reduce, 0, 2), "reduce input frame: frame version 2, want 1"},
		"reduce header":      {decodeReduce, edit(reduce, 2, 73), "reduce input frame: header length 73, want a multiple of 8 from 72 to the frame's 150 bytes"},
		"reduce long header": {decodeReduce, edit(reduce, 3, 1), "reduce input frame: header length 328, want a multiple of 8 from 72 to the frame's 150 bytes"},
		"reduce short":       {decodeReduce, edit(reduce, 2, 64), "reduce input frame: header length 64, want a multiple of 8 from 72 to the frame's 150 bytes"},
		"reduce mode":        {decodeReduce, edit(reduce, 4, 3), "reduce input frame: unknown mode 3"},
		"reduce flag":        {decodeReduce, edit(reduce, 8, 4), "reduce input frame: unknown flags 0x4"},
		"reduce flag byte":   {decodeReduce, edit(reduce, 5, 1), "reduce input frame: unknown flags 0x100000000"},
		"reduce state":       {decodeReduce, edit(reduce, 59, 0xff), "reduce input frame: header and sections have 4278190230 bytes, the frame 150"},
		"reduce meta":        {decodeReduce, edit(reduce, 64, 0xff), "reduce input frame: header and sections have 351 bytes, the frame 150"},
		"bytes empty":        {decodeBytes, nil, "bytes input frame: 0 bytes are fewer than its header of 16"},
		"bytes body":         {decodeBytes, edit(bytes, 4, 2), "bytes input frame: body of 2 bytes, 1 are left"},
		"output empty":       {decodeOutput, nil, "output frame: 0 bytes are fewer than its header of 32"},
		"output status":      {decodeOutput, edit(out, 4, 5), "output frame: unknown status 5"},
		"output flags":       {decodeOutput, edit(out, 5, 4), "output frame: unknown flags 0x4"},
		"output clean":       {decodeOutput, edit(out, 4, 0), "output frame: flag CLEAN with status OK"},
		"output body":        {decodeOutput, edit(out, 19, 1), "output frame: body of 16777216 bytes, 17 are left"},
		"output code":        {decodeOutput, edit(out, 20, 18), "output frame: code of 18 bytes, 17 are left"},
		"output text":        {decodeOutput, edit(out, 24, 10), "output frame: text of 10 bytes, 9 are left"},
		"output rest":        {decodeOutput, append(out[:len(out):len(out)], 0), "output frame: 1 bytes after the last section"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.decode(c.in)
			require.EqualError(t, err, c.want)
			require.ErrorAs(t, err, new(*abi.FrameError))
		})
	}
}

func TestNames(t *testing.T) {
	require.Equal(t, "RESIDENT", abi.Resident.String())
	require.Equal(t, "9", abi.Mode(9).String())
	require.Equal(t, "NO_SUCH_SLOT", abi.NoSuchSlot.String())
	ptr, n := abi.SpanOf(abi.Span(0xfffffff8, 0xffffffff))
	require.Equal(t, []uint32{0xfffffff8, 0xffffffff}, []uint32{ptr, n})
}

func TestFrames_allocate(t *testing.T) {
	in := abi.ReduceInput{Mode: abi.WithState, State: make([]byte, 100), Body: sampleAction(), Meta: make([]byte, 20)}
	out := abi.Output{Body: make([]byte, 50)}
	b, frame := make([]byte, in.Size()), make([]byte, 0, out.Size())
	require.Zero(t, testing.AllocsPerRun(100, func() {
		in.Encode(b)
		_ = in.Decode(b)
		frame = out.Append(frame[:0])
		_ = out.Decode(frame)
		_, _ = abi.TypeOf(in.Body)
	}))
}

func FuzzReduceInput(f *testing.F) {
	for _, name := range []string{"reduce-fresh", "reduce-state", "reduce-resident"} {
		f.Add(vectors()[name])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var in abi.ReduceInput
		if in.Decode(b) != nil {
			return
		}
		again := make([]byte, in.Size())
		in.Encode(again)
		var back abi.ReduceInput
		require.NoError(t, back.Decode(again))
		require.Equal(t, in, back)
	})
}

func FuzzBytesInput(f *testing.F) {
	f.Add(vectors()["bytes-migrate"])
	f.Fuzz(func(t *testing.T, b []byte) { _ = new(abi.BytesInput).Decode(b) })
}

func FuzzOutput(f *testing.F) {
	for _, name := range []string{"output-ok", "output-effects", "output-rejected"} {
		f.Add(vectors()[name])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var out, back abi.Output
		if out.Decode(b) != nil {
			return
		}
		require.NoError(t, back.Decode(out.Append(nil)))
		require.Equal(t, out, back)
	})
}

func BenchmarkFrames(b *testing.B) {
	in := abi.ReduceInput{Mode: abi.Resident, Body: sampleAction()}
	out := abi.Output{Flags: abi.StateChanged}
	buffer, frame := make([]byte, in.Size()), out.Append(nil)
	b.Run("op=encode-reduce", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			in.Encode(buffer)
		}
	})
	b.Run("op=decode-reduce", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = in.Decode(buffer)
		}
	})
	b.Run("op=decode-output", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = out.Decode(frame)
		}
	})
	b.Run("op=type-of", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = abi.TypeOf(in.Body)
		}
	})
}
