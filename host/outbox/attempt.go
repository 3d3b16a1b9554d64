package outbox

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
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
	if g.listed || g.queue.len == 0 || g.running >= g.slots || g.open && g.alarm.index >= 0 {
		return
	}
	g.listed = true
	if g.inner {
		o.inner = append(o.inner, g)
		return
	}
	t := g.tenant
	t.ready = append(t.ready, g)
	if !t.listed && t.running < o.config.TenantConcurrency {
		t.listed = true
		o.ready = append(o.ready, t)
	}
}

// pump starts what may be started.
//
// REQUIRES: mu is held.
func (o *Outbox) pump() {
	for r := o.next(); r.task != nil; r = o.next() {
		if n := len(o.idle); n > 0 {
			w := o.idle[n-1]
			o.idle = o.idle[:n-1]
			w.more <- r // it has room
			continue
		}
		w := &worker{outbox: o, more: make(chan run, 1)}
		o.wg.Add(1)
		go w.work(r)
	}
}

// run is a task that was taken out of its queue, to be worked on.
type run struct {
	task   *task
	target *target         // whose slot it has
	permit *breaker.Permit // nil where there is no breaker
	loads  uint64          // Outbox.loads when it was taken out
}

// next takes out a task that may be started: of one tenant after one of another, and of one target after one of another. It has no task when there is none.
//
// REQUIRES: mu is held.
func (o *Outbox) next() run {
	for !o.closing && o.ours < o.config.HostConcurrency && len(o.inner) > 0 {
		g := o.inner[0]
		o.inner = slices.Delete(o.inner, 0, 1)
		g.listed = false
		r := o.take(g)
		o.list(g)
		if r.task != nil {
			return r
		}
	}
	for !o.closing && o.running < o.config.HostConcurrency && len(o.ready) > 0 {
		t := o.ready[0]
		o.ready = slices.Delete(o.ready, 0, 1)
		t.listed = false
		if len(t.ready) == 0 || t.running >= o.config.TenantConcurrency {
			continue
		}
		g := t.ready[0]
		t.ready = slices.Delete(t.ready, 0, 1)
		g.listed = false
		r := o.take(g)
		o.list(g)
		o.listTenant(t)
		if r.task != nil {
			return r
		}
		if len(o.inner) > 0 { // what was given up just now is delivered by the host itself
			return o.next()
		}
	}
	return run{}
}

func (o *Outbox) listTenant(t *tenant) {
	if len(t.ready) > 0 && !t.listed && t.running < o.config.TenantConcurrency {
		t.listed = true
		o.ready = append(o.ready, t)
	}
}

// take takes out the first task of a target, if its breaker lets it.
func (o *Outbox) take(g *target) run {
	if g.queue.len == 0 || g.running >= g.slots {
		return run{}
	}
	permit, ok := o.permit(g)
	if !ok {
		o.expire(g)
		return run{}
	}
	t := g.queue.first
	g.queue.remove(t)
	if !g.open { // else it asks for its module, and goes on waiting if that is not there
		t.unpark()
	}
	t.active = true
	t.account.stats.Running++
	if t.feeding == nil {
		if t.attempt++; t.attempt == 1 && !g.inner {
			g.budget.First()
		}
		t.policy = g.retry(t.leaf.Effect)
		timeout := t.leaf.Effect.Timeout
		if timeout == 0 {
			timeout = t.policy.Timeout
		}
		t.under = newAttempt(o.ctx, timeout)
	}
	g.running++
	if g.inner {
		o.ours++
	} else {
		o.running++
		g.tenant.running++
	}
	return run{t, g, permit, o.loads}
}

// maxIdle bounds how many workers wait for something to do.
const maxIdle = 64

// worker is a goroutine that does one task after another: one that has grown its stack is worth keeping.
type worker struct {
	outbox *Outbox
	more   chan run // holds one
}

func (w *worker) work(r run) {
	o := w.outbox
	defer o.wg.Done()
	defer func() { // of a handler that ended the goroutine: others go on without it
		if r.task != nil {
			o.wg.Add(1)
			go w.workAfter(r, effects.ErrExited)
		}
	}()
	for r.task != nil {
		var err error
		if r.task.feeding == nil {
			err = o.attempt(r.task)
		}
		done := r
		r = run{}
		r = w.settle(done, err)
	}
}

// workAfter is work that begins behind an attempt.
func (w *worker) workAfter(r run, err error) {
	w.work(w.settle(r, w.outbox.attempted(r.task, nil, err)))
}

// settle brings what came of a task to its store, frees its slot, and returns the next run, waiting for it if need be; it has no task when the worker is
// not needed any more.
func (w *worker) settle(r run, err error) run {
	o, t, g := w.outbox, r.task, r.target
	attempted := t.under != nil
	if attempted {
		o.judge(r, err)
	}
	missing := attempted && unloaded(t, err)
	came := attempted && !missing && !o.left(t)
	at := int64(0)
	if t.feeding != nil {
		at = o.deliver(t)
	} else {
		at = o.later(t, err)
	}

	o.mu.Lock()
	if attempted {
		t.under.cancel()
		t.under = nil
		if err == nil && g.slots < g.limit {
			g.slots++
		}
	}
	t.active = false
	t.account.stats.Running--
	g.running--
	if g.inner {
		o.ours--
	} else {
		o.running--
		g.tenant.running--
	}
	if came && g.inner && g.open {
		o.found(g)
		t.unpark()
	}
	switch {
	case at < 0 || t.gone:
		o.remove(t)
	case o.closing:
	case missing && t.feeding == nil && r.loads != o.loads: // perhaps just this one
		t.attempt--
		g.until = 0
		o.queue(t)
	case missing && t.feeding == nil:
		o.missed(t, g)
	default:
		if t.feeding != nil { // nothing but the store is needed for it any more
			t.target = o.target(g.tenant, ours)
		}
		o.set(&t.alarm, at)
	}
	o.wake(g) // a probe that has ended gives its place to another
	o.listTenant(g.tenant)
	next := o.next()
	if next.task != nil {
		o.pump()
	}
	wait := next.task == nil && !o.closing && len(o.idle) < maxIdle
	if wait {
		o.idle = append(o.idle, w)
	}
	o.mu.Unlock()
	if wait {
		return <-w.more
	}
	return next
}

// attempt does the leaf once; what it brings is in t.feeding. What follows goes on in the context that Start returned.
func (o *Outbox) attempt(t *task) error {
	a := t.under
	a.begin()
	a.ctx = t.account.store.Start(a.ctx, t.leaf, t.attempt)
	var result []byte
	var err error
	if t.leaf.Effect.Kind == abi.KindDispatch {
		result, err = o.dispatch(t)
	} else {
		result, err = o.handle(t)
	}
	return o.attempted(t, result, err)
}

// attempted takes in how an attempt ended.
func (o *Outbox) attempted(t *task, result []byte, err error) error {
	if err == nil {
		t.succeed(result, o.config.FeedbackBytes)
		err = t.unfit
	}
	a := t.under
	a.performed = Performed{
		Leaf: t.leaf, Attempt: t.attempt, Started: a.started, Took: time.Since(a.started), Err: err, GivenUp: err != nil && o.gaveUp(t, err), Canceled: o.left(t),
		Context: a.ctx,
	}
	t.account.store.Performed(&a.performed)
	return err
}

// left reports whether the leaf was cancelled, or the host stops: what an attempt brings then says nothing.
func (o *Outbox) left(t *task) bool { return t.under.canceled() }

// gaveUp reports whether no other attempt follows one that failed.
func (o *Outbox) gaveUp(t *task, err error) bool {
	if t.feeding == nil && unloaded(t, err) {
		return t.policy.OnOpen == retry.DeadLetter
	}
	return t.feeding != nil || retry.IsPermanent(err) || t.attempt >= t.policy.Attempts()
}

// handle lets the handler make its attempt.
func (o *Outbox) handle(t *task) (result []byte, err error) {
	e := t.leaf.Effect
	h, err := o.config.Handlers.Handler(e)
	if err != nil {
		return nil, err
	}
	defer func() {
		if v := recover(); v != nil {
			err = &effects.PanicError{Text: fmt.Sprint(v), Stack: debug.Stack()}
		}
	}()
	t.under.request = effects.Request{
		Key: t.leaf.Name(), Store: abi.Address{Tenant: t.leaf.Store.Tenant, Module: t.leaf.Store.Module, Key: t.leaf.Store.Key},
		Correlation: t.leaf.Correlation, Drive: uint64(t.leaf.Drive), Attempt: t.attempt, Effect: e, Token: t.leaf.Token,
		Emit: func(ctx context.Context, emission effects.Emission) error { return o.emit(ctx, t, emission) },
	}
	return h.Do(t.under.ctx, &t.under.request)
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
	d := &ledger.Delivery{Leaf: t.leaf, Outcome: effects.Open, Cause: journal.CauseFeedback, Action: action, Token: emission.Token}
	for {
		err = t.account.store.Deliver(&valuesOf{o.ctx, ctx}, d) // not in the handler's time, as for a dispatch
		if err == nil {
			t.leaf.Token = emission.Token
			t.leaf.Emitted++
			return nil
		}
		if errors.Is(err, ledger.ErrGone) {
			return err
		}
		select { // that its store takes nothing now is not the target's fault
		case <-time.After(DefaultRedelivery):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// dispatch makes the leaf an action of another store. What the other store refuses is an answer, and not tried again.
func (o *Outbox) dispatch(t *task) ([]byte, error) {
	address, err := addressee(t.leaf)
	if err != nil {
		return nil, err
	}
	// Not in the attempt's time: when that ended while the journal works, the action would be there, and the dispatch made again.
	result, err := o.config.Dispatch(t.under.after(), &ledger.Dispatch{From: t.leaf, Store: journal.StoreID(address), Action: t.leaf.Effect.Body})
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
func (o *Outbox) judge(r run, err error) {
	switch {
	case r.permit == nil:
	case err == nil:
		r.permit.Success()
	case o.left(r.task) || retry.IsPermanent(err) || errors.Is(err, ledger.ErrGone):
		r.permit.Cancel()
	default:
		r.permit.Failure()
	}
}

// later decides what follows a failed attempt: when the next one is made, or, when that is the end, what was delivered of it. It returns when the
// task is to be looked at again, below zero for never.
func (o *Outbox) later(t *task, err error) (at int64) {
	if o.left(t) || errors.Is(err, ledger.ErrGone) {
		return -1 // cancelled, for the next start, or ended by an emission that was refused
	}
	if unloaded(t, err) {
		if t.policy.OnOpen != retry.DeadLetter {
			return 0 // it waits for its module
		}
		t.fail(ledger.ReasonBreakerOpen, err, o.config.FeedbackBytes)
		return o.deliver(t)
	}
	delay, again := t.policy.Next(t.attempt, err, nil)
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
	return o.deliver(t)
}

// deliver settles the leaf in its store, and returns when to try that again, below zero for never.
func (o *Outbox) deliver(t *task) (at int64) {
	ctx := o.ctx
	if t.under != nil {
		ctx = t.under.after()
	}
	err := t.account.store.Deliver(ctx, t.feeding)
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
