package events

import (
	"context"
	"errors"
	"fmt"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/projection"
)

func (c Config) project(ctx context.Context, r *effects.Request) ([]byte, error) {
	body := pack.NewReader(r.Effect.Body)
	position := body.Uint()
	body.End()
	if err := body.Err(); err != nil {
		return nil, refused(codeInvalid, fmt.Errorf("the body is no position of an event: %w", err))
	}
	if _, err := Scope(r.Store.Tenant, r.Effect.Target); err != nil {
		return nil, refused(codeInvalid, err)
	}
	p, ok := c.Projection(r.Store.Tenant, r.Effect.Target)
	if !ok {
		return nil, refused(codeUnknownProjection, fmt.Errorf("there is no projection %s", r.Effect.Target))
	}
	if err := c.find(ctx, r.Store.Tenant, position); err != nil {
		return nil, err
	}
	err := p.Wait(ctx, position)
	var failed *projection.FailedError
	switch {
	case err == nil:
		return placeOf(r.Effect.Target, position), nil
	case errors.As(err, &failed):
		return nil, &effects.Error{Code: codeProjectionFailed, Fields: placeOf(r.Effect.Target, failed.Position), Err: err}
	}
	return nil, fmt.Errorf("project %d to %s: %w", position, r.Effect.Target, err)
}

// find looks for the event of a tenant: to wait for one that never comes would be to wait for ever.
func (c Config) find(ctx context.Context, tenant string, position uint64) error {
	missing := refused(codeNotFound, fmt.Errorf("no event is at position %d", position))
	if position == 0 {
		return missing
	}
	events, err := c.Store.All(ctx, position-1, 1)
	if err != nil {
		return fmt.Errorf("find event %d: %w", position, err)
	}
	if len(events) == 0 || events[0].Position != position {
		return missing
	}
	if owner, _, ok := Split(events[0].Stream); !ok || owner != tenant {
		return missing
	}
	return nil
}

func placeOf(name string, position uint64) []byte {
	b := pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 2), "projection"), name)
	return pack.AppendUint(pack.AppendString(b, "position"), position)
}

// Of is p for one tenant: it is called tenant/name, is given the tenant's events only, and their streams have the names that the tenant gave
// them. It moves on over the events of others, so that positions mean the same to all. Errors are ErrName.
func Of(tenant string, p projection.Projection) (projection.Projection, error) {
	name, err := Scope(tenant, p.Name())
	if err != nil {
		return nil, err
	}
	return scoped{p, tenant, name}, nil
}

type scoped struct {
	projection.Projection
	tenant, name string
}

func (s scoped) Name() string { return s.name }

func (s scoped) Apply(ctx context.Context, tx projection.Tx, e eventstore.Event) error {
	tenant, stream, ok := Split(e.Stream)
	if !ok || tenant != s.tenant {
		return nil
	}
	e.Stream = stream
	return s.Projection.Apply(ctx, tx, e)
}
