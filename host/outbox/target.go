package outbox

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/breaker"
	"github.com/crhost/crhost/effects/retry"
	"github.com/crhost/crhost/host/ledger"
)

// tenant is one tenant's part of the outbox.
type tenant struct {
	name     string
	policies policies
	targets  map[string]*target
	ready    []*target // with something to start, each once
	running  int
	listed   bool // in Outbox.ready
	unloaded int  // targets that are open because their module is not loaded
	swept    int  // targets that the last sweep left
}

// target is what leaves of one tenant are done on.
//
// Invariants:
//
//	G1  a task of the target is in queue, running, or in neither: timed, behind in its lane, or feeding.
//	G2  listed targets are in their tenant's ready; a target that is not listed has nothing to start, no slot free, or is open.
//	G3  an inner target that is open is that of a module which is not loaded: until says when one of its tasks, which are all parked, may ask again.
type target struct {
	alarm     // asks the breaker, or for the module, again
	name      string
	kind      abi.Kind // name is kind=of; both are empty for those that no leaf has had yet
	of        string
	tenant    *tenant
	inner     bool  // the host's own doing: no breaker and no budget, and leaves have the policies of their own names
	most      int   // attempts at a time of a tenant
	queue     queue // ready, or parked while the target is open
	running   int
	tasks     int // in whatever state
	slots     int // attempts at a time: fewer than limit after the breaker has been open, one more with each success
	limit     int
	listed    bool
	forgotten bool  // it is not its tenant's any more
	open      bool  // the breaker refused, or the module was not loaded, the last time anybody asked
	until     int64 // of an inner one that is open, Unix nanoseconds
	breaker   *breaker.Breaker
	budget    *retry.Budget
	policy    retry.Policy // of leaves that name none
}

// retry is the policy of a leaf.
func (g *target) retry(e *abi.Effect) retry.Policy {
	if e.Retry == "" && !g.inner {
		return g.policy
	}
	return g.tenant.policies.retry(e)
}

func (o *Outbox) tenant(name string) *tenant {
	t := o.tenants[name]
	if t == nil {
		t = &tenant{name: name, policies: make(policies), targets: make(map[string]*target)}
		for name, p := range o.config.Policies {
			t.policies[name] = p
		}
		o.tenants[name] = t
	}
	return t
}

// manyTargets is from how many targets on a tenant's idle ones are forgotten: a module may have one for each of its stores.
const manyTargets = 1000

// sweep forgets targets of which there is nothing to tell: no work, no failure, nothing set by hand.
func (t *tenant) sweep() {
	for name, g := range t.targets {
		if g.name == ours || g.listed || g.open && !g.inner || g.running > 0 || g.queue.len > 0 || g.tasks > 0 {
			continue
		}
		if s := g.breaker.Status(); s.State == breaker.Closed && !s.Manual && s.Failures == 0 {
			if g.open { // nothing waits for that module any more
				t.unloaded--
			}
			delete(t.targets, name)
			g.forgotten = true
		}
	}
}

// ours is the name of the target of all that the host does itself: timers, dispatches, feedback that is delivered again.
const ours = ""

func (o *Outbox) target(t *tenant, name string) *target {
	g := t.targets[name]
	if g == nil {
		if len(t.targets) >= max(manyTargets, 2*t.swept) {
			t.sweep()
			t.swept = len(t.targets)
		}
		g = &target{name: name, tenant: t, inner: name == ours || strings.HasPrefix(name, modulePrefix), most: o.config.TenantConcurrency}
		g.alarm = alarm{index: -1, owner: g}
		p := t.policies.of(name)
		g.breaker = breaker.New(p.Breaker, func(c breaker.Change) { o.turned(g, c) })
		g.budget = retry.NewBudget(p.Budget)
		g.apply(p)
		g.slots = g.limit
		t.targets[name] = g
	}
	return g
}

// targetOf is the target of a leaf. Mostly it is that of the store's last leaf, of which the name need not be composed.
func (o *Outbox) targetOf(a *account, e *abi.Effect) *target {
	if g := a.last; g != nil && g.kind == e.Kind && g.of == e.Target && !g.forgotten {
		return g
	}
	a.last = o.target(a.tenant, TargetName(e))
	a.last.kind, a.last.of = e.Kind, e.Target
	return a.last
}

func (g *target) apply(p Policy) {
	g.policy = p.Retry.OrDefault()
	g.breaker.Set(p.Breaker)
	g.budget.Set(p.Budget)
	before := g.limit
	if g.limit = p.concurrency(); g.slots == before {
		g.slots = g.limit
	}
	g.slots = min(g.slots, g.limit)
	if g.name == ours { // the host's bound, and the tenant's
		g.limit, g.slots = g.most, g.most
	}
}

// wake makes the target ask its breaker again.
func (o *Outbox) wake(g *target) {
	o.unset(&g.alarm)
	o.list(g)
}

// turned is told of changes of a breaker, by whoever asked it, mu or not. Config.Turned hears of them in their order, from a goroutine that holds nothing.
func (o *Outbox) turned(g *target, c breaker.Change) {
	if o.config.Turned == nil {
		return
	}
	o.newsMu.Lock()
	defer o.newsMu.Unlock()
	o.news = append(o.news, func() { o.config.Turned(g.tenant.name, g.name, c) })
	if !o.telling {
		o.telling = true
		go o.tell()
	}
}

func (o *Outbox) tell() {
	for {
		o.newsMu.Lock()
		news := o.news
		o.news = nil
		o.telling = len(news) > 0
		o.newsMu.Unlock()
		if len(news) == 0 {
			return
		}
		for _, tell := range news {
			tell()
		}
	}
}

// permit asks the breaker for one attempt. Without one, the target is parked until the breaker may answer otherwise.
//
// REQUIRES: mu is held.
func (o *Outbox) permit(g *target) (*breaker.Permit, bool) {
	if g.inner {
		if !g.open || o.now() >= g.until {
			return nil, true
		}
		o.shut(g, g.until)
		return nil, false
	}
	p, err := g.breaker.Allow()
	if err == nil {
		if g.open {
			g.open, g.slots = false, 1
			o.unset(&g.alarm)
		}
		return p, true
	}
	var open *breaker.OpenError
	wake := o.now() + int64(time.Minute)
	if errors.As(err, &open) && !open.Until.IsZero() {
		wake = open.Until.UnixNano()
	}
	o.shut(g, wake)
	return nil, false
}

// shut parks what is in the queue of a target that takes nothing until somebody asks again, at a time.
//
// REQUIRES: mu is held.
func (o *Outbox) shut(g *target, wake int64) {
	g.open = true
	now := o.now()
	for t := range g.queue.all() {
		t.park(now)
	}
	o.set(&g.alarm, min(wake, o.expiry(g)))
}

// expiry is when the first parked task has been so for as long as it may.
func (o *Outbox) expiry(g *target) int64 {
	first := int64(1<<63 - 1)
	for t := range g.queue.all() {
		if t.parked != 0 {
			first = min(first, t.parked+int64(g.retry(t.leaf.Effect).ParkLimit))
		}
	}
	return first
}

// expire takes out the tasks that are not to wait any longer, or never were, and gives them up.
//
// REQUIRES: mu is held.
func (o *Outbox) expire(g *target) {
	now := o.now()
	for t := range g.queue.all() {
		p := g.retry(t.leaf.Effect)
		switch {
		case p.OnOpen == retry.DeadLetter:
			g.queue.remove(t)
			o.bury(t, ledger.ReasonBreakerOpen, g.closed())
		case t.parked != 0 && now >= t.parked+int64(p.ParkLimit):
			g.queue.remove(t)
			o.bury(t, reasonParked, errParked)
		}
	}
}

// TargetStatus is how a target stands.
type TargetStatus struct {
	Tenant  string
	Name    string // EFFECT=TARGET
	Breaker breaker.Status
	Running int
	Waiting int // ready, or parked while the breaker is open
	Parked  bool
}

// Targets are the targets of a tenant, or of all with "", by name.
func (o *Outbox) Targets(tenant string) []TargetStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []TargetStatus
	for _, t := range o.tenants {
		if tenant != "" && t.name != tenant {
			continue
		}
		for _, g := range t.targets {
			if !g.inner {
				list = append(list, TargetStatus{t.name, g.name, g.breaker.Status(), g.running, g.queue.len, g.open})
			}
		}
	}
	slices.SortFunc(list, func(a, b TargetStatus) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// Force is what is done to a breaker by hand.
type Force string

// What can be done to a breaker.
const (
	ForceOpen  Force = "open"  // nobody gets through until it is closed or set to auto
	ForceClose Force = "close" // everybody does
	ForceAuto  Force = "auto"  // it asks for a probe and goes on by itself
)

// SetBreaker opens or closes the breaker of a target by hand, or gives it back to itself. A target that no effect has had yet can be
// opened beforehand. Errors are *abi.Error: CodeBadRequest for what is no target with a breaker, or no way to set one; CodeNotFound for a target that no effect has had.
func (o *Outbox) SetBreaker(tenant, name string, how Force) error {
	if kind, target, _ := strings.Cut(name, "="); target == "" || !hasBreaker(abi.Kind(kind)) {
		return &abi.Error{Code: abi.CodeBadRequest, Text: fmt.Sprintf("%q is not EFFECT=TARGET with an effect that has a breaker, such as call=http:api.example.com", name)}
	}
	var set func(*breaker.Breaker)
	switch how {
	case ForceOpen:
		set = (*breaker.Breaker).Open
	case ForceClose:
		set = (*breaker.Breaker).Close
	case ForceAuto:
		set = (*breaker.Breaker).Auto
	default:
		return &abi.Error{Code: abi.CodeBadRequest, Text: "a breaker can be set to open, close or auto"}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.tenant(tenant)
	if t.targets[name] == nil && how != ForceOpen {
		return &abi.Error{Code: abi.CodeNotFound, Text: "no effect has had the target " + name}
	}
	g := o.target(t, name)
	set(g.breaker) // with mu held: until something is set by hand, a sweep may forget the target
	o.wake(g)
	o.pump()
	return nil
}

// hasBreaker reports whether leaves of a kind have targets with breakers: those that are not the host's own doing.
func hasBreaker(k abi.Kind) bool {
	return slices.Contains(abi.Kinds(), k) && k.Leaf() && k != abi.KindDispatch && k != abi.KindDelay && k != abi.KindCancel
}
