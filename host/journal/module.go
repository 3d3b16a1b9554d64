package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
)

const (
	moduleVersion   = 1
	revisionVersion = 1
)

// Digest is the SHA-256 of a module's bytes.
type Digest [sha256.Size]byte

// String gives the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Module is what is known of a module whatever its revision. Writing it is what makes another revision active (SEMANTICS D2).
type Module struct {
	Active uint64 // number of the active revision; 0 when the module is unloaded
	Latest uint64 // last revision number given out
	Plugin Digest // what the serve command's --plugin last gave the module; zero when it never did
}

// Revision is bytes, config and grants of a module, switched together. Written once, never changed.
type Revision struct {
	Digest   Digest
	Created  int64  // Unix nanoseconds
	Schema   uint32 // of its states
	Config   []byte // as it is given to the guest
	Grants   []byte // as the deployer keeps them
	Manifest []byte // as the guest describes itself
}

// PutModule writes a module's row.
func PutModule(b *Batch, id ModuleID, m *Module) { b.put(moduleKey(prefixModule, id), m.encode()) }

// DeleteModule removes a module's row. Its revisions stay.
func DeleteModule(b *Batch, id ModuleID) { b.Delete(moduleKey(prefixModule, id)) }

// ReadModule returns a module's row, or an error that is [ErrNotFound].
func ReadModule(r Reader, id ModuleID) (Module, error) {
	key := moduleKey(prefixModule, id)
	value, err := r.Get(key)
	if err != nil {
		return Module{}, fmt.Errorf("read module %s: %w", id, err)
	}
	return decodeModule(key, value)
}

// ModuleRow is a module with its name.
type ModuleRow struct {
	ID ModuleID
	Module
}

// Modules yields all modules, by tenant and name. It stops after an error.
func Modules(r Reader) iter.Seq2[ModuleRow, error] {
	prefix := []byte{prefixModule}
	return func(yield func(ModuleRow, error) bool) {
		for row, err := range r.Rows(prefix, PrefixEnd(prefix)) {
			var m ModuleRow
			if err == nil {
				m.ID, _, err = splitModule("module", row.Key)
			}
			if err == nil {
				m.Module, err = decodeModule(row.Key, row.Value)
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// PutRevision writes a revision under its number.
func PutRevision(b *Batch, id ModuleID, number uint64, rev *Revision) {
	b.put(revisionKey(id, number), rev.encode())
}

// DeleteRevision removes a revision. Its bytes stay: other revisions may share them.
func DeleteRevision(b *Batch, id ModuleID, number uint64) { b.Delete(revisionKey(id, number)) }

// ReadRevision returns a revision, or an error that is [ErrNotFound].
func ReadRevision(r Reader, id ModuleID, number uint64) (Revision, error) {
	key := revisionKey(id, number)
	value, err := r.Get(key)
	if err != nil {
		return Revision{}, fmt.Errorf("read revision %s %d: %w", id, number, err)
	}
	return decodeRevision(key, value)
}

// RevisionRow is a revision with its number.
type RevisionRow struct {
	Number uint64
	Revision
}

// Revisions yields a module's revisions, oldest first. It stops after an error.
func Revisions(r Reader, id ModuleID) iter.Seq2[RevisionRow, error] {
	prefix := moduleKey(prefixRevision, id)
	return func(yield func(RevisionRow, error) bool) {
		for row, err := range r.Rows(prefix, PrefixEnd(prefix)) {
			var rev RevisionRow
			if err == nil {
				rev.Number, err = revisionNumber(row.Key, len(prefix))
			}
			if err == nil {
				rev.Revision, err = decodeRevision(row.Key, row.Value)
			}
			if !yield(rev, err) || err != nil {
				return
			}
		}
	}
}

// PutCode keeps a module's bytes under their digest, which it returns.
func PutCode(b *Batch, code []byte) Digest {
	d := Digest(sha256.Sum256(code))
	b.put(codeKey(d), code)
	return d
}

// DeleteCode removes a module's bytes.
func DeleteCode(b *Batch, d Digest) { b.Delete(codeKey(d)) }

// ReadCode returns the bytes with a digest, checked against it, or an error that is [ErrNotFound].
func ReadCode(r Reader, d Digest) ([]byte, error) {
	code, err := r.Get(codeKey(d))
	if err != nil {
		return nil, fmt.Errorf("read module bytes %s: %w", d, err)
	}
	if sha256.Sum256(code) != d {
		return nil, &CorruptError{What: "module bytes", Key: d.String(), Reason: "digest differs"}
	}
	return code, nil
}

func (m *Module) encode() []byte {
	w := newWriter(moduleVersion, 16+len(m.Plugin))
	w.u64(m.Active)
	w.u64(m.Latest)
	w.fixed(m.Plugin[:])
	return w.seal()
}

func decodeModule(key, value []byte) (Module, error) {
	r := newReader("module", moduleVersion, key, value)
	m := Module{Active: r.u64(), Latest: r.u64()}
	r.fixed(m.Plugin[:])
	return m, r.close()
}

func (rev *Revision) encode() []byte {
	w := newWriter(revisionVersion, 24+len(rev.Digest)+len(rev.Config)+len(rev.Grants)+len(rev.Manifest))
	w.fixed(rev.Digest[:])
	w.u64(uint64(rev.Created))
	w.u32(rev.Schema)
	w.bytes(rev.Config)
	w.bytes(rev.Grants)
	w.bytes(rev.Manifest)
	return w.seal()
}

func decodeRevision(key, value []byte) (Revision, error) {
	r := newReader("revision", revisionVersion, key, value)
	var rev Revision
	r.fixed(rev.Digest[:])
	rev.Created = int64(r.u64())
	rev.Schema = r.u32()
	rev.Config = r.bytes()
	rev.Grants = r.bytes()
	rev.Manifest = r.bytes()
	return rev, r.close()
}
