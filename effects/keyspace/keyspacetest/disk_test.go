package keyspacetest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/effects/keyspace"
	"github.com/crhost/crhost/effects/keyspace/keyspacetest"
)

func rows(t *testing.T, d keyspace.DB) (found string) {
	for r, err := range d.Rows([]byte("a"), keyspace.PrefixEnd([]byte("b\xff"))) {
		require.NoError(t, err)
		found += fmt.Sprintf("%s=%s ", r.Key, r.Value)
	}
	return found
}

func TestDisk_shownThenDurable(t *testing.T) {
	var d, found *keyspacetest.Disk
	d = &keyspacetest.Disk{}
	require.NoError(t, d.Apply([]keyspace.Write{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("c"), Value: []byte("1")}}))
	d.Sync = func([]keyspace.Write) error {
		require.Equal(t, "b=2 ", rows(t, d))
		found = d.Crash()
		return nil
	}
	require.ErrorIs(t, d.Apply([]keyspace.Write{{Key: []byte("b"), Value: []byte("2")}, {Key: []byte("a"), Delete: true}}), keyspacetest.ErrCrashed)
	require.Equal(t, "a=1 ", rows(t, found))
}
