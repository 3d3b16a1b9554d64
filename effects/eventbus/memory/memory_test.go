package memory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/abi/pack"
	"github.com/crhost/crhost/effects/eventbus"
	"github.com/crhost/crhost/effects/eventbus/eventbustest"
	"github.com/crhost/crhost/effects/eventbus/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const pending = 1000

func TestConformance(t *testing.T) {
	eventbustest.Run(t, func() eventbus.Bus { return memory.New(memory.Config{Pending: pending}) }, eventbustest.Features{Bubble: true, Pending: pending})
}

// As in life, with the clock and the scheduler that there are.
func TestConformance_realTime(t *testing.T) {
	open := func() eventbus.Bus {
		return memory.New(memory.Config{Pending: pending, MinDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond})
	}
	eventbustest.Run(t, open, eventbustest.Features{Pending: pending})
}

func BenchmarkBus(b *testing.B) {
	eventbustest.Benchmark(b, func() eventbus.Bus { return memory.New(memory.Config{}) })
}

func message(id string) eventbus.Message {
	return eventbus.Message{ID: id, Topic: "t", Key: "key", Body: pack.AppendString(nil, id)}
}

// taken subscribes, and returns a function that says what has come until now. To be called in a bubble.
func taken(t *testing.T, b *memory.Bus, h func(eventbus.Delivery) error) func() []string {
	var got []string
	s, err := b.Subscribe(context.Background(), "t", "g", func(_ context.Context, d eventbus.Delivery) error {
		got = append(got, d.ID)
		if h != nil {
			return h(d)
		}
		return nil
	})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return func() []string {
		synctest.Wait()
		return append([]string{}, got...)
	}
}

func TestPublish_windowByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Config{Window: time.Minute})
		got := taken(t, b, nil)
		publish := func() { require.NoError(t, b.Publish(t.Context(), message("a"))) }
		publish()
		<-time.After(time.Minute)
		publish()
		require.Equal(t, []string{"a"}, got(), "in the window")
		<-time.After(time.Nanosecond)
		publish()
		require.Equal(t, []string{"a", "a"}, got(), "after it")
		publish()
		require.Equal(t, []string{"a", "a"}, got(), "in a new one")
	})
}

func TestPublish_windowByCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Config{WindowIDs: 3})
		got := taken(t, b, nil)
		for _, id := range []string{"a", "b", "c", "a", "b", "c", "d", "b", "a", "d"} {
			require.NoError(t, b.Publish(t.Context(), message(id)))
		}
		require.Equal(t, []string{"a", "b", "c", "d", "a"}, got(), "d took the place of a, a that of b")
	})
}

func TestDelay_doublesUpToItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed []error
		b := memory.New(memory.Config{MinDelay: time.Second, MaxDelay: 6 * time.Second, Failed: func(group string, d eventbus.Delivery, err error) {
			require.Equal(t, "g", group)
			failed = append(failed, fmt.Errorf("%s %d: %w", d.ID, d.Attempt, err))
		}})
		began := time.Now()
		var at []time.Duration
		wrong := errors.New("wrong")
		got := taken(t, b, func(d eventbus.Delivery) error {
			at = append(at, time.Since(began)/time.Second)
			switch d.Attempt {
			case 5:
				panic(wrong)
			case 6:
				return nil
			}
			return wrong
		})
		require.NoError(t, b.Publish(t.Context(), message("a")))
		<-time.After(time.Hour)
		require.Len(t, got(), 6)
		require.Equal(t, []time.Duration{0, 1, 3, 7, 13, 19}, at)
		require.Len(t, failed, 5)
		require.ErrorIs(t, failed[0], wrong)
		require.EqualError(t, failed[3], "a 4: wrong")
		require.ErrorContains(t, failed[4], "a 5: handler panicked: wrong\n")
		require.True(t, strings.Contains(failed[4].Error(), "memory_test.go"), "it says where")
	})
}

func TestPublish_fullByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New(memory.Config{PendingBytes: 100})
		wait := make(chan struct{})
		got := taken(t, b, func(eventbus.Delivery) error { <-wait; return nil })
		big := message("big")
		big.Body = pack.AppendBin(nil, make([]byte, 200))
		require.NoError(t, b.Publish(t.Context(), big), "an empty group takes anything")
		err := b.Publish(t.Context(), message("small"))
		require.ErrorIs(t, err, eventbus.ErrFull)
		require.EqualError(t, err, `topic t: group full: "g" has 1 messages to handle`)
		close(wait)
		require.Equal(t, []string{"big"}, got())
		require.NoError(t, b.Publish(t.Context(), message("small")))
		require.Equal(t, []string{"big", "small"}, got())
	})
}

// What nobody listens to leaves nothing behind.
func TestBus_forgetsTopics(t *testing.T) {
	b := memory.New(memory.Config{})
	s, err := b.Subscribe(t.Context(), "t", "", func(context.Context, eventbus.Delivery) error { return nil })
	require.NoError(t, err)
	require.Equal(t, 1, b.Topics())
	s.Close()
	require.NoError(t, b.Publish(t.Context(), message("a")))
	require.Zero(t, b.Topics())
}
