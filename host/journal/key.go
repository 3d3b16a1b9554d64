package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// First letters of keys; the table is in the package doc.
const (
	prefixCheckpoint = 'c'
	prefixLetter     = 'd'
	prefixStopped    = 'h'
	prefixModule     = 'm'
	prefixEffect     = 'o'
	prefixKeyed      = 'k'
	prefixRevision   = 'r'
	prefixStore      = 's'
	prefixCode       = 'w'
)

// StoreID names a store within a host.
type StoreID struct {
	Tenant, Module, Key string
}

// String gives the store's address in full.
func (id StoreID) String() string { return id.Tenant + "/" + id.Module + "/" + id.Key }

// ModuleID names a module within a host.
type ModuleID struct {
	Tenant, Module string
}

// String gives the module's address in full.
func (id ModuleID) String() string { return id.Tenant + "/" + id.Module }

func checkpointKey(life Incarnation) []byte {
	return append([]byte{prefixCheckpoint}, life[:]...)
}

func codeKey(digest Digest) []byte {
	return append([]byte{prefixCode}, digest[:]...)
}

// moduleKey begins all keys of a module that start with the prefix.
func moduleKey(prefix byte, id ModuleID) []byte {
	const rest = 16 + 8 + 3 // of the longest that is bounded: life, seq, row and index
	k := make([]byte, 0, 1+len(id.Tenant)+1+len(id.Module)+1+rest)
	k = append(append(append(k, prefix), id.Tenant...), 0)
	return append(append(k, id.Module...), 0)
}

func revisionKey(id ModuleID, number uint64) []byte {
	return binary.BigEndian.AppendUint64(moduleKey(prefixRevision, id), number)
}

func stoppedKey(id StoreID) []byte {
	return append(moduleKey(prefixStopped, ModuleID{id.Tenant, id.Module}), id.Key...)
}

func storeKey(id StoreID) []byte {
	return append(moduleKey(prefixStore, ModuleID{id.Tenant, id.Module}), id.Key...)
}

// splitModule takes tenant and module out of a key made by moduleKey.
func splitModule(what string, key []byte) (id ModuleID, rest []byte, err error) {
	tenant, rest, ok := bytes.Cut(key[1:], []byte{0})
	module, rest, ok2 := bytes.Cut(rest, []byte{0})
	if !ok || !ok2 {
		return ModuleID{}, nil, &CorruptError{What: what, Key: fmt.Sprintf("%q", key), Reason: "key holds no tenant and module"}
	}
	return ModuleID{string(tenant), string(module)}, rest, nil
}

// revisionNumber takes the number out of a revision's key.
func revisionNumber(key []byte, prefix int) (uint64, error) {
	if len(key) != prefix+8 {
		return 0, &CorruptError{What: "revision", Key: fmt.Sprintf("%q", key), Reason: "key holds no number"}
	}
	return binary.BigEndian.Uint64(key[prefix:]), nil
}

// PrefixEnd returns the smallest key above all keys that start with prefix, to be the upper bound of a scan; nil when there is none.
func PrefixEnd(prefix []byte) []byte {
	for n := len(prefix); n > 0; n-- {
		if prefix[n-1] != 0xff {
			end := bytes.Clone(prefix[:n])
			end[n-1]++
			return end
		}
	}
	return nil
}
