package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/eventbus"
	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/projection"
)

// Defaults of Config. Together they leave room in an action of the default size.
const (
	DefaultLoadEvents = 100
	DefaultLoadBytes  = 48 << 10
)

// Config is what the leaves are performed on.
type Config struct {
	Store eventstore.Store // of append, load and project; nil: nobody performs them
	Bus   eventbus.Bus     // of publish; nil: nobody performs it

	// Projection finds a projection of a tenant. It must not block. nil: nobody performs project.
	Projection func(tenant, name string) (Projection, bool)

	LoadEvents int // in one answer to a load, at most. Defaults to DefaultLoadEvents
	LoadBytes  int // of the events in it, unless a single one has more. Defaults to DefaultLoadBytes
}

// Projection is what a project needs of a runner; see there.
type Projection interface {
	Wait(ctx context.Context, position uint64) error
}

var _ Projection = (*projection.Runner)(nil)

// Validate reports all that is wrong.
func (c Config) Validate() error {
	var faults []error
	if c.LoadEvents < 0 {
		faults = append(faults, fmt.Errorf("LoadEvents is %d, want 1 or more, or 0 for the default", c.LoadEvents))
	}
	if c.LoadBytes < 0 {
		faults = append(faults, fmt.Errorf("LoadBytes is %d, want 1 or more, or 0 for the default", c.LoadBytes))
	}
	if c.Projection != nil && c.Store == nil {
		faults = append(faults, errors.New("a Projection without the Store that its events are in"))
	}
	return errors.Join(faults...)
}

// Handlers returns the handlers of the kinds that c has what it takes for, as effects.Registry has them.
//
// REQUIRES: c.Validate finds nothing.
func Handlers(c Config) map[abi.Kind]effects.Handler {
	c.LoadEvents, c.LoadBytes = cmp.Or(c.LoadEvents, DefaultLoadEvents), cmp.Or(c.LoadBytes, DefaultLoadBytes)
	handlers := map[abi.Kind]effects.Handler{}
	if c.Store != nil {
		handlers[abi.KindAppend] = effects.HandlerFunc(c.append)
		handlers[abi.KindLoad] = effects.HandlerFunc(c.load)
	}
	if c.Bus != nil {
		handlers[abi.KindPublish] = effects.HandlerFunc(c.publish)
	}
	if c.Projection != nil {
		handlers[abi.KindProject] = effects.HandlerFunc(c.project)
	}
	return handlers
}

// metadata says where an event comes from.
func metadata(r *effects.Request) []byte {
	b := pack.AppendMapLen(nil, 3)
	b = pack.AppendString(pack.AppendString(b, "store"), r.Store.String())
	b = pack.AppendString(pack.AppendString(b, "correlation"), r.Correlation)
	return pack.AppendString(pack.AppendString(b, "causation"), r.Key)
}
