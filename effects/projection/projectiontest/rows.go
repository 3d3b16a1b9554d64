package projectiontest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/projection"
)

func rowChecks() []check {
	return []check{
		{name: "rows/set, overwrite, delete", run: func(k *kit) {
			b := k.builds().Live
			b = k.update(b, 1, k.set("a", "1", "b", "", "c", "3"))
			require.Equal(k, []string{"a=1", "b=", "c=3"}, k.list(""))
			old, err := k.Get(k.ctx, model, "a")
			require.NoError(k, err)
			b = k.update(b, 2, k.set("a", "2"))
			require.Equal(k, "1", string(old), "bytes that were read stay valid")
			k.update(b, 3, func(tx projection.Tx) {
				require.NoError(k, tx.Delete("c"))
				require.NoError(k, tx.Delete("never was"))
			})
			require.Equal(k, []string{"a=2", "b="}, k.list(""))
			_, err = k.Get(k.ctx, model, "c")
			require.ErrorIs(k, err, projection.ErrNotFound)
			empty, err := k.Get(k.ctx, model, "b")
			require.NoError(k, err)
			require.Empty(k, empty)
			_, err = k.Get(k.ctx, "other", "a")
			require.ErrorIs(k, err, projection.ErrNotFound)
		}},
		{name: "rows/prefixes and pages", run: func(k *kit) {
			k.update(k.builds().Live, 1, k.set("c1/b", "2", "c1/a", "1", "c1/c", "3", "c10/a", "4", "c2/a", "5", "c1", "0", "c1/\xff", "6"))
			require.Equal(k, []string{"c1/a=1", "c1/b=2", "c1/c=3", "c1/\xff=6"}, k.list("c1/"))
			require.Equal(k, []string{"c2/a=5"}, k.list("c2"))
			require.Empty(k, k.list("c3"))
			require.Len(k, k.list(""), 7)
			for _, c := range []struct{ prefix, after, first string }{
				{"c1/", "a", "c1/a"}, {"c1/", "c1/a", "c1/b"}, {"c1/", "c1/a0", "c1/b"}, {"c1/", "c1/\xff", ""}, {"c1/", "d", ""}, {"", "c1", "c1/a"},
			} {
				page, err := k.List(k.ctx, model, c.prefix, c.after, 1)
				require.NoError(k, err)
				if c.first == "" {
					require.Empty(k, page.Rows, "%q after %q", c.prefix, c.after)
					continue
				}
				require.Len(k, page.Rows, 1)
				require.Equal(k, c.first, page.Rows[0].Key, "%q after %q", c.prefix, c.after)
			}
		}},
		{name: "rows/a transaction sees what it wrote", run: func(k *kit) {
			b := k.update(k.builds().Live, 1, k.set("a/1", "1", "a/2", "2", "b", "b"))
			k.update(b, 2, func(tx projection.Tx) {
				k.set("a/0", "0", "a/2", "two")(tx)
				require.NoError(k, tx.Delete("a/1"))
				require.Equal(k, []string{"a/0=0", "a/2=two"}, within(k, tx, "a/"))
				value, err := tx.Get("a/2")
				require.NoError(k, err)
				require.Equal(k, "two", string(value))
				_, err = tx.Get("a/1")
				require.ErrorIs(k, err, projection.ErrNotFound)
				value, err = tx.Get("b")
				require.NoError(k, err)
				require.Equal(k, "b", string(value))
				for r, err := range tx.Rows("a/") {
					require.NoError(k, err)
					require.NoError(k, tx.Delete(r.Key))
					require.NoError(k, tx.Set(r.Key+"/new", r.Value))
				}
				for range tx.Rows("") {
					break
				}
				require.Equal(k, []string{"a/1=1", "a/2=2", "b=b"}, k.list(""), "readers see none of it")
			})
			require.Equal(k, []string{"a/0/new=0", "a/2/new=two", "b=b"}, k.list(""))
		}},
		{name: "rows/bytes are the caller's again", run: func(k *kit) {
			value := []byte("value")
			k.update(k.builds().Live, 1, func(tx projection.Tx) {
				require.NoError(k, tx.Set("a", value))
				clear(value)
			})
			clear(value)
			require.Equal(k, []string{"a=value"}, k.list(""))
		}},
		{name: "rows/refuses what cannot be right", run: func(k *kit) {
			long := strings.Repeat("x", projection.MaxKeyBytes+1)
			err := k.Update(k.ctx, model, k.builds().Live, 1, func(tx projection.Tx) error {
				require.ErrorIs(k, tx.Set("", nil), projection.ErrInvalid)
				require.ErrorIs(k, tx.Set(long, nil), projection.ErrInvalid)
				require.ErrorIs(k, tx.Set("a", make([]byte, projection.MaxValueBytes+1)), projection.ErrInvalid)
				return tx.Set(long[1:], nil)
			})
			require.NoError(k, err)
			_, list := k.List(k.ctx, model, "", "", 0)
			_, builds := k.Builds(k.ctx, "")
			_, begin := k.Begin(k.ctx, "a\nb")
			_, get := k.Get(k.ctx, strings.Repeat("x", 257), "a")
			for _, err := range []error{list, builds, begin, get} {
				require.ErrorIs(k, err, projection.ErrInvalid)
			}
		}},
		{name: "rows/agree with a map", run: func(k *kit) {
			b, want, rnd := k.builds().Live, map[string]string{}, rand.New(rand.NewPCG(1, 2))
			for range 30 {
				b = k.update(b, b.Checkpoint+1, func(tx projection.Tx) {
					for range 100 {
						key := fmt.Sprintf("%04d", rnd.IntN(1500))
						if rnd.IntN(4) == 0 {
							require.NoError(k, tx.Delete(key))
							delete(want, key)
						} else {
							want[key] = fmt.Sprint(rnd.IntN(1000))
							require.NoError(k, tx.Set(key, []byte(want[key])))
						}
					}
				})
			}
			var rows []string
			for _, key := range slices.Sorted(maps.Keys(want)) {
				rows = append(rows, key+"="+want[key])
			}
			require.Equal(k, rows, k.list(""))
			k.update(b, b.Checkpoint+1, func(tx projection.Tx) {
				for r := range tx.Rows("") {
					require.NoError(k, tx.Delete(r.Key))
				}
			})
			require.Empty(k, k.list(""))
		}},
		{name: "rows/an error undoes everything (E9)", run: func(k *kit) {
			b := k.update(k.builds().Live, 1, k.set("a", "1"))
			wrong := errors.New("wrong")
			err := k.Update(k.ctx, model, b, 2, func(tx projection.Tx) error {
				k.set("a", "2", "b", "2")(tx)
				return wrong
			})
			require.ErrorIs(k, err, wrong)
			require.Equal(k, []string{"a=1"}, k.list(""))
			require.Equal(k, b, k.builds().Live)
			k.update(b, 2, k.set("b", "3"))
			require.Equal(k, []string{"a=1", "b=3"}, k.list(""))
		}},
	}
}
