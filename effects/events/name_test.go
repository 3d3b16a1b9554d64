package events_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/events"
)

func TestScope(t *testing.T) {
	longest := strings.Repeat("n", events.MaxNameBytes)
	for _, c := range []struct{ tenant, name, want, fault string }{
		{"acme", "order-7", "acme/order-7", ""},
		{"acme", "a/b", "acme/a/b", ""},
		{strings.Repeat("t", 63), longest, strings.Repeat("t", 63) + "/" + longest, ""},
		{"a", longest + "n", "", "bad name: 193 bytes, want 1 to 192"},
		{"acme", "", "", "bad name: 0 bytes, want 1 to 192"},
		{"acme", "a\x00", "", `bad name: the key "a\x00" has a control character`},
		{"acme/x", "a", "", `bad name: tenant "acme/x" is not`},
		{"", "a", "", `bad name: tenant ""`},
	} {
		got, err := events.Scope(c.tenant, c.name)
		require.Equal(t, c.want, got)
		if c.fault == "" {
			require.NoError(t, err)
			require.NoError(t, abi.ValidateKey(got), "the store takes it")
			continue
		}
		require.ErrorIs(t, err, events.ErrName)
		require.ErrorContains(t, err, c.fault)
	}
	for _, scoped := range []string{"", "acme", "acme/", "/a", "Acme/a", "acme/a\n"} {
		_, _, ok := events.Split(scoped)
		require.False(t, ok, scoped)
	}
}

// No name of a tenant is another's, and each comes back as it went in.
func TestScope_apart(t *testing.T) {
	tenants := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,3}`)
	names := rapid.StringMatching(`[a-c/-]{1,5}`)
	rapid.Check(t, func(t *rapid.T) {
		ta, na, tb, nb := tenants.Draw(t, "ta"), names.Draw(t, "na"), tenants.Draw(t, "tb"), names.Draw(t, "nb")
		a, err := events.Scope(ta, na)
		require.NoError(t, err)
		b, err := events.Scope(tb, nb)
		require.NoError(t, err)
		require.Equal(t, ta == tb && na == nb, a == b)
		tenant, name, ok := events.Split(a)
		require.True(t, ok)
		require.Equal(t, []string{ta, na}, []string{tenant, name})
	})
}
