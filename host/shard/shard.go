package shard

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
)

// Shard is a lock and the stores hashed to it.
type Shard struct {
	index     int
	config    Config
	committer *journal.Committer
	hooks     atomic.Pointer[observe.ModuleHooks] // of the active revision
	tidying   sync.WaitGroup                      // goroutines of recycle

	dirMu    sync.RWMutex      // guards what follows; dir and removals are written with mu held too, so that either is enough for reading them
	dir      map[string]*store // by key
	removals int               // from dir
	ending   map[*store]bool   // no longer in dir, as it was deleted; not yet known to be durable

	mu         sync.Mutex // guards what follows, and the parts of stores that say so
	active     *generation
	draining   []*generation
	asleep     map[string]journal.Store // rows of stores that are halted or parked and not in dir, by key
	leaving    error                    // why no more commands are taken; effects still finish
	refusing   error                    // why no more actions are taken
	closed     error                    // why nothing is done any more
	current    *store                   // whose action the guest works on, for its log
	entropy    *rand.ChaCha8
	origin     string // 16 characters, see correlate
	correlated uint64
	in         abi.ReduceInput
	out        abi.Output
	meta       []byte
	tree       []abi.Effect    // of the last reduce, nil when it has no leaves
	origins    origins         // of the action at hand
	extra      journal.Batch   // what goes with its record
	span       context.Context // of the action at hand, with its span; nil when nobody listens
	buried     *observe.Buried // goes with the step at hand; nil when that leaves no dead letter, or nobody listens
	refusal    error           // of feedback that was not reduced, though its leaf is settled
	started    time.Time       // of the send under way; later times are this and what the monotonic clock says, which costs half
	action     int             // index of the type of the last command, -1 when it is unknown
	fuel       uint64          // of the last reduce
	took       time.Duration   // of the last reduce
}

// New returns a shard on which active answers.
func New(index int, config Config, active *Revision) *Shard {
	s := &Shard{index: index, config: config.withDefaults(), dir: make(map[string]*store), ending: make(map[*store]bool), asleep: make(map[string]journal.Store), entropy: newEntropy()}
	s.origin = fmt.Sprintf("%016x", s.entropy.Uint64())
	s.active = s.newGeneration(active)
	s.hooks.Store(active.Hooks)
	commit := journal.Config{}
	if s.config.ObserveCommits && active.Hooks.Committed != nil {
		commit.Observe = s.committed
	}
	s.committer = journal.NewCommitter(s.config.Backend, commit)
	return s
}

// committed reports a batch.
func (s *Shard) committed(c journal.Commit) {
	committed := s.hooks.Load().Committed
	if committed == nil {
		return
	}
	e := batches.Get().(*observe.Committed)
	*e = observe.Committed{Shard: s.index, Actions: c.Steps, Bytes: c.Bytes, Latency: c.Latency, Lag: c.Lag, Err: c.Err}
	committed(e)
	batches.Put(e)
}

// batches are reused: an observer sees one only during its call.
var batches = sync.Pool{New: func() any { return new(observe.Committed) }}

func (s *Shard) newGeneration(r *Revision) *generation {
	return &generation{revision: r, max: s.config.Residents}
}

// enter takes the lock with the store of key, reading it from the journal if need be, unless too many wait for that. It reports how long it waited for the lock.
// The caller must call leave. Errors are *abi.Error or the cause of ctx.
func (s *Shard) enter(ctx context.Context, key string) (*store, time.Duration, error) {
	return s.queue(ctx, &Ref{Key: key}, s.config.QueueDepth)
}

// tend is enter for those who look after a store: they are never refused for load.
func (s *Shard) tend(ctx context.Context, key string) (*store, error) {
	st, _, err := s.queue(ctx, &Ref{Key: key}, math.MaxInt)
	return st, err
}

func (s *Shard) queue(ctx context.Context, ref *Ref, depth int) (*store, time.Duration, error) {
	for {
		st, err := s.lookup(ref)
		if err != nil {
			return nil, 0, err
		}
		if int(st.waiting.Add(1)) > depth {
			st.waiting.Add(-1)
			return nil, 0, &abi.Error{Code: abi.CodeOverloaded, Text: "too many actions wait for the store"}
		}
		wait := s.lock()
		lost := s.recover() // first: it may take st out of the directory, or bring another one back
		if st.gone {
			closed := s.closed
			st.waiting.Add(-1)
			s.mu.Unlock()
			if closed != nil { // what is gone stays in the directory then
				return nil, wait, closed
			}
			ref.last.Store(nil)
			continue
		}
		if err := s.ready(ctx, st, lost); err != nil {
			s.leave(st)
			return nil, wait, err
		}
		return st, wait, nil
	}
}

// Refuse refuses commands from now on with why. What effects feed back is still taken, until Close.
func (s *Shard) Refuse(why *abi.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = why
}

// lock takes mu and reports how long that took; nothing is measured when it is free.
func (s *Shard) lock() time.Duration {
	if s.mu.TryLock() {
		return 0
	}
	start := time.Now()
	s.mu.Lock()
	return time.Since(start)
}

// Ref is a key and the store that it led to last, which spares a look into the directory. It is safe from any goroutine. A Ref with a Key and nothing
// else has not led anywhere yet. It outlives its shard: that leaves its stores gone when it closes, before another has their keys.
type Ref struct {
	Key  string
	last atomic.Pointer[store]
}

// lookup finds a store in the directory, or puts it there as the journal knows it: a key without a life gets one that does not exist yet.
func (s *Shard) lookup(ref *Ref) (*store, error) {
	if st := ref.last.Load(); st != nil {
		return st, nil // if it is gone, whoever takes the lock sees it
	}
	for {
		s.dirMu.RLock()
		st, removals := s.dir[ref.Key], s.removals
		s.dirMu.RUnlock()
		if st != nil {
			ref.last.Store(st)
			return st, nil
		}
		st = s.newStore(ref.Key)
		if err := st.restore(); err != nil {
			return nil, err
		}
		if st = s.admit(st, removals); st != nil {
			return st, nil
		}
	}
}

// admit puts a store that was just read into the directory, unless another was faster. It returns the one that is there; nil when something was
// removed since removals was read: then what was read may be of a life that has ended.
func (s *Shard) admit(st *store, removals int) *store {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.dir[st.key]; other != nil {
		return other
	}
	if s.removals != removals {
		return nil
	}
	s.put(st)
	s.makeRoom(st)
	return st
}

// ready makes the store fit for use, or says why nothing can be done now: lost is what recover said.
//
// REQUIRES: mu is held.
func (s *Shard) ready(ctx context.Context, st *store, lost error) error {
	if s.closed != nil {
		return s.closed
	}
	if err := ctx.Err(); err != nil {
		return &abi.Error{Code: abi.CodeCanceled, Text: "the caller went away", Err: context.Cause(ctx)}
	}
	if lost != nil {
		return lost
	}
	if st.stale {
		return st.restore()
	}
	return nil
}

// recover ends a failure of the journal if it can be ended, taking back what was lost.
//
// REQUIRES: mu is held.
func (s *Shard) recover() error {
	err := s.committer.Err()
	if err == nil {
		return nil
	}
	if errors.Is(err, journal.ErrBatchFailed) {
		err = s.committer.Recover()
	}
	return commitError(err)
}

// leave gives the lock back. A store that never came to exist, and that nobody waits for, is forgotten, unless it trapped: its traps are rationed.
func (s *Shard) leave(st *store) {
	if st.waiting.Add(-1) == 0 && !st.exists && !st.gone && st.trapped.IsZero() && st.pos <= s.committer.Watermark() && !st.listened() {
		s.remove(st)
	}
	s.mu.Unlock()
}

// remove takes a store out of the directory.
//
// REQUIRES: mu is held.
func (s *Shard) remove(st *store) {
	st.gone = true
	st.cell.Drop()
	st.snapshot.Store(nil)
	s.dirMu.Lock()
	s.removals++
	if s.dir[st.key] == st {
		delete(s.dir, st.key)
	}
	s.dirMu.Unlock()
}

// put makes st the store of its key.
//
// REQUIRES: mu is held.
func (s *Shard) put(st *store) {
	delete(s.asleep, st.key)
	s.dirMu.Lock()
	s.dir[st.key] = st
	s.dirMu.Unlock()
}

// answer returns err, refusal or nil, once the position that it was computed on is durable.
func (s *Shard) answer(ctx context.Context, pos journal.Position, err error) error {
	if lost := s.committer.Wait(ctx, pos); lost != nil {
		return commitError(lost)
	}
	return err
}

// commitError puts what a committer says into the words of the host.
func commitError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, journal.ErrBatchFailed):
		return &abi.Error{Code: abi.CodeBatchFailed, Text: "the journal refused the batch; nothing of it was kept", Err: err}
	case errors.Is(err, journal.ErrOutcomeUnknown):
		return &abi.Error{Code: abi.CodeUnknownOutcome, Text: "the journal failed: whether the action was kept is unknown", Err: err}
	case errors.Is(err, journal.ErrClosed):
		return &abi.Error{Code: abi.CodeShuttingDown, Text: "the journal is closed", Err: err}
	}
	return &abi.Error{Code: abi.CodeCanceled, Text: "the caller went away; the action may have been accepted", Err: err}
}

// newEntropy makes seeds: a ChaCha8 stream keyed by the system's CSPRNG, as asking the system each time costs more than a small action.
func newEntropy() *rand.ChaCha8 {
	var key [32]byte
	_, _ = cryptorand.Read(key[:]) // never fails
	return rand.NewChaCha8(key)
}
