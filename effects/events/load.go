package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/eventstore"
)

func (c Config) load(ctx context.Context, r *effects.Request) ([]byte, error) {
	stream, err := Scope(r.Store.Tenant, r.Effect.Target)
	if err != nil {
		return nil, refused(codeInvalid, err)
	}
	p := page{version: max(r.Effect.From, 1) - 1}
	for !p.more {
		// One beyond the page says whether there are more. Short answers mean nothing: only an empty one is the end.
		events, err := c.Store.Load(ctx, stream, p.version+1, c.LoadEvents+1-p.n)
		if errors.Is(err, eventstore.ErrInvalid) {
			return nil, refused(codeInvalid, err)
		}
		if err != nil {
			return nil, fmt.Errorf("load %s from %d: %w", r.Effect.Target, p.version+1, err)
		}
		if len(events) == 0 {
			break
		}
		for i := 0; i < len(events) && !p.more; i++ {
			p.add(&events[i], c.LoadEvents, c.LoadBytes)
		}
	}
	return p.result(r.Effect.Target), nil
}

// page is an answer under way.
type page struct {
	n       int    // events in it
	events  []byte // their encodings
	version uint64 // of the last
	more    bool   // there is one that did not fit
}

func (p *page) add(e *eventstore.Event, maxEvents, maxBytes int) {
	before := len(p.events)
	b := pack.AppendMapLen(p.events, 6)
	b = pack.AppendString(pack.AppendString(b, "type"), e.Type)
	b = pack.AppendUint(pack.AppendString(b, "schema"), uint64(e.Schema))
	b = pack.AppendUint(pack.AppendString(b, "version"), e.Version)
	b = pack.AppendUint(pack.AppendString(b, "position"), e.Position)
	b = pack.AppendTime(pack.AppendString(b, "time"), time.Unix(0, e.Time))
	b = append(pack.AppendString(b, "data"), e.Data...)
	if p.n == maxEvents || p.n > 0 && len(b) > maxBytes {
		p.events, p.more = b[:before], true
		return
	}
	p.events, p.version = b, e.Version
	p.n++
}

func (p *page) result(stream string) []byte {
	b := pack.AppendMapLen(make([]byte, 0, len(p.events)+len(stream)+64), 4)
	b = pack.AppendString(pack.AppendString(b, "stream"), stream)
	b = pack.AppendUint(pack.AppendString(b, "version"), p.version)
	b = append(pack.AppendArrayLen(pack.AppendString(b, "events"), p.n), p.events...)
	return pack.AppendBool(pack.AppendString(b, "more"), p.more)
}
