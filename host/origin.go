package host

import (
	"context"
	"sync"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/outbox"
)

// origin is a store whose effects are performed, for the outbox.
type origin struct {
	*Store
	attempts *attempts // of its module
}

func (h *Host) origin(id journal.StoreID) outbox.Store {
	return &origin{h.Store(abi.Address(id)), h.failures.of(moduleOf(id))}
}

// Deliver brings what became of a leaf to the store.
func (o *origin) Deliver(ctx context.Context, d *ledger.Delivery) error {
	p, err := o.place()
	if err != nil {
		return err
	}
	return p.Deliver(ctx, &o.ref, d)
}

// Start tells the hooks of the store's module of an attempt that begins.
func (o *origin) Start(ctx context.Context, l *ledger.Leaf, attempt int) context.Context {
	p, err := o.place()
	if err != nil {
		return ctx
	}
	started := p.Hooks().EffectStarted
	if started == nil {
		return ctx
	}
	return started(ctx, &observe.EffectStart{Leaf: p.Module.Describe(l), Attempt: attempt, Start: time.Now()})
}

// Performed counts an attempt that has ended, and tells the hooks of the store's module.
func (o *origin) Performed(a *outbox.Performed) {
	failed := a.Err != nil && !a.Canceled
	if !a.Canceled {
		o.attempts.add(a.Started.Add(a.Took), failed)
	}
	p, err := o.place()
	if err != nil {
		return
	}
	p.Shard.Performed(o.address.Key, a.Took, failed)
	hook := p.Hooks().Performed
	if hook == nil {
		return
	}
	e := performances.Get().(*observe.Performed)
	*e = observe.Performed{
		EffectStart: observe.EffectStart{Leaf: p.Module.Describe(a.Leaf), Attempt: a.Attempt, Start: a.Started},
		Duration:    a.Took, Outcome: observe.OutcomeDone, Err: a.Err,
	}
	switch {
	case a.Canceled:
		e.Outcome = observe.OutcomeCanceled
	case a.Err == nil:
	case a.GivenUp:
		e.Outcome = observe.OutcomeDead
	default:
		e.Outcome = observe.OutcomeFailed
	}
	hook(a.Context, e)
	performances.Put(e)
}

// performances are reused: an observer sees one only during its call.
var performances = sync.Pool{New: func() any { return new(observe.Performed) }}
