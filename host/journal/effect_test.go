package journal_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
)

func TestEffects_rows(t *testing.T) {
	b := memory.New(memory.Config{})
	x, y := journal.ModuleID{Tenant: "t", Module: "m"}, journal.ModuleID{Tenant: "t", Module: "m-2"}
	first, second := journal.Incarnation{1}, journal.Incarnation{2}
	effect := func(key string) *journal.Effect { return &journal.Effect{Key: key, Tree: []byte{0x90}} }
	apply(t, b, func(batch *journal.Batch) {
		for _, seq := range []uint64{300, 2} { // by number, not by text
			journal.PutEffect(batch, x, first, seq, effect("a"), make([]journal.Standing, 3))
			journal.PutStandings(batch, x, first, seq, []journal.Standing{{Drive: uint32(seq)}})
		}
		journal.PutDispatched(batch, x, first, 300, 256, []byte("of 256"))
		journal.PutDispatched(batch, x, first, 300, 1, []byte{})
		journal.PutDispatched(batch, x, first, 299, 1, []byte("its effect is gone"))
		journal.PutDispatched(batch, x, second, 9, 1, []byte("so is this"))
		journal.PutEffect(batch, x, second, 1, effect("b"), nil)
		journal.PutEffect(batch, y, first, 1, effect("of another module"), nil)
	})
	of := func(life journal.Incarnation) []*journal.EffectRow {
		rows, err := list(journal.EffectsOf(b, x, life))
		require.NoError(t, err)
		return rows
	}
	require.Equal(t, []*journal.EffectRow{
		{Effect: *effect("a"), Life: first, Seq: 2, Leaves: []journal.Standing{{Drive: 2}}, Moved: true},
		{Effect: *effect("a"), Life: first, Seq: 300, Leaves: []journal.Standing{{Drive: 300}}, Moved: true, Dispatched: map[int][]byte{256: []byte("of 256"), 1: {}}},
	}, of(first))
	all, err := list(journal.Effects(b, x))
	require.NoError(t, err)
	require.Equal(t, []*journal.EffectRow{
		of(first)[0], {Life: first, Seq: 299, Dispatched: map[int][]byte{1: []byte("its effect is gone")}}, of(first)[1],
		of(second)[0], {Life: second, Seq: 9, Dispatched: map[int][]byte{1: []byte("so is this")}},
	}, all)
	require.True(t, all[1].Ended())
	require.False(t, all[2].Ended())
	for range journal.Effects(b, x) {
		break
	}
	apply(t, b, func(batch *journal.Batch) {
		journal.DeleteEffect(batch, x, first, 2, true)
		journal.DeleteDispatched(batch, x, first, 300, 256)
		journal.DeleteDispatched(batch, x, first, 300, 7)
	})
	require.Len(t, of(first), 1)
	require.Equal(t, map[int][]byte{1: {}}, of(first)[0].Dispatched)
	require.Empty(t, of(journal.Incarnation{3}))
}

func TestLetters_rows(t *testing.T) {
	b := memory.New(memory.Config{})
	x, y := journal.ModuleID{Tenant: "t", Module: "m"}, journal.ModuleID{Tenant: "t", Module: "m-2"}
	ids := []journal.LetterID{{Life: journal.Incarnation{1}, Seq: 2, Index: 256}, {Life: journal.Incarnation{1}, Seq: 300}, {Life: journal.Incarnation{2}, Seq: 1, Index: math.MaxUint16}}
	apply(t, b, func(batch *journal.Batch) {
		for _, id := range ids {
			journal.PutLetter(batch, x, id, &journal.DeadLetter{Reason: id.String(), Effect: []byte{0x80}})
		}
		journal.PutLetter(batch, y, ids[0], &journal.DeadLetter{Effect: []byte{0x80}})
	})
	rows, err := list(journal.Letters(b, x))
	require.NoError(t, err)
	require.Len(t, rows, len(ids))
	for i, row := range rows {
		require.Equal(t, journal.LetterRow{ID: ids[i], DeadLetter: journal.DeadLetter{Reason: ids[i].String(), Effect: []byte{0x80}}}, row)
	}
	got, err := journal.ReadLetter(b, x, ids[1])
	require.NoError(t, err)
	require.Equal(t, ids[1].String(), got.Reason)
	apply(t, b, func(batch *journal.Batch) { journal.DeleteLetter(batch, x, ids[1]) })
	_, err = journal.ReadLetter(b, x, ids[1])
	require.ErrorIs(t, err, journal.ErrNotFound)
	require.ErrorContains(t, err, ids[1].String())
	rows, err = list(journal.Letters(b, x))
	require.NoError(t, err)
	require.Len(t, rows, 2)
}

func TestParseLetterID(t *testing.T) {
	life := strings.Repeat("0f", 16)
	for text, ok := range map[string]bool{
		life + ".1.0": true, life + ".18446744073709551615.65535": true, life + ".0.0": true,
		"": false, ".": false, "..": false, life: false, life + ".1": false, life + ".1.": false, life + "..1": false, life + ".1.65536": false, life + ".1.-1": false,
		life + ".18446744073709551616.1": false, life + ".01.0": false, life + ".1.00": false, life + ".+1.0": false, life + ".1.0.0": false,
		life[1:] + ".1.0": false, "0" + life + ".1.0": false, strings.ToUpper(life) + ".1.0": false, life[2:] + "xx.1.0": false, " " + life + ".1.0": false,
	} {
		id, parsed := journal.ParseLetterID(text)
		require.Equal(t, ok, parsed, "%q", text)
		if ok {
			require.Equal(t, text, id.String())
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var id journal.LetterID
		copy(id.Life[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "life"))
		id.Seq, id.Index = rapid.Uint64().Draw(t, "seq"), rapid.IntRange(0, math.MaxUint16).Draw(t, "index")
		parsed, ok := journal.ParseLetterID(id.String())
		require.True(t, ok)
		require.Equal(t, id, parsed)
		life, ok := journal.ParseIncarnation(id.Life.String())
		require.True(t, ok)
		require.Equal(t, id.Life, life)
	})
}

// FuzzParseLetterID: what is read is what would be written.
func FuzzParseLetterID(f *testing.F) {
	f.Add(strings.Repeat("0f", 16) + ".1.0")
	f.Fuzz(func(t *testing.T, text string) {
		if id, ok := journal.ParseLetterID(text); ok {
			require.Equal(t, text, id.String())
		}
		if life, ok := journal.ParseIncarnation(text); ok {
			require.Equal(t, text, life.String())
		}
	})
}

func TestDamagedEffects_areNamed(t *testing.T) {
	module, life := journal.ModuleID{Tenant: "t", Module: "m"}, strings.Repeat("\x0f", 16)
	effects := func(r journal.Reader) error { _, err := list(journal.Effects(r, module)); return err }
	letters := func(r journal.Reader) error { _, err := list(journal.Letters(r, module)); return err }
	seq := "\x00\x00\x00\x00\x00\x00\x00\x07"
	for _, c := range []struct {
		key  string
		read func(journal.Reader) error
		want string
	}{
		{"ot\x00m\x00" + life + seq, effects, "key holds no life and seq"},
		{"ot\x00m\x00" + life + seq + "?", effects, "key of an unknown row"},
		{"ot\x00m\x00" + life + seq + "d", effects, "0 bytes, fewer than the shortest effect"},
		{"ot\x00m\x00" + life + seq + "s", effects, "0 bytes, fewer than the shortest standing"},
		{"ot\x00m\x00" + life + seq + "x\x00\x01", effects, "0 bytes, fewer than the shortest dispatched"},
		{"dt\x00m\x00" + life + seq, letters, "0 bytes, fewer than the shortest dead letter"},
		{"dt\x00m\x00" + life + seq + "\x00\x01", letters, "0 bytes, fewer than the shortest dead letter"},
	} {
		b := memory.New(memory.Config{})
		apply(t, b, func(batch *journal.Batch) { require.NoError(t, batch.Set([]byte(c.key), nil)) })
		err := c.read(b)
		require.ErrorIs(t, err, journal.ErrCorrupt)
		require.ErrorContains(t, err, c.want)
	}
	// Values that are whole, under keys that are not.
	b := memory.New(memory.Config{})
	whole := func(put func(*journal.Batch)) []byte {
		var batch journal.Batch
		put(&batch)
		return batch.Rows()[0].Value
	}
	letter := whole(func(batch *journal.Batch) {
		journal.PutLetter(batch, module, journal.LetterID{}, &journal.DeadLetter{})
	})
	note := whole(func(batch *journal.Batch) { journal.PutDispatched(batch, module, journal.Incarnation{}, 1, 1, nil) })
	apply(t, b, func(batch *journal.Batch) {
		require.NoError(t, batch.Set([]byte("dt\x00m\x00"+life+seq), letter))
		require.NoError(t, batch.Set([]byte("ot\x00m\x00"+life+seq+"x"), note))
	})
	require.ErrorContains(t, effects(b), "key holds no index")
	require.ErrorContains(t, letters(b), "key holds no life, seq and index")
}
