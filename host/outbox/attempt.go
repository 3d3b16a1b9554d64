package outbox

import (
	"context"
	"errors"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/breaker"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

// list puts a target where pump finds it, if there is something to start. One that is parked has to be woken first.
//
// REQUIRES: mu is held.
func (o *Outbox) list(g *target) {
	if g.listed || len(g.queue) == 0 || g.running >= g.slots || g.open && g.alarm.index >= 0 {
		return
	}
	g.listed = true
	t := g.tenant
	t.ready = append(t.ready, g)
	if !t.listed && t.running < o.config.TenantConcurrency {
		t.listed = true
		o.ready = append(o.ready, t)
	}
}

// pump starts what may be started: one task of a tenant after one of another, and of a target after one of another.
//
// REQUIRES: mu is held.
func (o *Outbox) pump() {
	for !o.closing && o.running < o.config.HostConcurrency && len(o.ready) > 0 {
		t := o.ready[0]
		o.ready = o.ready[1:]
		t.listed = false
		if len(t.ready) == 0 || t.running >= o.config.TenantConcurrency {
			continue
		}
		g := t.ready[0]
		t.ready = t.ready[1:]
		g.listed = false
		o.startOne(g)
		o.list(g)
		if len(t.ready) > 0 && !t.listed && t.running < o.config.TenantConcurrency {
			t.listed = true
			o.ready = append(o.ready, t)
		}
	}
	if len(o.ready) == 0 {
		o.ready = nil // what was sliced off can go
	}
}

// startOne starts the first task of a target, if its breaker lets it.
func (o *Outbox) startOne(g *target) {
	for len(g.queue) > 0 && g.queue[0].gone {
		g.pop()
	}
	if len(g.queue) == 0 || g.running >= g.slots {
		return
	}
	permit, ok := o.permit(g)
	if !ok {
		o.expire(g)
		return
	}
	t := g.pop()
	t.parked, t.active = 0, true
	if t.feeding == nil {
		if t.attempt++; t.attempt == 1 && !g.inner {
			g.budget.First()
		}
	}
	ctx, cancel := context.WithCancel(o.ctx)
	t.cancel = cancel
	o.running++
	g.running++
	g.tenant.running++
	o.wg.Add(1)
	go o.run(ctx, g, t, permit)
}

// run makes one attempt at a task, and delivers what comes of it.
func (o *Outbox) run(ctx context.Context, g *target, t *task, permit *breaker.Permit) {
	defer o.wg.Done()
	err := error(nil)
	attempted := t.feeding == nil
	if attempted {
		err = o.attempt(ctx, t)
		o.judge(ctx, t, permit, err)
	}
	again := int64(0)
	if t.feeding != nil {
		again = o.deliver(ctx, t)
	} else {
		again = o.later(ctx, t, err)
	}
	t.cancel()

	o.mu.Lock()
	defer o.mu.Unlock()
	t.active, t.cancel = false, nil
	o.running--
	g.running--
	g.tenant.running--
	if attempted && err == nil && g.slots < g.limit {
		g.slots++
	}
	switch {
	case again < 0 || t.gone:
		o.remove(t)
	case !o.closing:
		if t.feeding != nil { // nothing but the store is needed for it any more
			t.target = o.target(g.tenant, ours)
		}
		o.set(&t.alarm, again)
	}
	o.wake(g) // a probe that has ended gives its place to another
	if tenant := g.tenant; !tenant.listed && len(tenant.ready) > 0 && tenant.running < o.config.TenantConcurrency {
		tenant.listed = true
		o.ready = append(o.ready, tenant)
	}
	o.pump()
}

// attempt does the leaf once; what it brings is in t.feeding.
func (o *Outbox) attempt(ctx context.Context, t *task) error {
	started := time.Now()
	e := t.leaf.Effect
	if o.config.Start != nil {
		ctx = o.config.Start(ctx, &t.leaf, t.attempt)
	}
	var result []byte
	var err error
	if e.Kind == abi.KindDispatch {
		result, err = o.dispatch(ctx, t)
	} else {
		result, err = o.handle(ctx, t)
	}
	if err == nil {
		t.succeed(result, o.config.FeedbackBytes)
		if t.feeding.Letter != nil {
			err = errors.New(t.attempts[len(t.attempts)-1].Error)
		}
	}
	if o.config.Performed != nil {
		o.config.Performed(&Performed{
			Leaf: &t.leaf, Attempt: t.attempt, Took: time.Since(started), Err: err, GivenUp: err != nil && o.gaveUp(t, err), Canceled: ctx.Err() != nil, Context: ctx,
		})
	}
	return err
}

// gaveUp reports whether no other attempt follows one that failed.
func (o *Outbox) gaveUp(t *task, err error) bool {
	return t.feeding != nil || retry.IsPermanent(err) || t.attempt >= o.policy(t).Attempts()
}

func (o *Outbox) policy(t *task) retry.Policy {
	o.mu.Lock()
	defer o.mu.Unlock()
	return t.target.tenant.policies.retry(t.leaf.Effect)
}

func (o *Outbox) handle(ctx context.Context, t *task) ([]byte, error) {
	e := t.leaf.Effect
	h, err := o.config.Handlers.Handler(e)
	if err != nil {
		return nil, err
	}
	timeout := e.Timeout
	if timeout == 0 {
		timeout = o.policy(t).Timeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return effects.Safely(h).Do(limited, &effects.Request{
		Key: t.leaf.Key(), Store: abi.Address{Tenant: t.leaf.Store.Tenant, Module: t.leaf.Store.Module, Key: t.leaf.Store.Key},
		Correlation: t.leaf.Correlation, Drive: uint64(t.leaf.Drive), Attempt: t.attempt, Effect: e, Token: t.leaf.Token,
		Emit: func(ctx context.Context, emission effects.Emission) error { return o.emit(ctx, t, emission) },
	})
}

// emit feeds back one of several actions, while the handler waits.
func (o *Outbox) emit(ctx context.Context, t *task, emission effects.Emission) error {
	action, err := effects.Completed(t.leaf.Effect, emission.Fields, o.config.FeedbackBytes)
	if err != nil {
		return err
	}
	if action == nil {
		return retry.Permanent(errors.New("an emission of an effect that names no action to feed back"))
	}
	err = o.config.Deliver(ctx, &ledger.Delivery{Leaf: &t.leaf, Outcome: effects.Open, Cause: journal.CauseFeedback, Action: action, Token: emission.Token})
	if err == nil {
		t.leaf.Token = emission.Token
		t.leaf.Emitted++
	}
	return err
}

// dispatch makes the leaf an action of another store. What the other store refuses is an answer, and not tried again.
func (o *Outbox) dispatch(ctx context.Context, t *task) ([]byte, error) {
	address, err := abi.ParseAddress(t.leaf.Effect.Target)
	if err != nil {
		return nil, retry.Permanent(abi.AddressError(err))
	}
	if address.Tenant == abi.DefaultTenant && t.leaf.Store.Tenant != abi.DefaultTenant {
		address.Tenant = t.leaf.Store.Tenant
	}
	if address.Tenant != t.leaf.Store.Tenant {
		return nil, retry.Permanent(&abi.Error{Code: abi.CodeBadAddress, Text: "a dispatch goes to stores of the same tenant"})
	}
	result, err := o.config.Dispatch(ctx, &ledger.Dispatch{From: &t.leaf, Store: journal.StoreID(address), Action: t.leaf.Effect.Body})
	var e *abi.Error
	if errors.As(err, &e) {
		switch e.Code {
		case abi.CodeRejected, abi.CodeBadAction, abi.CodeMalformed, abi.CodeTooLarge, abi.CodeUnknownAction, abi.CodeTrapped, abi.CodeInvalidEffect,
			abi.CodeUndeclaredEffect, abi.CodeCascade:
			err = retry.Permanent(err)
		}
	}
	return result, err
}

// judge tells the breaker how the attempt went. That a leaf was cancelled, or refused for what it is, says nothing about its target.
func (o *Outbox) judge(ctx context.Context, t *task, permit *breaker.Permit, err error) {
	switch {
	case permit == nil:
	case err == nil:
		permit.Success()
	case ctx.Err() != nil || retry.IsPermanent(err) || errors.Is(err, ledger.ErrGone):
		permit.Cancel()
	default:
		permit.Failure()
	}
}

// later decides what follows a failed attempt: when the next one is made, or, when that is the end, what was delivered of it. It returns when the
// task is to be looked at again, below zero for never.
func (o *Outbox) later(ctx context.Context, t *task, err error) (at int64) {
	if ctx.Err() != nil || errors.Is(err, ledger.ErrGone) {
		return -1 // cancelled, left to the next start, or ended by an emission that was refused
	}
	p := o.policy(t)
	delay, again := p.Next(t.attempt, err, nil)
	if again {
		t.note(err)
		return o.now() + int64(delay)
	}
	reason := ledger.ReasonExhausted
	switch {
	case errors.Is(err, effects.ErrNoHandler):
		reason = ledger.ReasonInvalid
	case retry.IsPermanent(err):
		reason = ledger.ReasonPermanent
	}
	t.fail(reason, err, o.config.FeedbackBytes)
	return o.deliver(ctx, t)
}

// deliver settles the leaf in its store, and returns when to try that again, below zero for never.
func (o *Outbox) deliver(ctx context.Context, t *task) (at int64) {
	err := o.config.Deliver(ctx, t.feeding)
	if err == nil || errors.Is(err, ledger.ErrGone) {
		return -1
	}
	var e *abi.Error
	wait := DefaultRedelivery
	if !errors.As(err, &e) || e.Code != abi.CodeTrapped { // the store will be there again some time
		wait = min(DefaultRedelivery<<min(t.refusals, 10), DefaultRedeliveryMax)
		t.refusals++
	}
	return o.now() + int64(wait)
}
