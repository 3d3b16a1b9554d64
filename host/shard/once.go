package shard

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
)

// keyed is what a store in memory knows of the idempotency keys of its callers, besides what the journal does (SEMANTICS S12).
//
// Invariants:
//
//	K1  pending has the key of each action that is not known to be durable; order has them as they were accepted.
//	K2  count changes whenever an action with a key is accepted or lost. So who finds it as it was before looking into the journal has seen all there is.
type keyed struct {
	pending map[string]keyedAction
	order   []string
	count   uint64
	from    uint64 // no seq below has a row
}

// keyedAction is an action that may not be durable yet.
type keyedAction struct {
	receipt Receipt
	hash    [16]byte
}

// expireEvery is how many actions with keys go between two looks for keys that need not be remembered any more.
const expireEvery = 64

// unseen is the moment at which the journal did not have a key.
type unseen struct {
	store *store
	life  journal.Incarnation
	count uint64
}

func (u *unseen) holds(st *store) bool {
	return u.store == st && u.life == st.life && u.count == st.keyed.count
}

// hashOf is what tells an action from others with its key.
func hashOf(action []byte) [16]byte {
	sum := sha256.Sum256(action)
	return [16]byte(sum[:16])
}

// once keeps an action with a key from happening twice. With none under its key it returns the store, under the lock; else no store, and the receipt of that action, when
// it is durable, or what is wrong.
//
// REQUIRES: mu is held and st is ready; mu is released when no store is returned.
func (s *Shard) once(ctx context.Context, st *store, ref *Ref, c *Command) (*store, Receipt, error) {
	var u unseen
	for st.exists && !u.holds(st) { // looking into the journal is not for the lock
		receipt, found, err := s.repeated(ctx, st, c, &u)
		if found || err != nil {
			return nil, receipt, err
		}
		if st, _, err = s.queue(ctx, ref, s.config.QueueDepth); err != nil {
			return nil, Receipt{}, err
		}
	}
	return st, Receipt{}, nil
}

// repeated looks for an action that was accepted under the key of c, and gives the lock back. With none it notes in u that the journal had none, to be seen to under
// the lock; else it returns the receipt of that action, when it is durable, or what is wrong.
//
// REQUIRES: mu is held, st is ready and exists; mu is released on return.
func (s *Shard) repeated(ctx context.Context, st *store, c *Command, u *unseen) (Receipt, bool, error) {
	st.keyed.settle(st.durable.Load())
	if a, ok := st.keyed.pending[c.Key]; ok {
		s.leave(st)
		return s.replayed(ctx, a.receipt, a.hash, c)
	}
	seen := unseen{st, st.life, st.keyed.count}
	newest := st.cell.Seq()
	s.leave(st)
	k, err := journal.ReadKeyed(s.config.Backend, s.config.Module, seen.life, c.Key)
	switch {
	case errors.Is(err, journal.ErrNotFound):
		*u = seen
		return Receipt{}, false, nil
	case err != nil:
		return Receipt{}, false, &abi.Error{Code: abi.CodeInternal, Text: "look for an idempotency key", Err: err}
	case k.Seq > st.durable.Load(): // the journal shows it, and does not promise it yet: it is pending
		if err := ctx.Err(); err != nil {
			return Receipt{}, false, &abi.Error{Code: abi.CodeCanceled, Text: "the caller went away", Err: context.Cause(ctx)}
		}
		return Receipt{}, false, nil
	case s.expired(k.Seq, k.Time, newest):
		*u = seen
		return Receipt{}, false, nil
	}
	return s.replayed(ctx, Receipt{Seq: k.Seq, Revision: k.Revision, Life: seen.life, Correlation: CorrelationID{text: k.Correlation}}, k.Hash, c)
}

// replayed is the answer to a repeat.
func (s *Shard) replayed(ctx context.Context, r Receipt, hash [16]byte, c *Command) (Receipt, bool, error) {
	if lost := s.committer.Wait(ctx, r.pos); lost != nil { // also a mismatch tells of the action
		return Receipt{}, false, commitError(lost)
	}
	if hash != hashOf(c.Body) {
		return Receipt{}, false, refuse(abi.CodeIdempotencyMismatch, "the idempotency key was given to another action, %d", r.Seq)
	}
	r.Replayed = true
	return r, true, nil
}

// expired reports whether a key need not be remembered any more.
func (s *Shard) expired(seq uint64, at int64, newest uint64) bool {
	return newest > seq && newest-seq > s.config.KeyActions || time.Now().UnixNano()-at > int64(s.config.KeyAge)
}

// remember puts the key of the action at hand into its batch.
func (s *Shard) remember(st *store, c *Command, revision string) {
	if st.keyed.count%expireEvery == 0 {
		s.expire(st) // first: the key may be among those that go
	}
	correlation := s.origins.correlation.String()
	journal.PutKeyed(&s.extra, s.config.Module, st.life, c.Key, &journal.Keyed{
		Seq: s.in.Seq, Time: s.in.Now, Hash: hashOf(c.Body), Revision: revision, Correlation: correlation,
	})
}

// expire removes, with the action at hand, keys that need not be remembered any more. What cannot be read now is left to the next time.
func (s *Shard) expire(st *store) {
	left := 2 * expireEvery
	for k, err := range journal.KeyedSeqs(s.config.Backend, s.config.Module, st.life, st.keyed.from) {
		if err != nil || left == 0 || k.Seq > st.durable.Load() { // what is not durable is not old
			return
		}
		row, err := journal.ReadKeyed(s.config.Backend, s.config.Module, st.life, k.Key)
		_, pending := st.keyed.pending[k.Key]
		switch {
		case err != nil && !errors.Is(err, journal.ErrNotFound):
			return
		case pending || err != nil || row.Seq != k.Seq: // a later action has the key
			journal.DeleteKeyedSeq(&s.extra, s.config.Module, st.life, k.Seq)
		case s.expired(k.Seq, row.Time, s.in.Seq):
			journal.DeleteKeyed(&s.extra, s.config.Module, st.life, k)
		default:
			return
		}
		st.keyed.from = k.Seq + 1
		left--
	}
}

// forgetKeys removes all keys of a store.
func (s *Shard) forgetKeys(st *store, b *journal.Batch) error {
	for _, key := range st.keyed.order { // the journal may not show them yet
		k := journal.KeyedSeq{Seq: st.keyed.pending[key].receipt.Seq, Key: key}
		journal.DeleteKeyed(b, s.config.Module, st.life, k)
	}
	if err := journal.DropKeyed(s.config.Backend, b, s.config.Module, st.life); err != nil {
		return &abi.Error{Code: abi.CodeInternal, Text: "read the idempotency keys of store " + s.id(st.key).String(), Err: err}
	}
	return nil
}

// accepted notes the key of an action that was just enqueued.
func (k *keyed) accepted(key string, a keyedAction) {
	if k.pending == nil {
		k.pending = make(map[string]keyedAction)
	}
	k.pending[key] = a
	k.order = append(k.order, key)
	k.count++
}

// settle lets go of what is durable.
func (k *keyed) settle(durable uint64) {
	n := 0
	for n < len(k.order) && k.pending[k.order[n]].receipt.Seq <= durable {
		delete(k.pending, k.order[n])
		n++
	}
	if k.order = k.order[n:]; len(k.order) == 0 {
		k.order = nil
	}
}

// lose lets go of all that is pending.
func (k *keyed) lose() {
	*k = keyed{count: k.count + 1}
}
