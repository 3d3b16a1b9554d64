package memory_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/effects/eventstore"
	"github.com/crhost/crhost/effects/eventstore/eventstoretest"
	"github.com/crhost/crhost/effects/eventstore/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open() eventstore.Store { return memory.New() }

func TestConformance(t *testing.T) {
	eventstoretest.Run(t, open, eventstoretest.Features{Bubble: true})
}

// As in life, with the clock and the scheduler that there are.
func TestConformance_realTime(t *testing.T) {
	eventstoretest.Run(t, open, eventstoretest.Features{})
}

func BenchmarkStore(b *testing.B) { eventstoretest.Benchmark(b, open) }

// More events than lie in one chunk are found again wherever they lie.
func TestLog_chunks(t *testing.T) {
	ctx, s := context.Background(), memory.New()
	const appends, each = 30, 100
	for i := range appends {
		var events []eventstore.Event
		for j := range each {
			events = append(events, eventstore.Event{ID: fmt.Sprint(i*each + j + 1), Type: "t", Data: []byte{0xc0}})
		}
		_, err := s.Append(ctx, fmt.Sprint(i%2), eventstore.Any, events)
		require.NoError(t, err)
	}
	all, err := s.All(ctx, 0, 1<<20)
	require.NoError(t, err)
	require.Len(t, all, appends*each)
	for i, e := range all {
		require.Equal(t, uint64(i+1), e.Position)
		require.Equal(t, fmt.Sprint(e.Position), e.ID)
	}
	odd, err := s.Load(ctx, "1", 1024, 200)
	require.NoError(t, err)
	require.Equal(t, uint64(1024), odd[0].Version)
	require.Equal(t, "2124", odd[0].ID) // the 24th of the eleventh append to the stream, which is number 21 of all
}

// Everything at once, for the race detector.
func TestStore_hammer(t *testing.T) {
	ctx, s := context.Background(), memory.New()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				stream := fmt.Sprint(i % 5)
				at, err := s.Append(ctx, stream, eventstore.Any, []eventstore.Event{{ID: fmt.Sprintf("%d/%d", g, i), Type: "t", Data: []byte{0xc0}}})
				if err != nil {
					t.Error(err)
				}
				_, loaded := s.Load(ctx, stream, at.FirstVersion, 10)
				_, all := s.All(ctx, at.LastPosition-1, 10)
				saved := s.SaveSnapshot(ctx, stream, eventstore.Snapshot{Version: at.LastVersion, Data: []byte{1}})
				_, snapshot := s.LoadSnapshot(ctx, stream)
				_, head := s.Head(ctx)
				for _, err := range []error{loaded, all, saved, snapshot, head, s.Wait(ctx, at.FirstPosition-1)} {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	head, err := s.Head(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 8*300, head)
}
