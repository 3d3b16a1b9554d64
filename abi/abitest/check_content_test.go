package abitest

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

func TestForeignNaN(t *testing.T) {
	nan := math.NaN()
	both := pack.AppendFloat(pack.AppendFloat32(pack.AppendArrayLen(nil, 2), float32(nan)), nan)
	require.Nil(t, foreignNaN(both), "the one of each width that package pack writes")
	for _, b := range []string{"\xca\x7f\xc0\x00\x01", "\xca\xff\xc0\x00\x00", "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01", "\xcb\xff\xf8\x00\x00\x00\x00\x00\x00"} {
		require.Equal(t, b, string(foreignNaN([]byte("\x92\x01"+b))))
	}
}

func TestUndeclared(t *testing.T) {
	cancel := abi.Effect{Kind: abi.KindCancel, ID: "x"}
	tree := []abi.Effect{{Kind: abi.KindNone}, {Kind: abi.KindParallel, Children: []abi.Effect{cancel}}}
	require.ErrorContains(t, undeclared(&abi.Manifest{}, tree), `an effect cancel to "" that the manifest does not declare`)
	require.NoError(t, undeclared(&abi.Manifest{Effects: []abi.EffectGrant{{Kind: abi.KindCancel}}}, tree))
}
