package deploy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/host/engine"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard"
)

// Stage is a part of a deploy.
type Stage string

// The stages, in their order.
const (
	StageVerify   Stage = "verify"   // bounds, imports, exports, metering, compiling, the manifest
	StagePrepare  Stage = "prepare"  // an instance for each shard
	StageActivate Stage = "activate" // the record, and the flip
	StageDrain    Stage = "drain"    // stores leave the old revision
)

// Outcome is how a deploy ended.
type Outcome string

// The outcomes of deploys without an error.
const (
	Activated   Outcome = "activated"   // the revision is new
	Unchanged   Outcome = "unchanged"   // the revision was active already
	Reactivated Outcome = "reactivated" // the revision had been active before
)

// Request is a deploy.
type Request struct {
	ID         journal.ModuleID
	Wasm       []byte
	Config     []byte      // one msgpack value; nil = the active revision's
	Grants     []string    // EFFECT=TARGET; nil = the active revision's
	Plugin     bool        // do nothing when these are the bytes that the last such deploy gave the module
	RefuseBusy bool        // refuse while another deploy of the module runs, instead of waiting
	Progress   func(Stage) // told of each stage as it begins; may be nil
}

// Result of a deploy.
type Result struct {
	Info
	Outcome  Outcome
	Previous string // the revision that was active before; empty when none was
}

// Deploy makes a module's revision the active one. Errors are *abi.Error; the active revision is then what it was.
func (r *Registry) Deploy(ctx context.Context, req Request) (Result, error) {
	started := time.Now()
	result, err := r.deploy(ctx, &req)
	if report := r.config.Observer.Deployed; report != nil {
		outcome := string(result.Outcome)
		if err != nil {
			outcome = "refused"
		}
		report(observe.Deployed{
			Tenant: req.ID.Tenant, Module: req.ID.Module, Revision: result.Revision, Digest: result.Digest, Outcome: outcome,
			Err: err, Duration: time.Since(started),
		})
	}
	return result, err
}

func (r *Registry) deploy(ctx context.Context, req *Request) (Result, error) {
	if req.Progress == nil {
		req.Progress = func(Stage) {}
	}
	if err := req.validate(); err != nil {
		return Result{}, err
	}
	m, err := r.claim(ctx, req)
	if err != nil {
		return Result{}, err
	}
	defer m.unlock()
	if m.active.Load() == nil {
		defer func() {
			if m.active.Load() == nil {
				m.ended.Store(true)
				r.remove(m) // the first deploy did not come through
			}
		}()
	}
	return m.deploy(ctx, req)
}

func (req *Request) validate() error {
	if err := errors.Join(abi.ValidateName("tenant", req.ID.Tenant), abi.ValidateName("module", req.ID.Module)); err != nil {
		return abi.AddressError(err)
	}
	if len(req.Config) > abi.MaxConfigBytes {
		return &abi.Error{Code: abi.CodeTooLarge, Text: fmt.Sprintf("a config of %d bytes, the limit is %d", len(req.Config), abi.MaxConfigBytes)}
	}
	if req.Config != nil {
		if err := pack.Valid(req.Config); err != nil {
			return &abi.Error{Code: abi.CodeBadRequest, Text: "config: " + err.Error(), Err: err}
		}
	}
	for _, g := range req.Grants {
		kind, target, ok := strings.Cut(g, "=")
		if !ok || target == "" || !slices.Contains(abi.Kinds(), abi.Kind(kind)) {
			return &abi.Error{Code: abi.CodeBadRequest, Text: fmt.Sprintf("grant %q is not EFFECT=TARGET with an effect kind, such as call=http:example.com", g)}
		}
	}
	return nil
}

// claim takes the module of a request for the deploy, making it if it is not there.
func (r *Registry) claim(ctx context.Context, req *Request) (*Module, error) {
	for {
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return nil, &abi.Error{Code: abi.CodeShuttingDown, Text: "the host is shutting down"}
		}
		m := r.deploying(req.ID)
		r.mu.Unlock()
		if err := m.acquire(ctx, req.RefuseBusy); err != nil {
			return nil, err
		}
		if !m.ended.Load() {
			return m, nil
		}
		m.unlock() // it was unloaded while we waited: another one takes its place
	}
}

// deploy runs the pipeline. REQUIRES: the module is acquired.
func (m *Module) deploy(ctx context.Context, req *Request) (Result, error) {
	row, err := m.readRow()
	if err != nil {
		return Result{}, err
	}
	digest := journal.Digest(sha256.Sum256(req.Wasm))
	if active := m.active.Load(); active != nil && req.Plugin && row.Plugin == digest {
		return Result{Info: active.info(true), Outcome: Unchanged, Previous: active.ID}, nil
	}
	rev := journal.Revision{Digest: digest, Created: time.Now().UnixNano(), Config: req.Config, Grants: encodeGrants(req.Grants)}
	last, err := m.inherit(&rev, req, &row)
	if err != nil {
		return Result{}, err
	}

	req.Progress(StageVerify)
	code, err := m.registry.config.Engine.Load(ctx, m.id.Tenant, req.Wasm)
	if err != nil {
		return Result{}, loadError(err)
	}
	manifest := code.Manifest()
	rev.Schema, rev.Manifest = manifest.Schema, manifest.Append(nil)
	if err := m.check(manifest, last, rev.Grants); err != nil {
		return Result{}, errors.Join(err, code.Close())
	}
	number, known, err := m.find(&rev)
	if err != nil {
		return Result{}, errors.Join(err, code.Close())
	}
	active := m.active.Load()
	if known && active != nil && active.RevisionRow.Number == number {
		if req.Plugin { // the next start is to find what this one was given
			b := new(journal.Batch)
			row.Plugin = digest
			journal.PutModule(b, m.id, &row)
			err = m.registry.commit(ctx, b)
		}
		return Result{Info: active.info(true), Outcome: Unchanged, Previous: active.ID}, errors.Join(err, code.Close())
	}
	if !known {
		number = row.Latest + 1
	}
	return m.activate(ctx, req, row, journal.RevisionRow{Number: number, Revision: rev}, code, known)
}

// activate makes a revision the active one (SEMANTICS D2). It takes over code.
func (m *Module) activate(ctx context.Context, req *Request, row journal.Module, rev journal.RevisionRow, code *engine.Module, known bool) (Result, error) {
	req.Progress(StagePrepare)
	next, previous := m.keep(rev, code), m.active.Load()
	flips, err := m.prepare(next)
	if err != nil {
		m.forget(next)
		return Result{}, err
	}

	req.Progress(StageActivate)
	row.Active, row.Latest = rev.Number, max(row.Latest, rev.Number)
	if req.Plugin {
		row.Plugin = rev.Digest
	}
	b := new(journal.Batch)
	if !known {
		journal.PutCode(b, bytes.Clone(req.Wasm))
		journal.PutRevision(b, m.id, rev.Number, &rev.Revision)
	}
	journal.PutModule(b, m.id, &row)
	if err := m.registry.commit(ctx, b); err != nil {
		if previous == nil {
			return Result{}, errors.Join(err, m.stop(context.WithoutCancel(ctx), notStarted))
		}
		for _, f := range flips {
			f.Undo()
		}
		m.forget(next)
		return Result{}, err
	}
	result := Result{Info: next.info(true), Outcome: Activated}
	if known {
		result.Outcome = Reactivated
	}
	for _, f := range flips {
		f.Do()
	}
	m.answer(next)
	if previous == nil {
		if m.registry.config.Loaded != nil {
			m.registry.config.Loaded(m.id)
		}
		return result, m.startEffects(context.WithoutCancel(ctx), false)
	}
	result.Previous = previous.ID

	req.Progress(StageDrain)
	m.drain(context.WithoutCancel(ctx)) // the record is made: that the caller goes away changes nothing
	return result, nil
}

// prepare makes an instance of a revision for each shard; those of a first deploy are made too, and need no flip.
func (m *Module) prepare(next *revision) ([]shard.Flip, error) {
	if m.active.Load() == nil {
		if err := m.start(next); err != nil {
			return nil, startError(err)
		}
		return nil, nil
	}
	var flips []shard.Flip
	for _, s := range m.places {
		f, err := s.Prepare(next.Revision)
		if err != nil {
			for _, f := range flips {
				f.Undo()
			}
			return nil, startError(err)
		}
		flips = append(flips, f)
	}
	return flips, nil
}

// drain lets the stores leave the revisions that are not active. What a failing journal keeps from leaving now leaves with the next deploy or at its own next action.
func (m *Module) drain(ctx context.Context) {
	drained := true
	for _, s := range m.places {
		drained = s.Drain(ctx) == nil && drained
	}
	if drained {
		m.collect()
	}
}

// forget closes a revision that did not become active.
func (m *Module) forget(r *revision) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.revs[r.RevisionRow.Number] == r && m.active.Load() != r {
		delete(m.revs, r.RevisionRow.Number)
		r.close()
	}
}

// readRow is what the journal knows of the module: a module without a row has none of its own yet.
func (m *Module) readRow() (journal.Module, error) {
	row, err := journal.ReadModule(m.registry.config.Backend, m.id)
	if err != nil && !errors.Is(err, journal.ErrNotFound) {
		return row, &abi.Error{Code: abi.CodeInternal, Text: "read module " + m.id.String(), Err: err}
	}
	return row, nil
}

// inherit fills in the config and grants that a request leaves out, from the last revision that was active. It returns that, nil when there was none.
func (m *Module) inherit(rev *journal.Revision, req *Request, row *journal.Module) (*journal.Revision, error) {
	number := row.Active
	if number == 0 {
		number = row.Latest
	}
	if number == 0 {
		return nil, nil
	}
	last, err := journal.ReadRevision(m.registry.config.Backend, m.id, number)
	if err != nil {
		return nil, &abi.Error{Code: abi.CodeInternal, Text: "read the last revision of module " + m.id.String(), Err: err}
	}
	if req.Config == nil {
		rev.Config = last.Config
	}
	if req.Grants == nil {
		rev.Grants = last.Grants
	}
	return &last, nil
}

// check refuses what this host cannot run in the place of the last revision.
func (m *Module) check(manifest *abi.Manifest, last *journal.Revision, grants []byte) error {
	if last != nil && manifest.Schema != last.Schema {
		return &abi.Error{Code: abi.CodeSchemaChanged, Text: fmt.Sprintf(
			"the module has schema %d and the stores of %s have %d: a replacement must keep the schema number", manifest.Schema, m.id, last.Schema)}
	}
	if last == nil {
		return nil // a first deploy is granted what it declares (SEMANTICS D1)
	}
	var before abi.Manifest
	if err := before.Decode(last.Manifest); err != nil {
		return &abi.Error{Code: abi.CodeInternal, Text: "read the manifest of the last revision", Err: err}
	}
	if more := undeclared(manifest, &before, decodeGrants(grants)); len(more) > 0 {
		return &abi.Error{Code: abi.CodeUndeclaredEffect, Text: fmt.Sprintf(
			"the module declares effects that the active revision does not, and that nobody granted: %s", strings.Join(more, ", "))}
	}
	return nil
}

// find looks for a revision of the same bytes, config and grants.
func (m *Module) find(rev *journal.Revision) (number uint64, known bool, err error) {
	for row, err := range journal.Revisions(m.registry.config.Backend, m.id) {
		if err != nil {
			return 0, false, &abi.Error{Code: abi.CodeInternal, Text: "read the revisions of module " + m.id.String(), Err: err}
		}
		if row.Digest == rev.Digest && bytes.Equal(row.Config, rev.Config) && bytes.Equal(row.Grants, rev.Grants) {
			return row.Number, true, nil
		}
	}
	return 0, false, nil
}

func encodeGrants(grants []string) []byte {
	if grants == nil {
		return nil
	}
	b := pack.AppendArrayLen(nil, len(grants))
	for _, g := range grants {
		b = pack.AppendString(b, g)
	}
	return b
}

func loadError(err error) error {
	var refused *engine.LoadError
	switch {
	case errors.As(err, &refused):
		return &abi.Error{Code: abi.CodeBadModule, Text: err.Error(), Err: err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &abi.Error{Code: abi.CodeCanceled, Text: "the deploy was cancelled", Err: err}
	}
	return &abi.Error{Code: abi.CodeInternal, Text: "load the module: " + err.Error(), Err: err}
}

func startError(err error) error {
	return &abi.Error{Code: abi.CodeBadModule, Text: "the module does not start: " + err.Error(), Err: err}
}
