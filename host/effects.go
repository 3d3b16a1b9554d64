package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/breaker"
	busmemory "github.com/crhost/crhost/effects/eventbus/memory"
	"github.com/crhost/crhost/effects/events"
	"github.com/crhost/crhost/effects/eventstore"
	eventmemory "github.com/crhost/crhost/effects/eventstore/memory"
	eventrows "github.com/crhost/crhost/effects/eventstore/rows"
	"github.com/crhost/crhost/effects/httpcall"
	"github.com/crhost/crhost/effects/projection"
	modelmemory "github.com/crhost/crhost/effects/projection/memory"
	modelrows "github.com/crhost/crhost/effects/projection/rows"
	"github.com/crhost/crhost/host/deploy"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/outbox"
)

// Policy says how effects are tried and their targets spared; its zero value is the documented default.
type Policy = outbox.Policy

// DefaultTargetConcurrency is how many attempts a target gets at a time, unless its policy says otherwise.
const DefaultTargetConcurrency = outbox.DefaultConcurrency

// NamedPolicy is a policy with its name.
type NamedPolicy = outbox.NamedPolicy

// TargetStatus is how a target of effects stands, its circuit breaker included.
type TargetStatus = outbox.TargetStatus

// Force is what is done to a breaker by hand.
type Force = outbox.Force

// What can be done to a breaker.
const (
	ForceOpen  = outbox.ForceOpen
	ForceClose = outbox.ForceClose
	ForceAuto  = outbox.ForceAuto
)

// Handler performs leaves; see package effects.
type Handler = effects.Handler

// newOutbox makes the outbox of a host, with the built-in handlers and those of the config.
func (h *Host) newOutbox(c Config, o *Observer) (*outbox.Outbox, error) {
	h.http = httpcall.New(httpcall.Config{Secret: c.Secret, Private: h.private, Redirect: h.granted, Trace: traced(o.Traceparent)})
	log, models, err := h.openEvents(c)
	if err != nil {
		return nil, err
	}
	h.projections = newProjections(log, models, c.Projections)
	bus := c.Bus
	if bus == nil {
		bus = busmemory.New(busmemory.Config{})
		h.owned = append(h.owned, bus)
	}
	handlers := effects.Registry{Calls: map[string]effects.Handler{"http": h.http}, Kinds: events.Handlers(events.Config{
		Store: log, Bus: bus, Projection: func(tenant, name string) (events.Projection, bool) {
			r, ok := h.projections.of(tenant, name)
			return r, ok
		},
	})}
	for kind, handler := range c.Kinds {
		handlers.Kinds[kind] = handler
	}
	for name, handler := range c.Calls {
		handlers.Calls[name] = handler
	}
	if err := handlers.Validate(); err != nil {
		return nil, fmt.Errorf("host config: %w", err)
	}
	for name, p := range c.Policies {
		if err := p.Validate(); err != nil {
			return nil, fmt.Errorf("host config: %w", errors.Join(errors.New("policy "+name), err))
		}
	}
	config := outbox.Config{
		Handlers: handlers, Store: h.origin, Dispatch: h.dispatch, Policies: c.Policies, HostConcurrency: c.HostConcurrency, TenantConcurrency: c.TenantConcurrency,
	}
	if o.BreakerChanged != nil {
		config.Turned = func(tenant, target string, c breaker.Change) {
			o.BreakerChanged(observe.BreakerChanged{Tenant: tenant, Target: target, From: c.From.String(), To: c.To.String(), Manual: c.Manual})
		}
	}
	return outbox.New(config), nil
}

// openEvents opens what the config leaves out: in the journal if one is given, else in memory.
func (h *Host) openEvents(c Config) (eventstore.Store, projection.Store, error) {
	log, models := c.Events, c.Models
	if log == nil && c.Journal == nil {
		log = eventmemory.New()
	}
	if models == nil && c.Journal == nil {
		models = modelmemory.New()
	}
	if log == nil {
		opened, err := eventrows.Open(rowsOf{c.Journal})
		if err != nil {
			return nil, nil, err
		}
		log = opened
		h.owned = append(h.owned, opened)
	}
	if models == nil {
		opened, err := modelrows.Open(rowsOf{c.Journal})
		if err != nil {
			return nil, nil, err
		}
		models = opened
		h.owned = append(h.owned, opened)
	}
	return log, models, nil
}

func moduleOf(s journal.StoreID) journal.ModuleID {
	return journal.ModuleID{Tenant: s.Tenant, Module: s.Module}
}

func (h *Host) dispatch(ctx context.Context, d *ledger.Dispatch) ([]byte, error) {
	m, err := h.registry.Find(moduleOf(d.Store))
	if err != nil {
		return nil, err
	}
	return m.Place(d.Store.Key).Dispatch(ctx, d)
}

// private reports whether a store's module may call a host in a private network: that takes a grant which names the host, and not just a pattern.
func (h *Host) private(store abi.Address, host string) bool {
	m, err := h.module(store.Tenant, store.Module)
	return err == nil && m.Granted(abi.KindCall, "http:"+host)
}

// granted reports whether a store's module may call a host at all.
func (h *Host) granted(store abi.Address, host string) bool {
	m, err := h.module(store.Tenant, store.Module)
	return err == nil && m.Declared(abi.KindCall, "http:"+host)
}

// DeadLetter is an effect that was given up, or whose feedback nobody took.
type DeadLetter struct {
	ID          string // incarnation.seq.index
	Address     abi.Address
	Seq         uint64 // of the action that described the effect
	Reason      string // exhausted, permanent, parked_too_long, breaker_open, budget, cascade, invalid, feedback_rejected, feedback_trapped, unknown_action
	Time        time.Time
	Drive       int // that ended with it, from 1
	Correlation string
	Kind        string
	Target      string
	Effect      []byte // msgpack map
	Action      []byte // what was, or would have been, fed back; nil when nothing
	Fed         bool   // the reducer took Action: to do the effect again after it has compensated is for somebody to decide
	Overtaken   bool   // of a publish or append: later ones of the store to the target were done, so that it would come out of order
	Attempts    []DeadAttempt
}

// DeadAttempt is one attempt that failed.
type DeadAttempt struct {
	Time  time.Time
	Error string
}

// DeadLetterFilter says which dead letters are meant; empty fields mean all.
type DeadLetterFilter struct {
	Tenant, Module, Key, Reason, Target string // Target is EFFECT=TARGET
}

// DeadLetters lists the dead letters of a tenant, oldest first, at most limit (0 = 1000). Errors are *Error.
func (h *Host) DeadLetters(f DeadLetterFilter, limit int) ([]DeadLetter, error) {
	var list []DeadLetter
	for _, m := range h.registry.Modules(cmp.Or(f.Tenant, abi.DefaultTenant)) {
		if f.Module != "" && f.Module != m.ID().Module {
			continue
		}
		for row, err := range journal.Letters(h.backend, m.ID()) {
			if err != nil {
				return nil, &Error{Code: abi.CodeInternal, Text: "list dead letters", Err: err}
			}
			d := deadLetter(m.ID(), row)
			if f.Key != "" && f.Key != row.Key || f.Reason != "" && f.Reason != row.Reason || f.Target != "" && f.Target != d.Kind+"="+d.Target {
				continue
			}
			if err := h.overtaken(&d, m.ID(), row.ID); err != nil {
				return nil, err
			}
			list = append(list, d)
		}
		if err := m.Settle(context.Background()); err != nil { // the journal may have shown what is not durable yet
			return nil, err
		}
	}
	slices.SortStableFunc(list, func(a, b DeadLetter) int { return a.Time.Compare(b.Time) })
	return list[:min(len(list), cmp.Or(limit, DefaultStoresLimit))], nil
}

func deadLetter(id journal.ModuleID, row journal.LetterRow) DeadLetter {
	d := DeadLetter{
		ID: row.ID.String(), Address: abi.Address{Tenant: id.Tenant, Module: id.Module, Key: row.Key}, Seq: row.ID.Seq, Reason: row.Reason,
		Time: time.Unix(0, row.Time).UTC(), Drive: int(row.Drive), Correlation: row.Correlation, Effect: row.Effect, Action: row.Action, Fed: row.Fed,
	}
	if leaf, err := abi.DecodeEffect(row.Effect); err == nil {
		d.Kind, d.Target = string(leaf.Kind), leaf.Target
	}
	for _, a := range row.Attempts {
		d.Attempts = append(d.Attempts, DeadAttempt{time.Unix(0, a.Time).UTC(), a.Error})
	}
	return d
}

// DeadLetter returns one dead letter of a tenant. Errors are *Error, CodeNotFound.
func (h *Host) DeadLetter(tenant, id string) (DeadLetter, error) {
	m, letter, row, err := h.findLetter(tenant, id)
	if err != nil {
		return DeadLetter{}, err
	}
	d := deadLetter(m, journal.LetterRow{ID: letter, DeadLetter: row})
	return d, h.overtaken(&d, m, letter)
}

// overtaken fills in Overtaken.
func (h *Host) overtaken(d *DeadLetter, m journal.ModuleID, id journal.LetterID) (err error) {
	if !ledger.InLane(abi.Kind(d.Kind)) {
		return nil
	}
	if d.Overtaken, err = journal.Overtaken(h.backend, m, id); err != nil {
		return &Error{Code: abi.CodeInternal, Text: "read a dead letter", Err: err}
	}
	return nil
}

func (h *Host) findLetter(tenant, id string) (journal.ModuleID, journal.LetterID, journal.DeadLetter, error) {
	letter, ok := journal.ParseLetterID(id)
	if ok {
		for _, m := range h.registry.Modules(cmp.Or(tenant, abi.DefaultTenant)) {
			row, err := journal.ReadLetter(h.backend, m.ID(), letter)
			if err == nil || errors.Is(err, journal.ErrNotFound) { // also that there is none has to be durable
				if lost := m.Settle(context.Background()); lost != nil {
					return journal.ModuleID{}, letter, row, lost
				}
			}
			if err == nil {
				return m.ID(), letter, row, nil
			}
			if !errors.Is(err, journal.ErrNotFound) {
				return journal.ModuleID{}, letter, row, &Error{Code: abi.CodeInternal, Text: "read a dead letter", Err: err}
			}
		}
	}
	return journal.ModuleID{}, letter, journal.DeadLetter{}, &Error{Code: abi.CodeNotFound, Text: "there is no dead letter " + id}
}

// RetryDeadLetter does the effect of a dead letter once more, in another drive, or feeds its action back once more where only that was refused. Errors are *Error,
// CodeNotFound.
func (h *Host) RetryDeadLetter(ctx context.Context, tenant, id string) error {
	return h.letter(tenant, id, func(place *deploy.Place, key string, letter journal.LetterID) error {
		return place.Redrive(ctx, key, letter)
	})
}

// DiscardDeadLetter forgets a dead letter. Errors are *Error, CodeNotFound.
func (h *Host) DiscardDeadLetter(ctx context.Context, tenant, id string) error {
	return h.letter(tenant, id, func(place *deploy.Place, key string, letter journal.LetterID) error {
		return place.Discard(ctx, key, letter)
	})
}

// letter does something with a dead letter, where its store is.
func (h *Host) letter(tenant, id string, do func(place *deploy.Place, key string, letter journal.LetterID) error) error {
	found, letter, row, err := h.findLetter(tenant, id)
	if err != nil {
		return err
	}
	m, err := h.registry.Find(found)
	if err != nil {
		return err
	}
	return do(m.Place(row.Key), row.Key, letter)
}

// RetryDeadLetters retries all that match, oldest first, at most so many a second (0 = 100), and returns how many it retried. It stops after an error.
func (h *Host) RetryDeadLetters(ctx context.Context, f DeadLetterFilter, perSecond float64) (int, error) {
	retried := 0
	err := h.RetryEachDeadLetter(ctx, f, perSecond, func(DeadLetter, int) { retried++ })
	return retried, err
}

// RetryEachDeadLetter is RetryDeadLetters for who wants to follow it: each is told of every letter after it was retried, and of how many matched.
func (h *Host) RetryEachDeadLetter(ctx context.Context, f DeadLetterFilter, perSecond float64, each func(d DeadLetter, of int)) error {
	list, err := h.DeadLetters(f, 1<<30)
	if err != nil {
		return err
	}
	const defaultRate = 100
	if !(perSecond > 0) || perSecond > 1e9 { // NaN is not above 0
		perSecond = defaultRate
	}
	pace := time.NewTicker(time.Duration(min(float64(time.Second)/perSecond, float64(time.Hour))))
	defer pace.Stop()
	for i, d := range list {
		if i > 0 {
			select {
			case <-ctx.Done():
				return &Error{Code: abi.CodeCanceled, Text: "the caller went away", Err: context.Cause(ctx)}
			case <-pace.C:
			}
		}
		err := h.RetryDeadLetter(ctx, f.Tenant, d.ID)
		switch {
		case errors.Is(err, ErrNotFound): // somebody else was faster
		case err != nil:
			return err
		default:
			each(d, len(list))
		}
	}
	return nil
}

// OpenEffect is a leaf that is not done.
type OpenEffect struct {
	Seq         uint64
	Index       int
	Key         string // idempotency key
	Kind        string
	Target      string
	ID          string // that the reducer gave it
	Drive       int
	Due         time.Time // of a delay that is armed; else zero
	Held        bool      // something before it in a sequential is not done
	Parked      time.Time // since when it waits for its target: a breaker, a budget, or the module of a dispatch; else zero
	Correlation string
}

// Effects are the leaves of the store that are not done, by seq and index. Errors are *Error, CodeNotFound for a store that has no actions.
func (s *Store) Effects(ctx context.Context) ([]OpenEffect, error) {
	p, err := s.place()
	if err != nil {
		return nil, err
	}
	open, err := p.OpenEffects(ctx, s.address.Key)
	if err != nil {
		return nil, err
	}
	list := make([]OpenEffect, 0, len(open))
	for _, o := range open {
		l := &o.Leaf
		e := OpenEffect{
			Seq: l.Seq, Index: l.Index, Key: l.Key(), Kind: string(l.Effect.Kind), Target: l.Effect.Target, ID: l.Effect.ID, Drive: int(l.Drive),
			Held: o.Held, Parked: s.host.outbox.Parked(l.Life, l.Ref), Correlation: l.Correlation,
		}
		if l.Due != 0 {
			e.Due = time.Unix(0, l.Due).UTC()
		}
		list = append(list, e)
	}
	return list, nil
}

// letters are the dead letters of the store.
func (s *Store) letters() DeadLetterFilter {
	return DeadLetterFilter{Tenant: s.address.Tenant, Module: s.address.Module, Key: s.address.Key}
}

// DeadLetters lists the store's dead letters, oldest first. Errors are *Error.
func (s *Store) DeadLetters() ([]DeadLetter, error) {
	return s.host.DeadLetters(s.letters(), 0)
}

// DLQSize is how many dead letters the store has. DLQSize, DLQItems and RetryDLQ are the seed's names.
func (s *Store) DLQSize() int {
	list, err := s.host.DeadLetters(s.letters(), 1<<30)
	if err != nil {
		return 0
	}
	return len(list)
}

// DLQItems is DeadLetters.
func (s *Store) DLQItems() ([]DeadLetter, error) { return s.DeadLetters() }

// RetryDLQ retries all dead letters of the store and returns how many there were.
func (s *Store) RetryDLQ(ctx context.Context) (int, error) {
	return s.host.RetryDeadLetters(ctx, s.letters(), 0)
}

// SetPolicy changes a policy of a tenant while its effects run. A policy's name is one that effects give with retry, the name of a target
// (EFFECT=TARGET), a kind of effect, or "default". Errors are *Error, CodeBadRequest.
func (h *Host) SetPolicy(tenant, name string, p Policy) error {
	if err := h.outbox.SetPolicy(cmp.Or(tenant, abi.DefaultTenant), name, p); err != nil {
		return &Error{Code: abi.CodeBadRequest, Text: err.Error(), Err: err}
	}
	return nil
}

// RemovePolicy takes a policy of a tenant away. Errors are *Error, CodeNotFound.
func (h *Host) RemovePolicy(tenant, name string) error {
	if !h.outbox.RemovePolicy(cmp.Or(tenant, abi.DefaultTenant), name) {
		return &Error{Code: abi.CodeNotFound, Text: "there is no policy " + name}
	}
	return nil
}

// Policies are a tenant's policies, by name.
func (h *Host) Policies(tenant string) []NamedPolicy {
	return h.outbox.Policies(cmp.Or(tenant, abi.DefaultTenant))
}

// Targets are what a tenant's effects are done on, with their circuit breakers, by name.
func (h *Host) Targets(tenant string) []TargetStatus {
	return h.outbox.Targets(cmp.Or(tenant, abi.DefaultTenant))
}

// SetBreaker opens or closes the circuit breaker of a target by hand, or gives it back to itself. Errors are *Error: CodeBadRequest when target is
// not EFFECT=TARGET with an effect that has a breaker, CodeNotFound when no effect has had it, unless it is to be opened.
func (h *Host) SetBreaker(tenant, target string, how Force) error {
	return h.outbox.SetBreaker(cmp.Or(tenant, abi.DefaultTenant), target, how)
}
