package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/bench/counter"
	"github.com/crhost/crhost/host/engine"
)

// engineSide is an instance of our engine with the state in its first slot.
type engineSide struct {
	engine   *engine.Engine
	module   *engine.Module
	instance *engine.Instance
	fuel     int64
	in       abi.ReduceInput
	out      abi.Output
}

var _ side = (*engineSide)(nil)

func openEngine(ctx context.Context, file string) (_ *engineSide, err error) {
	wasm, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &engineSide{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.engine, err = engine.New(ctx, engine.Config{}); err != nil {
		return nil, err
	}
	if s.module, err = s.engine.Load(ctx, "bench", wasm); err != nil {
		return nil, err
	}
	if s.instance, err = s.module.Instantiate(ctx, nil); err != nil {
		return nil, err
	}
	actions := s.module.Manifest().Actions
	index := slices.IndexFunc(actions, func(a abi.Action) bool { return a.Type == "increment" })
	if index < 0 {
		return nil, fmt.Errorf("%s has no action increment", file)
	}
	s.fuel = int64(s.module.Limits().Fuel)
	s.in = abi.ReduceInput{Mode: abi.Fresh, Action: uint16(index), Ticket: 1, Body: counter.Increment(By)}
	return s, nil
}

func (s *engineSide) run(_ context.Context, n int) error {
	for range n {
		s.in.Seq++
		if err := s.instance.Reduce(&s.in, s.fuel, &s.out); err != nil {
			return err
		}
		if s.out.Status != abi.OK {
			return fmt.Errorf("status %s: %s", s.out.Status, s.out.Text)
		}
		s.in.Mode = abi.Resident
		// A host does this between actions, so it is part of what an action costs.
		if err := s.instance.Housekeep(); err != nil {
			return err
		}
	}
	return nil
}

func (s *engineSide) count(context.Context) (int64, error) {
	state, err := s.instance.State(s.in.Slot, s.in.Ticket)
	if err != nil {
		return 0, err
	}
	return counter.Count(state)
}

func (s *engineSide) close() error {
	var errs []error
	if s.instance != nil {
		errs = append(errs, s.instance.Close())
	}
	if s.module != nil {
		errs = append(errs, s.module.Close())
	}
	if s.engine != nil {
		errs = append(errs, s.engine.Close())
	}
	return errors.Join(errs...)
}
