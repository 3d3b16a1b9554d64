package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/deploy"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/outbox"
	"github.com/crhost/crhost/host/shard"
)

// Store is a handle on one keyed state machine. Making one costs nothing, and says nothing about whether the store, or its module, is there: use does.
type Store struct {
	at      atomic.Pointer[deploy.Place] // while its module is loaded
	ref     shard.Ref
	host    *Host
	address abi.Address
	bad     error // the address cannot be one
}

// Store returns a handle on the store at an address. Empty parts are the defaults.
func (h *Host) Store(a abi.Address) *Store {
	a.Tenant, a.Key = cmp.Or(a.Tenant, abi.DefaultTenant), cmp.Or(a.Key, abi.DefaultKey)
	s := &Store{host: h, address: a, ref: shard.Ref{Key: a.Key}}
	if err := a.Validate(); err != nil {
		s.bad = abi.AddressError(err)
	}
	return s
}

// StoreAt is Store for an address as text: module, module/key or tenant/module/key. Errors are *Error, CodeBadAddress.
func (h *Host) StoreAt(address string) (*Store, error) {
	a, err := abi.ParseAddress(address)
	if err != nil {
		return nil, abi.AddressError(err)
	}
	return h.Store(a), nil
}

// Address is where the store is.
func (s *Store) Address() abi.Address { return s.address }

// place finds the store's shard.
func (s *Store) place() (*deploy.Place, error) {
	if p := s.at.Load(); p != nil && !p.Module.Ended() {
		return p, nil
	}
	if s.bad != nil {
		return nil, s.bad
	}
	m, err := s.host.registry.Find(journal.ModuleID{Tenant: s.address.Tenant, Module: s.address.Module})
	if err != nil {
		return nil, err
	}
	p := m.Place(s.address.Key)
	s.at.Store(p)
	return p, nil
}

// SendOptions say more about an action.
type SendOptions struct {
	Correlation string // shared by all that one outside action causes; empty = a new one
	Principal   string // who sends it; the reducer sees it

	// Key makes the action happen once: an action that the store accepted under the same key lately is not reduced again, and its receipt is returned. 1 to
	// MaxKeyBytes of text; empty = none. Keys are the store's. See Config.KeyActions and KeyAge for how long they are remembered.
	Key string
}

// MaxKeyBytes bounds an idempotency key.
const MaxKeyBytes = journal.MaxKeyBytes

// Receipt says that an action was accepted and is durable.
type Receipt struct {
	Seq         uint64 // the action's number in its store
	Revision    string // that reduced it
	Replayed    bool   // the action was accepted earlier, under the same idempotency key
	host        *Host
	tenant      string
	life        journal.Incarnation
	correlation shard.CorrelationID
}

// Correlation is the id shared by all that the action causes.
func (r Receipt) Correlation() string { return r.correlation.String() }

// Wait returns when the leaves of this action are done: each was performed and its feedback reduced or refused, or it was cancelled or is dead. Errors are *Error:
// CodeCanceled, CodeShuttingDown.
func (r Receipt) Wait(ctx context.Context) error {
	return waitError(r.host.outbox.Wait(ctx, r.life, r.Seq))
}

// WaitAll returns when the leaves of this action, and all that they caused, are done. Errors are as of Wait.
func (r Receipt) WaitAll(ctx context.Context) error {
	return waitError(r.host.outbox.WaitAll(ctx, r.tenant, r.Correlation()))
}

func waitError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, outbox.ErrClosed):
		return &Error{Code: abi.CodeShuttingDown, Text: "the effects go on at the next start", Err: err}
	}
	return &Error{Code: abi.CodeCanceled, Text: "the effects are not done yet", Err: err}
}

// Send reduces a command: a msgpack map with its type. It returns when the outcome is durable. The action is not kept by the caller's slice.
//
// Errors are *Error. Unless the code is CodeCanceled or CodeUnknownOutcome, the action was not accepted and the store is as it was.
func (s *Store) Send(ctx context.Context, action []byte) (Receipt, error) {
	return s.SendWith(ctx, action, SendOptions{})
}

// SendWith is Send with options.
func (s *Store) SendWith(ctx context.Context, action []byte, o SendOptions) (Receipt, error) {
	p, err := s.place()
	if err != nil {
		return Receipt{}, err
	}
	if len(o.Key) > MaxKeyBytes || !utf8.ValidString(o.Key) {
		return Receipt{}, &Error{Code: abi.CodeBadRequest, Text: fmt.Sprintf("an idempotency key of %d bytes: it is text of 1 to %d", len(o.Key), MaxKeyBytes)}
	}
	r, err := p.Shard.Send(ctx, &s.ref, shard.Command{Body: action, Correlation: o.Correlation, Principal: o.Principal, Key: o.Key})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{Seq: r.Seq, Revision: r.Revision, Replayed: r.Replayed, host: s.host, tenant: s.address.Tenant, life: r.Life, correlation: r.Correlation}, nil
}

// State is a store's state as of an action.
type State = shard.State

// State returns the newest state, when it is durable. Body is shared: it must not be changed. Errors are *Error, CodeNotFound for a store
// that has no actions.
func (s *Store) State(ctx context.Context) (State, error) {
	p, err := s.place()
	if err != nil {
		return State{}, err
	}
	return value(p.Shard.State(ctx, &s.ref))
}

// Stale returns the newest state that is encoded and durable already; it may lag behind. It is what can still be read of a store whose newest state cannot. Errors as of State.
func (s *Store) Stale(ctx context.Context) (State, error) {
	p, err := s.place()
	if err != nil {
		return State{}, err
	}
	return value(p.Shard.Stale(ctx, s.address.Key))
}

func value(state *State, err error) (State, error) {
	if err != nil {
		return State{}, err
	}
	return *state, nil
}

// Wait returns when action seq is durable and its leaves are done. Errors are *Error, CodeNotFound when the store has no such action.
func (s *Store) Wait(ctx context.Context, seq uint64) error {
	p, err := s.place()
	if err != nil {
		return err
	}
	life, err := p.Shard.Wait(ctx, s.address.Key, seq)
	if err != nil {
		return err
	}
	return waitError(s.host.outbox.Wait(ctx, life, seq))
}

// WaitAll returns when action seq is durable, and its leaves and all that they caused are done. Errors are *Error, CodeNotFound when the store has no such action, or
// keeps it no more.
func (s *Store) WaitAll(ctx context.Context, seq uint64) error {
	if err := s.Wait(ctx, seq); err != nil {
		return err
	}
	for a, err := range s.History(ctx, seq, seq) {
		var gap *GapError
		switch {
		case errors.As(err, &gap):
			continue
		case err != nil:
			return err
		}
		return waitError(s.host.outbox.WaitAll(ctx, s.address.Tenant, a.Correlation))
	}
	return &Error{Code: abi.CodeNotFound, Text: fmt.Sprintf("action %d of store %s is not kept any more", seq, s.address)}
}

// StoreMetrics are a store's counts since it was loaded, in the seed's words.
type StoreMetrics struct {
	ActionsDispatched  uint64 // accepted, those that effects fed back among them
	ActionsRefused     uint64
	EffectsExecuted    uint64 // attempts
	EffectFailures     uint64 // attempts that failed
	DLQSize            int    // dead letters, whenever they came about
	AvgReducerDuration time.Duration
	AvgEffectDuration  time.Duration
}

// Metrics returns the store's counts. A store that has no actions has none.
func (s *Store) Metrics() StoreMetrics {
	p, err := s.place()
	if err != nil {
		return StoreMetrics{}
	}
	m, err := p.Shard.Metrics(context.Background(), s.address.Key)
	if err != nil {
		return StoreMetrics{}
	}
	sm := StoreMetrics{
		ActionsDispatched: m.Accepted, ActionsRefused: m.Refused, EffectsExecuted: m.Attempts, EffectFailures: m.Failures, DLQSize: m.Letters,
	}
	if m.Attempts > 0 {
		sm.AvgEffectDuration = m.Attempting / time.Duration(m.Attempts)
	}
	if n := m.Accepted + m.Refused; n > 0 {
		sm.AvgReducerDuration = m.Reducing / time.Duration(n)
	}
	return sm
}

// Info describes the store. Errors are *Error, CodeNotFound for a store that has no actions.
func (s *Store) Info(ctx context.Context) (StoreInfo, error) {
	p, err := s.place()
	if err != nil {
		return StoreInfo{}, err
	}
	i, err := p.Shard.Info(ctx, s.address.Key)
	if err != nil {
		return StoreInfo{}, err
	}
	return storeInfo(p.Module.ID(), i), nil
}

// Resume ends a halt or a shutdown of the store; a store that has none goes on. Errors are *Error.
func (s *Store) Resume(ctx context.Context) error {
	p, err := s.place()
	if err != nil {
		return err
	}
	return p.Shard.Resume(ctx, s.address.Key, false)
}

// ResumeSkipping is Resume for a store that halted because the reducer traps on what an effect feeds back: that becomes the dead letter feedback_trapped. Errors are
// *Error.
func (s *Store) ResumeSkipping(ctx context.Context) error {
	p, err := s.place()
	if err != nil {
		return err
	}
	return p.Shard.Resume(ctx, s.address.Key, true)
}

// Delete ends the store's life. A later action begins another one at seq 1. Errors are *Error.
func (s *Store) Delete(ctx context.Context) error {
	p, err := s.place()
	if err != nil {
		return err
	}
	return p.Shard.Delete(ctx, s.address.Key)
}

// Shutdown refuses commands for this store from now on, until it is resumed or the host starts again, and returns when all that it accepted is durable. Errors are
// *Error; ErrShutdownTimeout when ctx ends first.
func (s *Store) Shutdown(ctx context.Context) error {
	p, err := s.place()
	if err != nil {
		return err
	}
	err = p.Shard.Shutdown(ctx, s.address.Key)
	if err != nil && ctx.Err() != nil {
		return errors.Join(ErrShutdownTimeout, err)
	}
	return err
}
