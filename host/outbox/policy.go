package outbox

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/breaker"
	"github.com/crhost/crhost/effects/retry"
)

// DefaultConcurrency is how many attempts a target gets at a time.
const DefaultConcurrency = 64

// DefaultPolicy is the name of the policy of all that have no other.
const DefaultPolicy = "default"

// Policy says how leaves are tried and targets spared. The zero value is the documented default.
type Policy struct {
	Retry       retry.Policy
	Budget      retry.BudgetConfig
	Breaker     breaker.Config
	Concurrency int // attempts at a time at one target. Defaults to 64
}

// Validate reports all that is wrong with the policy.
func (p Policy) Validate() error {
	err := errors.Join(p.Retry.Validate(), p.Budget.Validate(), p.Breaker.Validate())
	if p.Concurrency < 0 || p.Concurrency > 1<<16 {
		err = errors.Join(err, fmt.Errorf("%s is %d, want 0 (the default) to %d", "Concurrency", p.Concurrency, 1<<16))
	}
	return err
}

// String is what is in force, on one line.
func (p Policy) String() string {
	return fmt.Sprintf("%v %v %v concurrency=%d", p.Retry, p.Budget, p.Breaker, p.concurrency())
}

func (p Policy) concurrency() int {
	if p.Concurrency == 0 {
		return DefaultConcurrency
	}
	return p.Concurrency
}

// TargetName is how a target is called wherever people see it: EFFECT=TARGET, as in a grant.
func TargetName(e *abi.Effect) string { return string(e.Kind) + "=" + e.Target }

// policies are those of one tenant. The policy of a leaf is the one that it names with retry; else, as for its target, that with the
// target's name, that with the name of its kind, or the default.
type policies map[string]Policy

func (p policies) of(target string) Policy {
	kind, _, _ := strings.Cut(target, "=")
	for _, name := range []string{target, kind, DefaultPolicy} {
		if found, ok := p[name]; ok {
			return found
		}
	}
	return Policy{}
}

func (p policies) retry(e *abi.Effect) retry.Policy {
	if e.Retry != "" {
		if found, ok := p[e.Retry]; ok {
			return found.Retry.OrDefault()
		}
	}
	return p.of(TargetName(e)).Retry.OrDefault()
}

// NamedPolicy is a policy with its name.
type NamedPolicy struct {
	Name string
	Policy
}

// SetPolicy changes a tenant's policy, for leaves that wait and run too. The error says all that is wrong with it.
func (o *Outbox) SetPolicy(tenant, name string, p Policy) error {
	if name == "" || len(name) > abi.MaxMetaBytes {
		return errors.New("a policy has a name: one that effects give with retry, an EFFECT=TARGET, an EFFECT, or default")
	}
	if err := p.Validate(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.tenant(tenant)
	t.policies[name] = p
	o.apply(t)
	return nil
}

// apply gives a tenant's targets the policies that it has now.
func (o *Outbox) apply(t *tenant) {
	for _, target := range t.targets {
		target.apply(t.policies.of(target.name))
		o.wake(target)
	}
	o.pump()
}

// RemovePolicy takes a tenant's policy away, and reports whether there was one.
func (o *Outbox) RemovePolicy(tenant, name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.tenants[tenant]
	if t == nil {
		return false
	}
	_, ok := t.policies[name]
	delete(t.policies, name)
	o.apply(t)
	return ok
}

// Policies are a tenant's policies by name, the default among them in any case.
func (o *Outbox) Policies(tenant string) []NamedPolicy {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := maps.Clone(policies(o.config.Policies))
	if t := o.tenants[tenant]; t != nil { // a tenant that has asked for nothing has no others
		found = maps.Clone(t.policies)
	}
	if found == nil {
		found = make(policies)
	}
	if _, ok := found[DefaultPolicy]; !ok {
		found[DefaultPolicy] = Policy{}
	}
	var list []NamedPolicy
	for _, name := range slices.Sorted(maps.Keys(found)) {
		list = append(list, NamedPolicy{name, found[name]})
	}
	return list
}
