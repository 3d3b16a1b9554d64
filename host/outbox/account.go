package outbox

import (
	"context"
	"slices"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

// Store is where leaves come from, and where what becomes of them goes.
type Store interface {
	// Deliver settles a leaf; see shard.Shard.Deliver.
	Deliver(context.Context, *ledger.Delivery) error

	// Start is called before an attempt at a leaf; the handler works, and what the leaf feeds back is delivered, in the context that it returns.
	Start(ctx context.Context, l *ledger.Leaf, attempt int) context.Context

	// Performed is told of each attempt that has ended. It is called without any lock, must be quick and must not keep p.
	Performed(p *Performed)
}

// account is what there is to do, and who waits for it, of one life of a store.
type account struct {
	store   Store
	tenant  *tenant
	stats   *Stats             // of its module
	effects map[uint64]*effect // by seq
	lanes   map[string]*lane   // by target
	last    *target            // that a leaf was done on; nil before any
}

// effect is what one action described: the leaves that have their turn, and, until it is finished, its thread and those who wait for it.
type effect struct {
	signal
	seq    uint64
	tasks  []*task
	thread *thread // nil once it is finished
	own    thread  // when it is the first of its thread
	first  [1]*task
	only   task // mostly
}

// room is memory for another task.
func (e *effect) room() *task {
	t := &e.only
	if t.effect != nil {
		t = new(task)
	}
	t.effect = e
	return t
}

// manyAccounts is from how many stores on those with nothing to do are forgotten. Before that they are kept: the next effect will come.
const manyAccounts = 1000

// account finds the account of a life.
//
// REQUIRES: mu is held.
func (o *Outbox) account(id journal.StoreID, life journal.Incarnation) *account {
	a := o.accounts[life]
	if a != nil {
		return a
	}
	if len(o.accounts) >= max(manyAccounts, 2*o.swept) {
		for life, a := range o.accounts {
			if len(a.effects) == 0 {
				delete(o.accounts, life)
			}
		}
		o.swept = len(o.accounts)
	}
	a = &account{store: o.config.Store(id), tenant: o.tenant(id.Tenant), stats: o.count(id), effects: make(map[uint64]*effect)}
	o.accounts[life] = a
	return a
}

func (a *account) effect(seq uint64) *effect {
	e := a.effects[seq]
	if e == nil {
		e = &effect{seq: seq}
		e.tasks = e.first[:0]
		a.effects[seq] = e
	}
	return e
}

// task is the task of a leaf; nil when it has none.
func (a *account) task(ref ledger.Ref) *task {
	if e := a.effects[ref.Seq]; e != nil {
		for _, t := range e.tasks {
			if t.leaf.Index == ref.Index {
				return t
			}
		}
	}
	return nil
}

// leave is told of a task that is no more.
func (a *account) leave(t *task) {
	e := t.effect
	i := slices.Index(e.tasks, t)
	if i < 0 {
		return // another drive has its place
	}
	e.tasks = slices.Delete(e.tasks, i, i+1)
	a.forget(e)
}

// forget lets go of an effect of which nothing is left.
func (a *account) forget(e *effect) {
	if e.thread == nil && len(e.tasks) == 0 {
		delete(a.effects, e.seq)
	}
}

// threadID names all that one outside action caused. Tenants may use the same correlation ids.
type threadID struct{ tenant, correlation string }

// thread is the unfinished effects with one correlation id: all that one outside action caused. While an effect feeds back, what that causes is entered
// in the same step in which the effect is finished, so that a thread without effects stays so.
type thread struct {
	signal
	id      threadID
	effects int
}

// track enters an effect that is not finished.
func (o *Outbox) track(a *account, opened ledger.Opened) {
	e := a.effect(opened.Seq)
	if e.thread != nil {
		return
	}
	id := threadID{a.tenant.name, opened.Correlation}
	e.thread = o.threads[id]
	if e.thread == nil {
		e.own = thread{id: id}
		e.thread = &e.own
		o.threads[id] = e.thread
	}
	e.thread.effects++
}

// finished tells those who wait for an effect.
func (o *Outbox) finished(a *account, seq uint64) {
	e := a.effects[seq]
	if e == nil || e.thread == nil {
		return
	}
	t := e.thread
	e.thread = nil
	e.tell()
	if t.effects--; t.effects == 0 {
		delete(o.threads, t.id)
		t.tell()
	}
	a.forget(e)
}
