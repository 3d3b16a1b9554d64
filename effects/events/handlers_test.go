package events_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects"
	busmemory "github.com/crhost/crhost/effects/eventbus/memory"
	"github.com/crhost/crhost/effects/events"
	eventmemory "github.com/crhost/crhost/effects/eventstore/memory"
)

// Only what can be performed has a handler: the others are told so, and not to a nil.
func TestHandlers(t *testing.T) {
	bus := busmemory.New(busmemory.Config{})
	defer bus.Close()
	none := func(string, string) (events.Projection, bool) { return nil, false }
	for _, c := range []struct {
		config events.Config
		kinds  []abi.Kind
	}{
		{events.Config{}, nil},
		{events.Config{Store: eventmemory.New()}, []abi.Kind{abi.KindAppend, abi.KindLoad}},
		{events.Config{Bus: bus}, []abi.Kind{abi.KindPublish}},
		{events.Config{Store: eventmemory.New(), Bus: bus, Projection: none}, []abi.Kind{abi.KindPublish, abi.KindAppend, abi.KindLoad, abi.KindProject}},
	} {
		require.NoError(t, c.config.Validate())
		registry := effects.Registry{Kinds: events.Handlers(c.config)}
		require.NoError(t, registry.Validate())
		var kinds []abi.Kind
		for _, kind := range abi.Kinds() {
			if _, ok := registry.Kinds[kind]; ok {
				kinds = append(kinds, kind)
			}
		}
		require.Equal(t, c.kinds, kinds)
	}
}

func TestConfig_Validate(t *testing.T) {
	err := events.Config{LoadEvents: -1, LoadBytes: -2, Projection: func(string, string) (events.Projection, bool) { return nil, false }}.Validate()
	require.EqualError(t, err, "LoadEvents is -1, want 1 or more, or 0 for the default\n"+
		"LoadBytes is -2, want 1 or more, or 0 for the default\n"+
		"a Projection without the Store that its events are in")
}
