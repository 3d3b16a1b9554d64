package outbox

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/breaker"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/ledger"
)

// A dispatch to a module that is not loaded waits for it like a call for a peer behind an open breaker: parked, in the queue of a target that is the module's. That one
// opens when the first dispatch finds no module; what comes after it does not ask. Loaded, or a minute, lets one ask again.

// askAgain is how long after a dispatch found no module another one asks, if nobody says before that the module was loaded.
const askAgain = time.Minute

var errUnloaded = errors.New("the module is not loaded")

const modulePrefix = string(abi.KindDispatch) + "="

// moduleTarget is the name of the target on which dispatches wait for a module.
func moduleTarget(module string) string { return modulePrefix + module }

// addressee is the store that a dispatch is for. Errors are permanent.
func addressee(l *ledger.Leaf) (abi.Address, error) {
	address, err := abi.ParseAddress(l.Effect.Target)
	if err != nil {
		return address, retry.Permanent(abi.AddressError(err))
	}
	if address.Tenant == abi.DefaultTenant && l.Store.Tenant != abi.DefaultTenant {
		address.Tenant = l.Store.Tenant
	}
	if address.Tenant != l.Store.Tenant {
		return address, retry.Permanent(&abi.Error{Code: abi.CodeBadAddress, Text: "a dispatch goes to stores of the same tenant"})
	}
	return address, nil
}

// unloaded reports whether an attempt found that the module of its dispatch is not loaded.
func unloaded(t *task, err error) bool {
	if err == nil || t.leaf.Effect.Kind != abi.KindDispatch {
		return false
	}
	var e *abi.Error
	return errors.As(err, &e) && e.Code == abi.CodeNotFound
}

// dispatchOn is the target that a dispatch is done on: the host's own, or that of its module while it waits there.
//
// REQUIRES: mu is held.
func (o *Outbox) dispatchOn(l *ledger.Leaf) string {
	t := o.tenants[l.Store.Tenant]
	if t == nil || t.unloaded == 0 { // nearly always
		return ours
	}
	address, err := addressee(l)
	if err != nil {
		return ours
	}
	name := moduleTarget(address.Module)
	if g := t.targets[name]; g == nil || !g.open {
		return ours
	}
	return name
}

// missed parks a task whose attempt, on a target, found that its module is not loaded: that attempt does not count.
//
// REQUIRES: mu is held.
func (o *Outbox) missed(t *task, on *target) {
	t.attempt--
	address, _ := addressee(t.leaf) // it was found to be one
	g := o.target(on.tenant, moduleTarget(address.Module))
	t.target = g
	if !g.open || on == g { // it is the first one, or has asked again
		if !g.open {
			g.tenant.unloaded++
		}
		g.slots, g.until = 1, o.now()+int64(askAgain)
		o.shut(g, g.until)
	}
	o.queue(t)
}

// found lets everything go on that waits for a module.
//
// REQUIRES: mu is held.
func (o *Outbox) found(g *target) {
	g.open, g.until = false, 0
	g.tenant.unloaded--
}

// Loaded is told that a module was loaded.
func (o *Outbox) Loaded(id journal.ModuleID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.loads++
	if t := o.tenants[id.Tenant]; t != nil && t.unloaded > 0 {
		if g := t.targets[moduleTarget(id.Module)]; g != nil && g.open {
			g.until = 0
			o.wake(g)
			o.pump()
		}
	}
}

// Unloaded is a module that is not loaded, and that dispatches wait for.
type Unloaded struct {
	journal.ModuleID
	Waiting int
}

// Unloaded are those of a tenant, or of all with "", by tenant and name.
func (o *Outbox) Unloaded(tenant string) []Unloaded {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []Unloaded
	for _, t := range o.tenants {
		if t.unloaded == 0 || tenant != "" && t.name != tenant {
			continue
		}
		for _, g := range t.targets {
			if n := g.queue.len + g.running; g.name != ours && g.inner && g.open && n > 0 {
				list = append(list, Unloaded{journal.ModuleID{Tenant: t.name, Module: strings.TrimPrefix(g.name, modulePrefix)}, n})
			}
		}
	}
	slices.SortFunc(list, func(a, b Unloaded) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Module, b.Module))
	})
	return list
}

// closed is why a target that is open takes nothing.
func (g *target) closed() error {
	if g.inner {
		return errUnloaded
	}
	return breaker.ErrOpen
}
