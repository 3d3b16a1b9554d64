package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard"
)

// Config of a registry.
type Config struct {
	Backend  journal.Backend
	Engine   *engine.Engine
	Observer *observe.Observer // may be nil
	Shards   int               // per module, 1 or more
	TrapRate float64           // of each module: traps per second before stores that trap are refused
	Shard    shard.Config      // of every shard; Module, Backend, Traps, Revision and Letters are filled in here

	// Leaves adds the gauges of a module's leaves to its stats; nil when nobody performs them.
	Leaves func(journal.ModuleID, *observe.ModuleStats)

	// Loaded is told of a module that has begun to answer; not of those that Restore brings.
	Loaded func(journal.ModuleID)
}

// Registry is the modules of a host.
type Registry struct {
	config    Config
	committer *journal.Committer // of the rows of modules and revisions

	mu      sync.RWMutex                 // guards what follows
	modules map[journal.ModuleID]*Module // those without an active revision are in their first deploy
	closed  bool
}

// New returns an empty registry.
func New(config Config) *Registry {
	if config.Observer == nil {
		config.Observer = &observe.Observer{}
	}
	return &Registry{
		config:    config,
		committer: journal.NewCommitter(config.Backend, journal.Config{}),
		modules:   make(map[journal.ModuleID]*Module),
	}
}

// Restore loads the modules that the journal knows as active.
func (r *Registry) Restore(ctx context.Context) error {
	for row, err := range journal.Modules(r.config.Backend) {
		if err != nil {
			return fmt.Errorf("read modules: %w", err)
		}
		if row.Active == 0 {
			continue
		}
		m := r.newModule(row.ID)
		rev, err := m.open(ctx, row.Active)
		if err == nil {
			err = m.start(rev)
		}
		if err != nil {
			return fmt.Errorf("restore module %s: %w", row.ID, err)
		}
		m.answer(rev)
		r.put(m)
	}
	for _, m := range r.Modules("") { // once all are there, for they dispatch to one another
		if err := m.startEffects(ctx, true); err != nil {
			return fmt.Errorf("restore the effects of module %s: %w", m.id, err)
		}
	}
	return nil
}

// Find returns a loaded module, or an *abi.Error with CodeNotFound, after Close with CodeShuttingDown.
func (r *Registry) Find(id journal.ModuleID) (*Module, error) {
	r.mu.RLock()
	m, closed := r.modules[id], r.closed
	r.mu.RUnlock()
	if m == nil && closed {
		return nil, &abi.Error{Code: abi.CodeShuttingDown, Text: "the host is shutting down"}
	}
	if m == nil || m.active.Load() == nil {
		return nil, &abi.Error{Code: abi.CodeNotFound, Text: fmt.Sprintf("tenant %s has no module %s", id.Tenant, id.Module)}
	}
	return m, nil
}

// Modules returns the loaded modules of a tenant, or of all when tenant is empty, sorted.
func (r *Registry) Modules(tenant string) []*Module {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []*Module
	for id, m := range r.modules {
		if (tenant == "" || id.Tenant == tenant) && m.active.Load() != nil {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b *Module) int {
		return cmp.Or(cmp.Compare(a.id.Tenant, b.id.Tenant), cmp.Compare(a.id.Module, b.id.Module))
	})
	return found
}

func (r *Registry) put(m *Module) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.modules[m.id] = m
}

func (r *Registry) remove(m *Module) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.modules[m.id] == m {
		delete(r.modules, m.id)
	}
}

// deploying returns the module to deploy to, making it if it is not there.
//
// REQUIRES: mu is held.
func (r *Registry) deploying(id journal.ModuleID) *Module {
	m := r.modules[id]
	if m == nil {
		m = r.newModule(id)
		r.modules[id] = m
	}
	return m
}

// commit makes rows durable. It is the last place where ctx is asked: what is enqueued becomes durable whoever waits, and must be followed. Errors are *abi.Error.
func (r *Registry) commit(ctx context.Context, b *journal.Batch) error {
	if err := ctx.Err(); err != nil {
		return &abi.Error{Code: abi.CodeCanceled, Text: "the deploy was cancelled", Err: err}
	}
	// Deploys of different modules share the committer: after a failed batch, each takes back only its own rows, which are nowhere else.
	if err := r.committer.Err(); errors.Is(err, journal.ErrBatchFailed) {
		_ = r.committer.Recover() // an error shows again below
	}
	pos := r.committer.Enqueue(journal.Step{Extra: b})
	if err := r.committer.Wait(context.WithoutCancel(ctx), pos); err != nil {
		return &abi.Error{Code: commitCode(err), Text: "the journal did not take the deploy", Err: err}
	}
	return nil
}

func commitCode(err error) abi.Code {
	switch {
	case errors.Is(err, journal.ErrBatchFailed):
		return abi.CodeBatchFailed
	case errors.Is(err, journal.ErrOutcomeUnknown):
		return abi.CodeUnknownOutcome
	case errors.Is(err, journal.ErrClosed):
		return abi.CodeShuttingDown
	}
	return abi.CodeCanceled
}

// Unload takes a module out of service: its actions and subscriptions end, its stores are written to the journal and wait for another deploy.
// Errors are *abi.Error.
func (r *Registry) Unload(ctx context.Context, id journal.ModuleID) error {
	m, err := r.Find(id)
	if err != nil {
		return err
	}
	if err := m.acquire(ctx, false); err != nil {
		return err
	}
	defer m.unlock()
	if m.ended.Load() {
		_, err := r.Find(id)
		return err
	}
	row, err := m.readRow()
	if err != nil {
		return err
	}
	row.Active = 0
	b := new(journal.Batch)
	journal.PutModule(b, id, &row)
	if err := r.commit(ctx, b); err != nil {
		return err
	}
	// It keeps its name until it has stopped, whether or not anybody waits for that: what takes its place must find all that its stores accepted in the journal.
	defer r.remove(m)
	return m.stop(context.WithoutCancel(ctx), &abi.Error{Code: abi.CodeNotFound, Text: fmt.Sprintf("module %s was unloaded", id)})
}

// Refuse refuses commands and deploys from now on with why. What effects feed back is still taken, until Close.
func (r *Registry) Refuse(why *abi.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, m := range r.modules {
		for _, p := range m.places {
			p.Refuse(why)
		}
	}
}

// Close takes all modules out of service, leaving them active in the journal, and refuses deploys from then on. Errors are *abi.Error.
func (r *Registry) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	modules := slices.Collect(maps.Values(r.modules)) // those in their first deploy too
	r.mu.Unlock()
	var failed []error
	for _, m := range modules {
		if err := m.acquire(ctx, false); err != nil {
			failed = append(failed, err)
			continue
		}
		r.remove(m)
		if !m.ended.Load() { // else it was unloaded while we waited
			failed = append(failed, m.stop(ctx, &abi.Error{Code: abi.CodeShuttingDown, Text: "the host is shutting down"}))
		}
		m.unlock()
	}
	return errors.Join(failed...)
}
