package shard

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
)

// Open makes an instance of the active revision, so that the first action need not. Errors are the revision's.
func (s *Shard) Open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active.open(s.log)
}

// Prepare makes an instance of a revision for this shard, so that Flip cannot fail.
func (s *Shard) Prepare(r *Revision) (Flip, error) {
	g := s.newGeneration(r)
	if err := g.open(s.log); err != nil {
		return Flip{}, err
	}
	return Flip{shard: s, to: g}, nil
}

// Flip is a shard's part of an activation, ready to be done.
type Flip struct {
	shard *Shard
	to    *generation
}

// Do makes the revision the active one: it answers from the next action on. Stores are taken over at their next action (SEMANTICS D3), or by Drain.
func (f Flip) Do() {
	s := f.shard
	s.mu.Lock()
	started := time.Now()
	s.draining = append(s.draining, s.active)
	s.active = f.to
	s.hooks.Store(f.to.revision.Hooks)
	pause := time.Since(started)
	s.mu.Unlock()
	if h := s.hooks.Load().Swapped; h != nil {
		h(&observe.Swapped{Shard: s.index, Revision: f.to.revision.ID, Pause: pause})
	}
}

// Undo gives up an instance that Prepare made.
func (f Flip) Undo() { f.to.discard() }

// An instance serves so many actions before it is recycled, so that states which fill its memory by themselves do not have it replaced all the time: fewer when
// several share the memory, as fewer in the next will help.
const (
	recycleCrowded = 100
	recycleLonely  = 10_000
)

// recycle leaves a generation whose guest's memory has grown too large for a fresh instance of the same revision. Its stores follow at their next action, without an
// adoption: nothing changes for them. The fresh instance seats fewer, so that it does not end the same way.
func (s *Shard) recycle(g *generation) {
	if g != s.active || g.served < recycleCrowded || g.served < recycleLonely && g.set.Len() <= 1 {
		return
	}
	fresh := s.newGeneration(g.revision)
	fresh.max = max(1, g.set.Len()*3/4)
	s.draining = append(s.draining, g)
	s.active = fresh
	s.tidying.Go(func() { _ = s.Drain(context.Background()) })
}

// Drain takes checkpoints of all stores that a generation other than the active one still holds, a store at a time, and closes those generations once the
// checkpoints are durable. Stores that cannot be encoded halt. Errors are *abi.Error; what is not drained then is drained by the next call.
func (s *Shard) Drain(ctx context.Context) error {
	s.mu.Lock()
	leaving := slices.Clone(s.draining)
	keys := s.keys()
	s.mu.Unlock()
	if len(leaving) == 0 {
		return nil
	}
	for _, key := range keys {
		if err := s.checkpointIf(ctx, key, func(st *store) bool {
			return st.cell.Set() != nil && st.cell.Set() != s.active.set || st.cell.TailBytes() > 0 && st.revision != s.active.revision.Number
		}); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = slices.DeleteFunc(s.draining, func(g *generation) bool {
		done := slices.Contains(leaving, g) && (g.set == nil || g.set.Len() == 0)
		if done {
			g.discard()
		}
		return done
	})
	return nil
}

// keys are all keys of the directory.
//
// REQUIRES: mu is held.
func (s *Shard) keys() []string {
	keys := make([]string, 0, len(s.dir))
	for key := range s.dir {
		keys = append(keys, key)
	}
	return keys
}

// checkpointIf takes a durable checkpoint of a store that wants it and leaves its slot. A store that cannot be encoded halts, which is no error.
func (s *Shard) checkpointIf(ctx context.Context, key string, wants func(*store) bool) error {
	st, err := s.tend(ctx, key)
	if err != nil {
		return err
	}
	if st.exists && wants(st) {
		if st.since > 0 {
			_ = s.checkpoint(st)
		}
		st.cell.Drop()
	}
	pos := max(st.pos, st.saved)
	s.leave(st)
	return s.answer(ctx, pos, nil)
}

// Close refuses actions from now on with why, writes what the journal needs to go on later and ends the instances and subscriptions. Unless ctx ends first, nothing
// is on its way to the journal any more when it returns. Errors are *abi.Error; the shard is closed all the same.
func (s *Shard) Close(ctx context.Context, why *abi.Error) error {
	s.mu.Lock()
	s.leaving, s.refusing = why, why
	keys := s.keys()
	s.mu.Unlock()
	var failed error
	for _, key := range keys {
		if err := s.checkpointIf(ctx, key, func(st *store) bool { return true }); err != nil && failed == nil {
			failed = err
		}
	}
	s.mu.Lock()
	lost := s.recover()
	s.closed = why
	var last journal.Position // behind all that is on its way, which is more than the stores' own: whoever takes over must find it in the journal
	if lost == nil {
		last = s.committer.Enqueue(journal.Step{})
	}
	for _, st := range s.dir {
		st.gone = true
		st.snapshot.Store(nil)
		st.hush(why)
	}
	s.dirMu.RLock()
	for st := range s.ending { // the journal ended before it said what becomes of them
		st.hush(why)
	}
	s.dirMu.RUnlock()
	for _, g := range append(s.draining, s.active) {
		g.discard()
	}
	s.draining = nil
	s.mu.Unlock()
	failed = cmp.Or(failed, s.answer(ctx, last, lost))
	if ctx.Err() == nil {
		s.tidying.Wait() // it has nothing left to wait for
	}
	return failed
}
