package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/eventbus"
	"github.com/crhost/crhost/effects/retry"
)

// FullWait is how long a publish to a full topic is put off at least.
const FullWait = time.Second

func (c Config) publish(ctx context.Context, r *effects.Request) ([]byte, error) {
	topic, err := Scope(r.Store.Tenant, r.Effect.Target)
	if err != nil {
		return nil, refused(codeInvalid, err)
	}
	err = c.Bus.Publish(ctx, eventbus.Message{
		ID: r.Key, Topic: topic, Key: r.Effect.Key, Body: r.Effect.Body, Time: time.Now().UnixNano(), Metadata: metadata(r),
	})
	result := pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, 1), "topic"), r.Effect.Target)
	switch {
	case err == nil:
		return result, nil
	case errors.Is(err, eventbus.ErrInvalid):
		return nil, refused(codeInvalid, err)
	case errors.Is(err, eventbus.ErrFull):
		message := "a group of " + r.Effect.Target + " has no room" // which one is the subscribers' business
		return nil, retry.After(FullWait, &effects.Error{Code: codeFull, Message: message, Fields: result, Err: err})
	}
	return nil, fmt.Errorf("publish to %s: %w", r.Effect.Target, err)
}
