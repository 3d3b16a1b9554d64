package events_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/events"
	"github.com/crhost/crhost/effects/eventstore"
	eventmemory "github.com/crhost/crhost/effects/eventstore/memory"
)

// filled is a store with n events in acme's stream s, of some 60 bytes each in an answer, and one in another tenant's.
func filled(t *testing.T, n int) *eventmemory.Store {
	store := eventmemory.New()
	var list []eventstore.Event
	for i := range n {
		list = append(list, eventstore.Event{ID: fmt.Sprint(i), Type: "t", Schema: 2, Time: int64(i), Data: pack.AppendInt(nil, int64(i))})
	}
	_, err := store.Append(t.Context(), "other/s", eventstore.Any, []eventstore.Event{{ID: "x", Type: "secret", Data: []byte{0xc0}}})
	require.NoError(t, err)
	if n > 0 {
		_, err = store.Append(t.Context(), "acme/s", eventstore.Any, list)
		require.NoError(t, err)
	}
	return store
}

// short is a store that answers with fewer events than it was asked for.
type short struct{ eventstore.Store }

func (s short) Load(ctx context.Context, stream string, from uint64, limit int) ([]eventstore.Event, error) {
	return s.Store.Load(ctx, stream, from, min(limit, 2))
}

func TestLoad_pages(t *testing.T) {
	for name, c := range map[string]struct {
		n, events, bytes int
		from             uint64
		first, last      uint64 // of the page; first 0: it is empty
		more             bool
	}{
		"all":              {3, 0, 0, 0, 1, 3, false},
		"from 1":           {3, 0, 0, 1, 1, 3, false},
		"from the middle":  {3, 0, 0, 2, 2, 3, false},
		"behind the end":   {3, 0, 0, 4, 0, 3, false},
		"nothing there":    {0, 0, 0, 0, 0, 0, false},
		"just the page":    {3, 3, 0, 0, 1, 3, false},
		"more than events": {7, 5, 0, 0, 1, 5, true},
		"the next page":    {7, 5, 0, 6, 6, 7, false},
		"more than bytes":  {7, 0, 150, 0, 1, 2, true},
		"a large one":      {7, 0, 1, 0, 1, 1, true},
		"a large last one": {7, 0, 1, 7, 7, 7, false},
		"the default":      {101, 0, 0, 0, 1, 100, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, store := range []eventstore.Store{filled(t, c.n), short{filled(t, c.n)}} {
				config := events.Config{Store: store, LoadEvents: c.events, LoadBytes: c.bytes}
				got := do(t, config, request("l/1/0", abi.Effect{Kind: abi.KindLoad, Target: "s", From: c.from}))
				require.EqualValues(t, c.last, got["version"])
				require.Equal(t, c.more, got["more"])
				require.Equal(t, "s", got["stream"])
				list := got["events"].([]any)
				if c.first == 0 {
					require.Empty(t, list)
					continue
				}
				require.Len(t, list, int(c.last-c.first+1))
				require.EqualValues(t, c.first, list[0].(object)["version"])
			}
		})
	}
}

func TestLoad_bytes(t *testing.T) {
	result, err := events.Handlers(events.Config{Store: filled(t, 2)})[abi.KindLoad].Do(t.Context(), request("l/1/0", abi.Effect{Kind: abi.KindLoad, Target: "s", From: 2}))
	require.NoError(t, err)
	at := pack.AppendTime(nil, time.Unix(0, 1))
	require.Equal(t, "\x84\xa6stream\xa1s\xa7version\x02\xa6events\x91"+
		"\x86\xa4type\xa1t\xa6schema\x02\xa7version\x02\xa8position\x03\xa4time"+string(at)+"\xa4data\x01"+
		"\xa4more\xc2", string(result))
}

func TestLoad_invalid(t *testing.T) {
	action, _ := fail(t, events.Config{Store: filled(t, 1)}, request("l/1/0", abi.Effect{Kind: abi.KindLoad, Target: "a\nb"}))
	require.Equal(t, "invalid", action["code"])
}
