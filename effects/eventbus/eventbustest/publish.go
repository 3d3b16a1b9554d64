package eventbustest

import (
	"context"
	"errors"
	"math"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/eventbus"
)

func publishChecks() []check {
	return []check{
		{name: "publish/everything of a message", run: func(k *kit) {
			in := k.inbox()
			in.join("t", "g", nil)
			want := message("t", "key", "a")
			want.Time = math.MinInt64
			require.NoError(k, k.Publish(k.ctx, want))
			bare := eventbus.Message{ID: "b", Topic: "t", Body: []byte{0xc0}}
			require.NoError(k, k.Publish(k.ctx, bare))
			in.await(2)
			for _, got := range in.given {
				if len(got.Metadata) == 0 {
					got.Metadata = nil
				}
				require.Equal(k, map[string]eventbus.Message{"a": want, "b": bare}[got.ID], got.Message)
				require.Equal(k, 1, got.Attempt)
			}
		}},
		{name: "publish/refuses what cannot be right", run: func(k *kit) {
			in := k.inbox()
			in.join("t", "", nil)
			long := strings.Repeat("x", 257)
			for name, change := range map[string]func(*eventbus.Message){
				"no id":        func(m *eventbus.Message) { m.ID = "" },
				"long id":      func(m *eventbus.Message) { m.ID = long },
				"no topic":     func(m *eventbus.Message) { m.Topic = "" },
				"control":      func(m *eventbus.Message) { m.Topic = "a\nb" },
				"long key":     func(m *eventbus.Message) { m.Key = long },
				"no body":      func(m *eventbus.Message) { m.Body = nil },
				"two values":   func(m *eventbus.Message) { m.Body = []byte{0xc0, 0xc0} },
				"bad metadata": func(m *eventbus.Message) { m.Metadata = []byte{0xc1} },
				"much":         func(m *eventbus.Message) { m.Body = pack.AppendBin(nil, make([]byte, eventbus.MaxMessageBytes)) },
			} {
				m := message("t", "", "a")
				change(&m)
				require.ErrorIs(k, k.Publish(k.ctx, m), eventbus.ErrInvalid, name)
			}
			for _, c := range [][2]string{{"", "g"}, {"t", long}, {"a\nb", ""}} {
				_, err := k.Subscribe(k.ctx, c[0], c[1], nil)
				require.ErrorIs(k, err, eventbus.ErrInvalid)
				require.ErrorIs(k, k.Forget(k.ctx, c[0], c[1]), eventbus.ErrInvalid)
			}
			require.Empty(k, in.settled())
		}},
		{name: "publish/takes what is at the bounds", run: func(k *kit) {
			longest := strings.Repeat("é", 128)
			in := k.inbox()
			in.join(longest, longest, nil)
			big := message(longest, longest, longest)
			big.Body, big.Metadata = pack.AppendBin(nil, make([]byte, eventbus.MaxMessageBytes-5)), nil
			require.NoError(k, k.Publish(k.ctx, big))
			require.Equal(k, []string{longest}, in.await(1))
		}},
		{name: "publish/bytes are the caller's again", run: func(k *kit) {
			wait, open := k.gate()
			in := k.inbox()
			in.join("t", "g", func(context.Context, eventbus.Delivery) error { <-wait; return nil })
			k.publish("t", "", "first")
			in.await(1) // the member is busy
			m := message("t", "", "a")
			require.NoError(k, k.Publish(k.ctx, m))
			clear(m.Body)
			clear(m.Metadata)
			open()
			in.await(2)
			require.Equal(k, message("t", "", "a").Body, in.given[1].Body)
			require.Equal(k, message("t", "", "a").Metadata, in.given[1].Metadata)
		}},
		{name: "publish/cancelled", run: func(k *kit) {
			in := k.inbox()
			in.join("t", "g", nil)
			gone := errors.New("gone")
			ctx, cancel := context.WithCancelCause(k.ctx)
			cancel(gone)
			require.ErrorIs(k, k.Publish(ctx, message("t", "", "a")), gone)
			_, err := k.Subscribe(ctx, "t", "g", nil)
			require.ErrorIs(k, err, gone)
			require.Empty(k, in.settled())
		}},
		{name: "publish/an id once (E1)", run: func(k *kit) {
			in, other := k.inbox(), k.inbox()
			in.join("t", "g", nil)
			other.join("u", "g", nil)
			k.publish("t", "key", "a", "b", "a")
			changed := message("t", "key", "b")
			changed.Body = []byte{0xc0}
			require.NoError(k, k.Publish(k.ctx, changed))
			k.publish("u", "key", "a") // a topic has its own ids
			k.publish("t", "key", "c", "a")
			require.Equal(k, []string{"a", "b", "c"}, in.settled())
			require.Equal(k, []string{"a"}, other.settled())
		}},
	}
}
