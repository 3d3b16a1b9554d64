package journaltest

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
)

func rowChecks() []check {
	return []check{
		{name: "rows/empty", run: func(k *kit) {
			b := k.backend()
			_, err := b.Get([]byte("a"))
			require.ErrorIs(k, err, journal.ErrNotFound)
			require.Empty(k, rowsOf(k, b, nil, nil))
		}},
		{name: "rows/set, overwrite, delete", run: func(k *kit) {
			b := k.backend()
			set(k, b, "a", "1")
			set(k, b, "b", "")
			require.Equal(k, []string{"a=1", "b="}, rowsOf(k, b, nil, nil))
			v, err := b.Get([]byte("b"))
			require.NoError(k, err)
			require.Empty(k, v)

			old, err := b.Get([]byte("a"))
			require.NoError(k, err)
			set(k, b, "a", "2")
			require.Equal(k, "1", string(old), "bytes that were read stay valid")
			require.Equal(k, []string{"a=2", "b="}, rowsOf(k, b, nil, nil))

			var batch journal.Batch
			batch.Delete([]byte("a"))
			batch.Delete([]byte("never was"))
			require.NoError(k, b.Apply(&batch))
			require.Equal(k, []string{"b="}, rowsOf(k, b, nil, nil))
			_, err = b.Get([]byte("a"))
			require.ErrorIs(k, err, journal.ErrNotFound)
		}},
		{name: "rows/later writes of a batch win", run: func(k *kit) {
			b := k.backend()
			var batch journal.Batch
			require.NoError(k, batch.Set([]byte("a"), []byte("1")))
			batch.Delete([]byte("a"))
			require.NoError(k, batch.Set([]byte("b"), []byte("1")))
			require.NoError(k, batch.Set([]byte("b"), []byte("2")))
			batch.Delete([]byte("c"))
			require.NoError(k, batch.Set([]byte("c"), []byte("3")))
			require.NoError(k, b.Apply(&batch))
			require.Equal(k, []string{"b=2", "c=3"}, rowsOf(k, b, nil, nil))
		}},
		{name: "rows/ranges", run: func(k *kit) {
			b := k.backend()
			for _, key := range []string{"b", "a\x00", "a", "a\xff", "c", "ab"} {
				set(k, b, key, "v")
			}
			for _, c := range []struct {
				lower, upper string
				want         []string
			}{
				{"", "z", []string{"a", "a\x00", "ab", "a\xff", "b", "c"}},
				{"a", "b", []string{"a", "a\x00", "ab", "a\xff"}},
				{"a\x00", "a\xff", []string{"a\x00", "ab"}},
				{"aa", "aa", nil},
				{"b", "a", nil},
				{"c", "d", []string{"c"}},
				{"d", "z", nil},
			} {
				var got []string
				for _, row := range rowsOf(k, b, []byte(c.lower), []byte(c.upper)) {
					got = append(got, row[:len(row)-2])
				}
				require.Equal(k, c.want, got, "%q to %q", c.lower, c.upper)
			}
			require.Len(k, rowsOf(k, b, []byte("b"), nil), 2, "no upper bound")
		}},
		{name: "rows/agree with a map", run: func(k *kit) {
			b, model, rnd := k.backend(), map[string]string{}, rand.New(rand.NewPCG(1, 2))
			for range 40 {
				var batch journal.Batch
				for range 100 {
					key := fmt.Sprintf("%04d", rnd.IntN(2500))
					if rnd.IntN(4) == 0 {
						batch.Delete([]byte(key))
						delete(model, key)
					} else {
						model[key] = fmt.Sprint(rnd.IntN(1000))
						require.NoError(k, batch.Set([]byte(key), []byte(model[key])))
					}
				}
				require.NoError(k, b.Apply(&batch))
			}
			var want []string
			for _, key := range slices.Sorted(maps.Keys(model)) {
				want = append(want, key+"="+model[key])
				got, err := b.Get([]byte(key))
				require.NoError(k, err)
				require.Equal(k, model[key], string(got))
			}
			require.Equal(k, want, rowsOf(k, b, nil, nil))
			lower, upper := want[len(want)/4][:4], want[len(want)/2][:4]
			require.Equal(k, want[len(want)/4:len(want)/2], rowsOf(k, b, []byte(lower), []byte(upper)))

			var batch journal.Batch
			for key := range model {
				batch.Delete([]byte(key))
			}
			require.NoError(k, b.Apply(&batch))
			require.Empty(k, rowsOf(k, b, nil, nil))
		}},
		{name: "rows/scans end early and survive writes", run: func(k *kit) {
			b := k.backend()
			apply(k, b, func(batch *journal.Batch) {
				var keys []byte // one behind the other: they are not to be appended to
				for i := range 1000 {
					keys = fmt.Appendf(keys, "%04d", i)
				}
				for ; len(keys) > 0; keys = keys[4:] {
					require.NoError(k, batch.Set(keys[:4], []byte("v")))
				}
			})
			for range b.Rows(nil, nil) {
				break
			}
			var last []byte
			seen := 0
			for row, err := range b.Rows(nil, nil) {
				require.NoError(k, err)
				require.Negative(k, bytes.Compare(last, row.Key), "ascending")
				last = row.Key
				if seen++; seen%100 == 0 {
					var batch journal.Batch
					batch.Delete(row.Key)
					require.NoError(k, batch.Set(append(bytes.Clone(row.Key), 'x'), nil))
					require.NoError(k, b.Apply(&batch))
				}
			}
			require.GreaterOrEqual(k, seen, 1000)
		}},
	}
}

// set writes one row.
func set(k *kit, b journal.Backend, key, value string) {
	k.Helper()
	var batch journal.Batch
	require.NoError(k, batch.Set([]byte(key), []byte(value)))
	require.NoError(k, b.Apply(&batch))
}

// rowsOf returns a range as key=value.
func rowsOf(k *kit, r journal.Reader, lower, upper []byte) (rows []string) {
	k.Helper()
	for _, row := range collect(k, r.Rows(lower, upper)) {
		rows = append(rows, string(row.Key)+"="+string(row.Value))
	}
	return rows
}

func collect[V any](k *kit, seq iter.Seq2[V, error]) (all []V) {
	k.Helper()
	for v, err := range seq {
		require.NoError(k, err)
		all = append(all, v)
	}
	return all
}
