package memory

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestLayout_shardsShareNoCacheLine(t *testing.T) {
	const line = 64
	require.Zero(t, unsafe.Sizeof(partition{})%(2*line))
	require.EqualValues(t, line, unsafe.Sizeof(log{}))
}
