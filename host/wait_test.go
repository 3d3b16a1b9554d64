package host_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/engine/enginetest"
	"github.com/crhost/crhost/host/observe"
	"github.com/stretchr/testify/require"
)

// S4: who waits finds the action also when others sent so many behind it that the subscription lost it.
func TestS4_othersAreFaster(t *testing.T) {
	for _, c := range []struct {
		name    string
		history int
		want    error
	}{
		{name: "kept"},
		{name: "gone", history: -1, want: host.ErrNever},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s *host.Store
			var once atomic.Bool
			h := counterHost(t, host.Config{SubscriberBuffer: 1, History: c.history, TailBytes: 1, Observer: &host.Observer{ModuleLoaded: func(observe.Module) *observe.ModuleHooks {
				return &observe.ModuleHooks{Sent: func(ctx context.Context, _ *observe.Sent) {
					for once.CompareAndSwap(true, false) {
						for range 5 {
							mustSend(t, s, "increment")
						}
					}
				}}
			}}})
			s = h.Store(abi.Address{Module: "counter"})
			once.Store(true)
			a, r, err := s.SendAndWaitFor(context.Background(), enginetest.Action("increment"), func(host.Action) bool { return true }, host.WaitOptions{})
			require.ErrorIs(t, err, c.want)
			require.EqualValues(t, 1, r.Seq)
			if c.want == nil {
				require.EqualValues(t, 1, a.Seq)
			}
		})
	}
}
