package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/httpcall"
	"github.com/crhost/crhost/host/deploy"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/outbox"
	"github.com/crhost/crhost/host/shard"
)

// Host runs modules.
type Host struct {
	config   Config
	backend  journal.Backend
	engine   *engine.Engine
	registry *deploy.Registry
	outbox   *outbox.Outbox
	http     *httpcall.Handler
	owned    []io.Closer // by the host: what performs effects, and was not given in the config

	projections *projections
	failures    failures
	closing     atomic.Bool

	full  atomic.Pointer[abi.Error] // why no commands are taken for want of room; nil when they are
	space sync.WaitGroup            // who watches that
	ended chan struct{}
}

// Open starts a host, with the modules that were active in its journal. The caller must call Shutdown.
func Open(ctx context.Context, config Config) (*Host, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("host config: %w", err)
	}
	config = config.withDefaults()
	h := &Host{config: config, backend: config.Journal, ended: make(chan struct{})}
	if h.backend == nil {
		h.backend = memory.New(memory.Config{History: config.History})
	}
	observer := observe.Tee(config.Observer)
	if observer == nil {
		observer = &observe.Observer{}
	}
	if observer.Opened != nil {
		observer.Opened(observe.Opened{Durability: string(h.backend.Durability())})
	}
	var err error
	if h.engine, err = engine.New(ctx, engine.Config{CacheDir: config.CacheDir, Meter: config.Meter, Compiled: observer.Compiled}); err != nil {
		return nil, err
	}
	if h.outbox, err = h.newOutbox(config, observer); err != nil {
		return nil, errors.Join(err, h.closeEffects(ctx), h.engine.Close())
	}
	h.registry = deploy.New(deploy.Config{
		Backend: h.backend, Engine: h.engine, Observer: observer, Shards: config.Shards, TrapRate: config.TrapRate, Leaves: h.leaves, Loaded: h.outbox.Loaded,
		Shard: shard.Config{
			QueueDepth: config.QueueDepth, Residents: config.Residents, Stores: config.Stores, TailBytes: config.TailBytes, RebuildFuel: config.RebuildFuel,
			Buffer: config.SubscriberBuffer, ObserveCommits: config.Journal != nil, HaltOnCommandTrap: config.HaltOnCommandTrap,
			Moved: h.outbox.Moved, Traceparent: observer.Traceparent, TrapLimit: config.TrapLimit, MaxLetters: config.MaxDeadLetters, CascadeLimit: config.CascadeLimit,
			Full: &h.full, KeyActions: config.KeyActions, KeyAge: config.KeyAge,
		},
	})
	if err := h.registry.Restore(ctx); err != nil {
		return nil, errors.Join(err, h.outbox.Close(ctx), h.closeEffects(ctx), h.registry.Close(ctx), h.engine.Close())
	}
	h.watchSpace()
	return h, nil
}

// DeployRequest is a module to make active.
type DeployRequest struct {
	Tenant, Module string       // Tenant defaults to "default"
	Wasm           []byte       // the module
	Config         []byte       // one msgpack value for the guest; nil = what the active revision has
	Grants         []string     // EFFECT=TARGET; nil = what the active revision has
	Plugin         bool         // do nothing when Wasm is what the last deploy with Plugin gave the module
	RefuseBusy     bool         // refuse while another deploy of the module runs, instead of waiting for it
	Progress       func(string) // told of each stage as it begins: verify, prepare, activate, drain. May be nil
}

// Deployed is how a deploy ended.
type Deployed struct {
	Tenant, Module string
	Revision       string // such as r3-5f2c9a01: its number, and as much of its digest as tells bytes apart
	Digest         string // sha256:... of the bytes
	Outcome        string // activated, unchanged (it was active) or reactivated (it had been, before)
	Manifest       *abi.Manifest
	Previous       string // the revision that was active before; empty when none was
}

// Deploy makes a module active, in the place of the one that is, while that serves. Stores go on where they are; a replacement whose schema number differs is refused.
// A failed deploy changes nothing.
//
// Errors are *Error: CodeBadModule, CodeSchemaChanged, CodeBusy, CodeBadAddress, CodeBadRequest, CodeTooLarge, CodeCanceled, and those of the journal.
func (h *Host) Deploy(ctx context.Context, req DeployRequest) (Deployed, error) {
	id := journal.ModuleID{Tenant: cmp.Or(req.Tenant, abi.DefaultTenant), Module: req.Module}
	r, err := h.registry.Deploy(ctx, deploy.Request{
		ID: id, Wasm: req.Wasm, Config: req.Config, Grants: req.Grants, Plugin: req.Plugin, RefuseBusy: req.RefuseBusy,
		Progress: func(s deploy.Stage) {
			if req.Progress != nil {
				req.Progress(string(s))
			}
		},
	})
	if err != nil {
		return Deployed{}, err
	}
	return Deployed{
		Tenant: id.Tenant, Module: id.Module, Revision: r.Revision, Digest: r.Digest, Outcome: string(r.Outcome), Manifest: r.Manifest, Previous: r.Previous,
	}, nil
}

// Unload takes a module out of service. Its stores are kept, for when it is deployed again. Errors are *Error.
func (h *Host) Unload(ctx context.Context, tenant, module string) error {
	return h.registry.Unload(ctx, journal.ModuleID{Tenant: cmp.Or(tenant, abi.DefaultTenant), Module: module})
}

// ModuleInfo describes a module.
type ModuleInfo struct {
	Tenant, Module, Revision, Digest string
	Schema                           uint32
	Stores, Residents                int // in memory
	Manifest                         *abi.Manifest
}

// Modules describes the modules of a tenant, or of all with "", sorted.
func (h *Host) Modules(tenant string) []ModuleInfo {
	var infos []ModuleInfo
	for _, m := range h.registry.Modules(tenant) {
		infos = append(infos, describe(m))
	}
	return infos
}

// Module describes a module. Errors are *Error, CodeNotFound.
func (h *Host) Module(tenant, module string) (ModuleInfo, error) {
	m, err := h.module(tenant, module)
	if err != nil {
		return ModuleInfo{}, err
	}
	return describe(m), nil
}

func (h *Host) module(tenant, module string) (*deploy.Module, error) {
	return h.registry.Find(journal.ModuleID{Tenant: cmp.Or(tenant, abi.DefaultTenant), Module: module})
}

func describe(m *deploy.Module) ModuleInfo {
	info, stats := m.Info(), m.Stats()
	return ModuleInfo{
		Tenant: m.ID().Tenant, Module: m.ID().Module, Revision: info.Revision, Digest: info.Digest, Schema: info.Schema,
		Stores: stats.Stores, Residents: stats.Residents, Manifest: info.Manifest,
	}
}

// VersionInfo describes a revision of a module.
type VersionInfo struct {
	Revision, Digest string
	Schema           uint32
	Active           bool
	Deployed         time.Time
	Bytes            int // of the module
	Stores           int // in memory that belong to it
}

// Versions describes the revisions of a module, oldest first. Errors are *Error.
func (h *Host) Versions(tenant, module string) ([]VersionInfo, error) {
	m, err := h.module(tenant, module)
	if err != nil {
		return nil, err
	}
	revisions, err := m.Versions()
	if err != nil {
		return nil, &Error{Code: abi.CodeInternal, Text: err.Error(), Err: err}
	}
	var infos []VersionInfo
	for _, r := range revisions {
		info := VersionInfo{Revision: r.Revision, Digest: r.Digest, Schema: r.Schema, Active: r.Active, Deployed: r.Created, Bytes: r.Bytes}
		for _, s := range m.Places() {
			info.Stores += s.Belonging(r.Number)
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// StoreInfo describes a store.
type StoreInfo struct {
	Address     abi.Address
	Seq         uint64 // of the newest durable action
	Revision    string // that made its state
	Halted      string // code; empty when it is not
	Resident    bool
	Incarnation string
	halt        *abi.Error
}

// DefaultStoresLimit is how many stores are listed at a time.
const DefaultStoresLimit = 1000

// Stores describes the stores of a module in the order of their keys, those after a key, at most limit (0 = DefaultStoresLimit). Errors are *Error.
func (h *Host) Stores(ctx context.Context, tenant, module, after string, limit int) ([]StoreInfo, error) {
	m, err := h.module(tenant, module)
	if err != nil {
		return nil, err
	}
	var infos []StoreInfo
	for row, err := range journal.Stores(h.backend, m.ID(), after) {
		if err != nil {
			return nil, &Error{Code: abi.CodeInternal, Text: "list the stores of " + m.ID().String(), Err: err}
		}
		info, err := m.Place(row.ID.Key).Info(ctx, row.ID.Key)
		switch {
		case errors.Is(err, ErrNotFound):
			continue // deleted meanwhile, or not durable yet
		case err != nil:
			return nil, err
		}
		infos = append(infos, storeInfo(m.ID(), info))
		if len(infos) == cmp.Or(limit, DefaultStoresLimit) {
			break
		}
	}
	return infos, nil
}

func storeInfo(id journal.ModuleID, i shard.Info) StoreInfo {
	info := StoreInfo{
		Address: abi.Address{Tenant: id.Tenant, Module: id.Module, Key: i.Key}, Seq: i.Seq, Revision: i.Revision, Resident: i.Resident, Incarnation: i.Life.String(),
	}
	if i.Halted != nil {
		info.Halted, info.halt = string(i.Halted.Code), i.Halted
	}
	return info
}

// Shutdown refuses outside actions, lets what runs finish, writes what a later start needs to the journal, and ends all subscriptions. When ctx ends first, the rest is
// given up: the error is then ErrShutdownTimeout. A second call does nothing.
func (h *Host) Shutdown(ctx context.Context) error {
	if h.closing.Swap(true) {
		return nil
	}
	close(h.ended)
	h.space.Wait()
	h.registry.Refuse(&Error{Code: abi.CodeShuttingDown, Text: "the host is shutting down"})
	err := h.outbox.Close(ctx) // what runs finishes, and feeds back
	err = errors.Join(err, h.closeEffects(ctx), h.registry.Close(ctx))
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrShutdownTimeout, errors.Join(err, ctx.Err()))
	}
	return errors.Join(err, h.engine.Close())
}
