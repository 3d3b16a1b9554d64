package peers

import (
	"context"
	"errors"
	"os"

	"github.com/crhost/crhost/bench/counter"
	"github.com/crhost/crhost/host"
)

// storeSide is a store of a host that keeps its journal in memory.
type storeSide struct {
	host   *host.Host
	store  *host.Store
	action []byte
}

var _ side = (*storeSide)(nil)

func openStore(ctx context.Context, file string) (*storeSide, error) {
	wasm, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	h, err := host.Open(ctx, host.Config{})
	if err != nil {
		return nil, err
	}
	s := &storeSide{host: h, action: counter.Increment(By)}
	if _, err := h.Deploy(ctx, host.DeployRequest{Module: "counter", Wasm: wasm}); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.store, err = h.StoreAt("counter/bench"); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *storeSide) run(ctx context.Context, n int) error {
	for range n {
		if _, err := s.store.Send(ctx, s.action); err != nil {
			return err
		}
	}
	return nil
}

func (s *storeSide) count(ctx context.Context) (int64, error) {
	state, err := s.store.State(ctx)
	if err != nil {
		return 0, err
	}
	return counter.Count(state.Body)
}

func (s *storeSide) close() error { return s.host.Shutdown(context.Background()) }
