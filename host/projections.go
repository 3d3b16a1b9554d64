package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/events"
	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/projection"
)

// projections are the read models of a host: each projection for each tenant that has asked for it. They follow the event store from then on.
type projections struct {
	log    eventstore.Store
	models projection.Store
	all    []projection.Projection
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards runners
	runners map[readModel]*runner
}

type readModel struct{ tenant, name string }

type runner struct {
	*projection.Runner
	name string // scoped
}

func newProjections(log eventstore.Store, models projection.Store, all []projection.Projection) *projections {
	p := &projections{log: log, models: models, all: all, runners: make(map[readModel]*runner)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// of returns a tenant's runner of a projection, starting it when it is the first that asks.
func (p *projections) of(tenant, name string) (*runner, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := readModel{tenant, name}
	if r := p.runners[id]; r != nil {
		return r, true
	}
	at := slices.IndexFunc(p.all, func(other projection.Projection) bool { return other.Name() == name })
	if at < 0 || p.ctx.Err() != nil {
		return nil, false
	}
	scoped, err := events.Of(tenant, p.all[at])
	if err != nil {
		return nil, false
	}
	made, err := projection.New(p.log, p.models, scoped, projection.Config{})
	if err != nil {
		return nil, false
	}
	r := &runner{made, scoped.Name()}
	p.runners[id] = r
	p.wg.Go(func() { _ = r.Run(p.ctx) }) // it ends with the host; what stops it before is in its status
	return r, true
}

// close ends the runners, and waits for them as long as ctx lasts.
func (p *projections) close(ctx context.Context) error {
	p.mu.Lock()
	p.stop() // no other begins
	p.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		p.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("projections: %w", ctx.Err())
	}
}

// closeEffects ends what performs effects.
func (h *Host) closeEffects(ctx context.Context) error {
	h.http.Close()
	var err error
	if h.projections != nil {
		err = h.projections.close(ctx)
	}
	for _, c := range h.owned {
		err = errors.Join(err, c.Close())
	}
	return err
}

// ReadRow is a row of a read model.
type ReadRow struct {
	Key   string
	Value []byte // msgpack
}

// ReadModel reads rows of a tenant's read model whose keys begin with prefix and come after a key, at most limit (0 = DefaultStoresLimit), in their
// order. position is that of the newest event in it. Errors are *Error, CodeNotFound for a projection that the host does not have.
func (h *Host) ReadModel(ctx context.Context, tenant, name, prefix, after string, limit int) (rows []ReadRow, position uint64, err error) {
	r, err := h.readModel(tenant, name)
	if err != nil {
		return nil, 0, err
	}
	page, err := h.projections.models.List(ctx, r.name, prefix, after, cmp.Or(limit, DefaultStoresLimit))
	if errors.Is(err, projection.ErrNotFound) {
		return nil, 0, nil // it has not begun
	}
	if err != nil {
		return nil, 0, &Error{Code: abi.CodeInternal, Text: "read projection " + name, Err: err}
	}
	for _, row := range page.Rows {
		rows = append(rows, ReadRow{row.Key, row.Value})
	}
	return rows, page.Checkpoint, nil
}

// RebuildReadModel makes a tenant's read model anew from the first event on. Readers see the old one until the new one has caught up. Errors are *Error.
func (h *Host) RebuildReadModel(ctx context.Context, tenant, name string) error {
	r, err := h.readModel(tenant, name)
	if err != nil {
		return err
	}
	build, err := r.Rebuild(ctx)
	if err == nil {
		err = r.WaitBuild(ctx, build)
	}
	if err != nil {
		return &Error{Code: abi.CodeInternal, Text: "rebuild projection " + name, Err: err}
	}
	return nil
}

func (h *Host) readModel(tenant, name string) (*runner, error) {
	r, ok := h.projections.of(cmp.Or(tenant, abi.DefaultTenant), name)
	if !ok {
		return nil, &Error{Code: abi.CodeNotFound, Text: fmt.Sprintf("there is no projection %q", name)}
	}
	return r, nil
}
