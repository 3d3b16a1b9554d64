package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/retry"
)

func (c Config) append(ctx context.Context, r *effects.Request) ([]byte, error) {
	stream, err := Scope(r.Store.Tenant, r.Effect.Target)
	if err != nil {
		return nil, refused(codeInvalid, err)
	}
	events, err := eventsOf(r)
	if err != nil {
		return nil, refused(codeInvalid, err)
	}
	expect := eventstore.Any
	if r.Effect.Expect != nil {
		expect = *r.Effect.Expect
	}
	at, err := c.Store.Append(ctx, stream, expect, events)
	if err != nil {
		return nil, explainAppend(r.Effect.Target, err)
	}
	b := pack.AppendMapLen(nil, 3)
	b = pack.AppendString(pack.AppendString(b, "stream"), r.Effect.Target)
	b = pack.AppendUint(pack.AppendString(b, "version"), at.LastVersion)
	return pack.AppendUint(pack.AppendString(b, "position"), at.LastPosition), nil
}

// eventsOf are the events of an append, as the store takes them.
func eventsOf(r *effects.Request) ([]eventstore.Event, error) {
	events := make([]eventstore.Event, len(r.Effect.Events))
	now, origin := time.Now().UnixNano(), metadata(r)
	for i, b := range r.Effect.Events {
		e, err := readEvent(b)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		e.ID, e.Time, e.Metadata = eventID(r.Key, i), now, origin
		events[i] = e
	}
	return events, nil
}

func explainAppend(stream string, err error) error {
	var conflict *eventstore.ConflictError
	switch {
	case errors.As(err, &conflict):
		b := pack.AppendMapLen(nil, 3)
		b = pack.AppendString(pack.AppendString(b, "stream"), stream)
		b = pack.AppendInt(pack.AppendString(b, "want"), conflict.Want)
		b = pack.AppendUint(pack.AppendString(b, "have"), conflict.Have)
		message := fmt.Sprintf("%s: expected version %d, has %d", stream, conflict.Want, conflict.Have)
		return retry.Permanent(&effects.Error{Code: codeConflict, Message: message, Fields: b, Err: err})
	case errors.Is(err, eventstore.ErrReused):
		return refused(codeReused, err)
	case errors.Is(err, eventstore.ErrInvalid):
		return refused(codeInvalid, err)
	}
	return fmt.Errorf("append to %s: %w", stream, err)
}
