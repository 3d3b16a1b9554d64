package keyspace_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/keyspace"
)

func TestValue(t *testing.T) {
	v := keyspace.NewValue(3, 0)
	v.Uint64(1 << 40)
	v.Uint32(7)
	v.Text("text")
	v.Bytes(nil)
	v.Raw([]byte("rest"))
	row := keyspace.Row{Key: []byte("k"), Value: v.Seal()}
	f := keyspace.Open("thing", 3, row)
	require.EqualValues(t, 1<<40, f.Uint64())
	require.EqualValues(t, 7, f.Uint32())
	require.Equal(t, "text", f.Text())
	require.Empty(t, f.Bytes())
	require.Equal(t, "rest", string(f.Rest()))
	require.NoError(t, f.Close())

	f = keyspace.Open("thing", 3, row)
	_ = f.Uint64()
	require.EqualError(t, f.Close(), `thing "k": corrupt: 20 bytes too many`)
	f = keyspace.Open("thing", 3, row)
	for range 5 {
		_ = f.Uint64()
	}
	require.EqualError(t, f.Close(), `thing "k": corrupt: 8 bytes needed, 4 left`)
	require.EqualError(t, keyspace.Open("thing", 4, row).Close(), "thing: unknown format version 3: written by a newer version of this program")
	row.Value[2]++
	require.EqualError(t, keyspace.Open("thing", 3, row).Close(), `thing "k": corrupt: checksum differs`)
	row.Value = row.Value[:8]
	require.EqualError(t, keyspace.Open("thing", 3, row).Close(), `thing "k": corrupt: 8 bytes, fewer than the shortest thing`)
}

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{"a": "b", "a\xff\xff": "b", "a\x00": "a\x01"} {
		require.Equal(t, want, string(keyspace.PrefixEnd([]byte(prefix))))
	}
}
