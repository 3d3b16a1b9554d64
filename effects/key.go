package effects

import (
	"encoding/hex"
	"strconv"
)

// Key is the idempotency key of a leaf, incarnation/seq/index as text (SEMANTICS E1): the same across retries, restarts, revisions and
// drives, and unlike that of every other leaf there ever was. life is the incarnation of the store, seq the action that described the leaf.
func Key(life [16]byte, seq uint64, index int) string {
	b := make([]byte, 0, 2*len(life)+1+20+1+3)
	b = append(hex.AppendEncode(b, life[:]), '/')
	b = append(strconv.AppendUint(b, seq, 10), '/')
	return string(strconv.AppendInt(b, int64(index), 10))
}

// EmissionKey is the key of emission n of the leaf with this key, incarnation/seq/index.n; n counts from 0, across attempts and drives.
func EmissionKey(key string, n uint64) string { return key + "." + strconv.FormatUint(n, 10) }
