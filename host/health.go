package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/deploy"
	"github.com/crhost/crhost/host/journal"
)

// HealthStatus is healthy, degraded or unhealthy.
type HealthStatus string

// The statuses, from good to bad.
const (
	Healthy   HealthStatus = "healthy"
	Degraded  HealthStatus = "degraded"
	Unhealthy HealthStatus = "unhealthy"
)

// What dead letters say about the health of whatever they are counted for: the seed's thresholds.
const (
	DegradedLetters  = 10  // from here on
	UnhealthyLetters = 100 // beyond
)

// What failed attempts say: half of those of the last minute, if there were enough, degrade.
const (
	failureWindow  = time.Minute
	failureMinimum = 20
)

// Health says how something is, and why.
type Health struct {
	Status  HealthStatus
	Reasons []string // empty when healthy

	// Durability is what an acknowledgement means here: that an action is in memory, or synced to disk. Of the host's health only.
	Durability journal.Durability
}

// IsHealthy reports whether nothing is wrong.
func (h Health) IsHealthy() bool { return h.Status == Healthy }

// IsUnhealthy reports whether it does not do its work.
func (h Health) IsUnhealthy() bool { return h.Status == Unhealthy }

// worsen adds a reason.
func (h *Health) worsen(to HealthStatus, reason string) {
	if order := []HealthStatus{Healthy, Degraded, Unhealthy}; slices.Index(order, to) > slices.Index(order, h.Status) {
		h.Status = to
	}
	h.Reasons = append(h.Reasons, reason)
}

// letters judges dead letters.
func (h *Health) letters(n int, of string) {
	switch {
	case n > UnhealthyLetters:
		h.worsen(Unhealthy, fmt.Sprintf("%s: %d dead letters", of, n))
	case n >= DegradedLetters:
		h.worsen(Degraded, fmt.Sprintf("%s: %d dead letters", of, n))
	}
}

// maxReasons bounds how many halted stores, and how many targets, are named.
const maxReasons = 10

// Health reports on the host: a journal that takes nothing any more, a shutdown or more than 100 dead letters make it unhealthy; halted stores, 10
// dead letters, open breakers with what is parked behind them, modules that are not loaded and that dispatches wait for, and attempts that fail by half degrade it.
func (h *Host) Health() Health {
	health := Health{Status: Healthy, Durability: h.backend.Durability()}
	if h.closing.Load() {
		health.worsen(Unhealthy, "the host is shutting down")
	}
	if full := h.full.Load(); full != nil {
		health.worsen(Unhealthy, full.Text)
	}
	h.judge(&health, "the host", h.registry.Modules(""), "")
	return health
}

// TenantHealth reports on one tenant, by the rules of Health.
func (h *Host) TenantHealth(tenant string) Health {
	tenant = cmp.Or(tenant, abi.DefaultTenant)
	health := Health{Status: Healthy}
	h.judge(&health, "tenant "+tenant, h.registry.Modules(tenant), tenant)
	return health
}

// ModuleHealth reports on one module, by the rules of Health; breakers are its tenant's, and are left out. Errors are *Error, CodeNotFound.
func (h *Host) ModuleHealth(tenant, module string) (Health, error) {
	m, err := h.module(tenant, module)
	if err != nil {
		return Health{}, err
	}
	health := Health{Status: Healthy}
	h.judgeStores(&health, []*deploy.Module{m})
	health.letters(m.Stats().DeadLetters, "module "+m.ID().String())
	h.failures.judge(&health, m.ID())
	return health, nil
}

// judge judges modules together. tenant is whose targets count; empty for all.
func (h *Host) judge(health *Health, of string, modules []*deploy.Module, tenant string) {
	h.judgeStores(health, modules)
	letters := 0
	for _, m := range modules {
		letters += m.Stats().DeadLetters
		h.failures.judge(health, m.ID())
	}
	health.letters(letters, of)
	open := 0
	for _, t := range h.outbox.Targets(tenant) {
		if !t.Parked {
			continue
		}
		if open++; open <= maxReasons {
			health.worsen(Degraded, fmt.Sprintf("tenant %s: the breaker of %s is %v, %d effects are parked", t.Tenant, t.Name, t.Breaker.State, t.Waiting))
		}
	}
	if open > maxReasons {
		health.worsen(Degraded, fmt.Sprintf("%d more open breakers", open-maxReasons))
	}
	unloaded := h.outbox.Unloaded(tenant)
	for _, m := range unloaded[:min(len(unloaded), maxReasons)] {
		health.worsen(Degraded, fmt.Sprintf("module %s is not loaded: %d dispatches to it are parked", m.ModuleID, m.Waiting))
	}
	if len(unloaded) > maxReasons {
		health.worsen(Degraded, fmt.Sprintf("%d more modules that dispatches wait for", len(unloaded)-maxReasons))
	}
}

func (h *Host) judgeStores(health *Health, modules []*deploy.Module) {
	halts := 0
	for _, m := range modules {
		for _, s := range m.Places() {
			if err := s.Err(); err != nil {
				health.worsen(Unhealthy, fmt.Sprintf("the journal of module %s takes nothing: %v", m.ID(), err))
			}
			for _, i := range s.Halts() {
				if halts++; halts <= maxReasons {
					health.worsen(Degraded, fmt.Sprintf("store %s/%s: %v", m.ID(), i.Key, i.Halted))
				}
			}
		}
	}
	if halts > maxReasons {
		health.worsen(Degraded, fmt.Sprintf("%d more halted stores", halts-maxReasons))
	}
}

// Health reports on the store: unhealthy when it is halted, its module is not there, or it has more than 100 dead letters, degraded from 10 on; a store
// that has no actions is healthy.
func (s *Store) Health() Health {
	health := Health{Status: Healthy}
	info, err := s.Info(context.Background())
	switch {
	case errors.Is(err, ErrNotFound) && s.loaded():
		return health
	case err != nil:
		health.worsen(Unhealthy, err.Error())
		return health
	case info.halt != nil:
		health.worsen(Unhealthy, info.halt.Error())
	}
	health.letters(s.DLQSize(), "store "+s.address.String())
	return health
}

func (s *Store) loaded() bool {
	_, err := s.place()
	return err == nil
}

// failures counts the attempts at effects of each module in the last minute, by sixths of it.
type failures struct {
	mu      sync.Mutex // guards modules
	modules map[journal.ModuleID]*attempts
}

const failureSlices = 6

type attempts struct {
	mu           sync.Mutex // guards what follows
	slice        int64      // number of the newest slice since the epoch
	made, failed [failureSlices]int
}

// of is where the attempts of a module are counted.
func (f *failures) of(id journal.ModuleID) *attempts {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.modules[id]
	if a == nil {
		if f.modules == nil {
			f.modules = make(map[journal.ModuleID]*attempts)
		}
		a = new(attempts)
		f.modules[id] = a
	}
	return a
}

func (a *attempts) advance(now time.Time) {
	slice := now.UnixNano() / int64(failureWindow/failureSlices)
	for n := min(slice-a.slice, failureSlices); n > 0; n-- {
		at := (slice - n + 1) % failureSlices
		a.made[at], a.failed[at] = 0, 0
	}
	a.slice = max(a.slice, slice)
}

// add counts an attempt that ended now.
func (a *attempts) add(now time.Time, failed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.advance(now)
	a.made[a.slice%failureSlices]++
	if failed {
		a.failed[a.slice%failureSlices]++
	}
}

func (f *failures) judge(health *Health, id journal.ModuleID) {
	a := f.of(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.advance(time.Now())
	made, failed := 0, 0
	for i := range a.made {
		made += a.made[i]
		failed += a.failed[i]
	}
	if made >= failureMinimum && 2*failed >= made {
		health.worsen(Degraded, fmt.Sprintf("module %s: %d of %d attempts at effects failed in the last minute", id, failed, made))
	}
}
