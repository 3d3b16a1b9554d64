package deploy

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard"
)

// Module is a loaded module: its shards, and the revisions that are open.
type Module struct {
	id       journal.ModuleID
	registry *Registry
	seed     maphash.Seed
	places   []*Place // one a shard; constant once the module is in the registry
	active   atomic.Pointer[revision]
	letters  atomic.Int64  // dead letters
	ended    atomic.Bool   // it is out of service; written by whoever has acquired it
	deploys  chan struct{} // holds a token while nobody deploys; guards the module's rows in the journal

	mu   sync.Mutex           // guards revs
	revs map[uint64]*revision // that are open, by number
}

// revision is an open revision: its code is loaded.
type revision struct {
	journal.RevisionRow
	*shard.Revision
	code *engine.Module
}

func (r *Registry) newModule(id journal.ModuleID) *Module {
	m := &Module{id: id, registry: r, seed: maphash.MakeSeed(), deploys: make(chan struct{}, 1), revs: make(map[uint64]*revision)}
	m.deploys <- struct{}{}
	return m
}

// acquire takes the module for a deploy. The caller must call unlock.
func (m *Module) acquire(ctx context.Context, refuseBusy bool) error {
	select {
	case <-m.deploys:
		return nil
	default:
	}
	if refuseBusy {
		return &abi.Error{Code: abi.CodeBusy, Text: fmt.Sprintf("another deploy of module %s is running", m.id)}
	}
	select {
	case <-m.deploys:
		return nil
	case <-ctx.Done():
		return &abi.Error{Code: abi.CodeCanceled, Text: "the caller went away", Err: context.Cause(ctx)}
	}
}

func (m *Module) unlock() { m.deploys <- struct{}{} }

// ID is the module's name.
func (m *Module) ID() journal.ModuleID { return m.id }

// Place is where stores live: a shard and its module.
type Place struct {
	*shard.Shard
	Module *Module
}

// Place is where the store of key lives.
func (m *Module) Place(key string) *Place {
	if len(m.places) == 1 {
		return m.places[0]
	}
	return m.places[maphash.String(m.seed, key)%uint64(len(m.places))]
}

// Places are all that the module has, one for each shard.
func (m *Module) Places() []*Place { return m.places }

// Settle returns when all that its stores have enqueued is durable or lost. Errors are *abi.Error.
func (m *Module) Settle(ctx context.Context) error {
	for _, p := range m.places {
		if err := p.Shard.Settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Info describes the active revision.
func (m *Module) Info() Info { return m.active.Load().info(true) }

// Info describes a revision.
type Info struct {
	Number   uint64
	Revision string
	Digest   string
	Schema   uint32
	Created  time.Time
	Bytes    int // of the module
	Active   bool
	Manifest *abi.Manifest
}

func (r *revision) info(active bool) Info {
	return Info{
		Number: r.RevisionRow.Number, Revision: r.ID, Digest: "sha256:" + r.Digest.String(), Schema: r.Schema, Created: time.Unix(0, r.Created), Bytes: r.code.Size(),
		Active: active, Manifest: r.Revision.Manifest,
	}
}

// revisionID names a revision for people: its number, and as much of its digest as tells bytes apart.
func revisionID(number uint64, d journal.Digest) string {
	return fmt.Sprintf("r%d-%s", number, d.String()[:8])
}

// Ended reports whether the module was taken out of service: another one may have its name.
func (m *Module) Ended() bool { return m.ended.Load() }

// RevisionID names a revision of the module; its number when the journal does not know it.
func (m *Module) RevisionID(number uint64) string {
	m.mu.Lock()
	r := m.revs[number]
	m.mu.Unlock()
	if r != nil {
		return r.ID
	}
	row, err := journal.ReadRevision(m.registry.config.Backend, m.id, number)
	if err != nil {
		return fmt.Sprintf("r%d", number)
	}
	return revisionID(number, row.Digest)
}

// Versions describes all revisions of the module, oldest first. The manifest is left out. Errors come from the journal.
func (m *Module) Versions() ([]Info, error) {
	active := m.active.Load().RevisionRow.Number
	var infos []Info
	for row, err := range journal.Revisions(m.registry.config.Backend, m.id) {
		if err != nil {
			return nil, fmt.Errorf("read revisions of %s: %w", m.id, err)
		}
		code, err := journal.ReadCode(m.registry.config.Backend, row.Digest)
		if err != nil {
			return nil, fmt.Errorf("read revisions of %s: %w", m.id, err)
		}
		infos = append(infos, Info{
			Bytes:  len(code),
			Number: row.Number, Revision: revisionID(row.Number, row.Digest), Digest: "sha256:" + row.Digest.String(),
			Schema: row.Schema, Created: time.Unix(0, row.Created), Active: row.Number == active,
		})
	}
	return infos, nil
}

// open returns a revision of the module, loading it from the journal if it is not open.
func (m *Module) open(ctx context.Context, number uint64) (*revision, error) {
	m.mu.Lock()
	r := m.revs[number]
	m.mu.Unlock()
	if r != nil {
		return r, nil
	}
	row, err := journal.ReadRevision(m.registry.config.Backend, m.id, number)
	if err != nil {
		return nil, err
	}
	wasm, err := journal.ReadCode(m.registry.config.Backend, row.Digest)
	if err != nil {
		return nil, err
	}
	code, err := m.registry.config.Engine.Load(ctx, m.id.Tenant, wasm)
	if err != nil {
		return nil, err
	}
	return m.keep(journal.RevisionRow{Number: number, Revision: row}, code), nil
}

// keep makes an open revision of loaded code. When somebody else was faster, theirs is returned and code closed.
func (m *Module) keep(row journal.RevisionRow, code *engine.Module) *revision {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.revs[row.Number]; r != nil {
		_ = code.Close()
		return r
	}
	r := m.revision(row, code)
	m.revs[row.Number] = r
	return r
}

// revision makes a revision that can run.
func (m *Module) revision(row journal.RevisionRow, code *engine.Module) *revision {
	r := &revision{RevisionRow: row, code: code}
	r.Revision = shard.NewRevision(row.Number, revisionID(row.Number, row.Digest), code.Manifest(), m.hooks(code.Manifest()), func() (shard.Guest, error) {
		config := row.Config
		if len(config) == 0 { // a row that was read back: a value has at least a byte
			config = nil
		}
		i, err := code.Instantiate(context.Background(), config)
		if err != nil {
			return nil, err
		}
		return i, nil
	})
	return r
}

// hooks are what hears of a revision with this manifest; nil when nobody does.
func (m *Module) hooks(manifest *abi.Manifest) *observe.ModuleHooks {
	if m.registry.config.Observer.ModuleLoaded == nil {
		return nil
	}
	described := observe.Module{Tenant: m.id.Tenant, Name: m.id.Module, Stats: m.gauges}
	for _, a := range manifest.Actions {
		described.Actions = append(described.Actions, a.Type)
	}
	for _, e := range manifest.Effects {
		described.EffectKinds = append(described.EffectKinds, string(e.Kind))
	}
	return m.registry.config.Observer.ModuleLoaded(described)
}

// Stats reads the module's gauges.
func (m *Module) Stats() observe.ModuleStats {
	var stats observe.ModuleStats
	if m.active.Load() == nil {
		return stats // it is starting
	}
	for _, s := range m.places {
		s.Stats(&stats)
	}
	stats.DeadLetters = int(m.letters.Load())
	return stats
}

// gauges are Stats with those of the module's effects.
func (m *Module) gauges() observe.ModuleStats {
	stats := m.Stats()
	if m.registry.config.Leaves != nil {
		m.registry.config.Leaves(m.id, &stats)
	}
	return stats
}

// start makes the module's shards, with rev active on them. Nobody reaches them before answer.
func (m *Module) start(rev *revision) error {
	config := m.registry.config.Shard
	config.Module, config.Backend, config.Traps = m.id, m.registry.config.Backend, shard.NewTraps(m.registry.config.TrapRate)
	config.Revision = func(ctx context.Context, number uint64) (*shard.Revision, error) {
		r, err := m.open(ctx, number)
		if err != nil {
			return nil, err
		}
		return r.Revision, nil
	}
	config.RevisionID = m.RevisionID
	config.Letters = &m.letters
	if err := m.countLetters(); err != nil {
		return err
	}
	for i := range m.registry.config.Shards {
		s := shard.New(i, config, rev.Revision)
		if err := s.Open(); err != nil {
			return errors.Join(err, m.stop(context.Background(), notStarted))
		}
		m.places = append(m.places, &Place{Shard: s, Module: m})
	}
	for row, err := range journal.StoppedStores(config.Backend, m.id) {
		if err != nil {
			err = &abi.Error{Code: abi.CodeInternal, Text: "read the halted stores of module " + m.id.String(), Err: err}
			return errors.Join(err, m.stop(context.Background(), notStarted))
		}
		m.Place(row.ID.Key).Stopped(row.ID.Key, &row.Store)
	}
	return nil
}

// notStarted is what a first deploy that failed leaves behind.
var notStarted = &abi.Error{Code: abi.CodeNotFound, Text: "the module did not start"}

// answer makes rev the revision that answers.
func (m *Module) answer(rev *revision) {
	m.active.Store(rev)
	rev.Keep()
}

// stop closes the shards and revisions.
func (m *Module) stop(ctx context.Context, why *abi.Error) error {
	m.ended.Store(true)
	var failed []error
	for _, s := range m.places {
		failed = append(failed, s.Close(ctx, why))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for number, r := range m.revs {
		r.close()
		delete(m.revs, number)
	}
	return errors.Join(failed...)
}

func (r *revision) close() {
	r.Retire()
	_ = r.code.Close()
	if r.Hooks.Unloaded != nil {
		r.Hooks.Unloaded()
	}
}

// collect closes the open revisions but the active one. A store that still needs one opens it again.
func (m *Module) collect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	active := m.active.Load()
	for number, r := range m.revs {
		if r != active {
			r.close()
			delete(m.revs, number)
		}
	}
}
