package eventstoretest_test

import (
	"context"

	"github.com/crhost/crhost/effects/eventstore"
)

// mutant is a store with methods replaced.
type mutant struct {
	eventstore.Store
	append       func(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error)
	load         func(ctx context.Context, stream string, from uint64, limit int) ([]eventstore.Event, error)
	all          func(ctx context.Context, after uint64, limit int) ([]eventstore.Event, error)
	wait         func(ctx context.Context, after uint64) error
	head         func(ctx context.Context) (uint64, error)
	saveSnapshot func(ctx context.Context, stream string, s eventstore.Snapshot) error
	loadSnapshot func(ctx context.Context, stream string) (eventstore.Snapshot, error)
	close        func() error
}

func (m *mutant) Append(ctx context.Context, stream string, expect int64, events []eventstore.Event) (eventstore.Appended, error) {
	if m.append != nil {
		return m.append(ctx, stream, expect, events)
	}
	return m.Store.Append(ctx, stream, expect, events)
}

func (m *mutant) Load(ctx context.Context, stream string, from uint64, limit int) ([]eventstore.Event, error) {
	if m.load != nil {
		return m.load(ctx, stream, from, limit)
	}
	return m.Store.Load(ctx, stream, from, limit)
}

func (m *mutant) All(ctx context.Context, after uint64, limit int) ([]eventstore.Event, error) {
	if m.all != nil {
		return m.all(ctx, after, limit)
	}
	return m.Store.All(ctx, after, limit)
}

func (m *mutant) Wait(ctx context.Context, after uint64) error {
	if m.wait != nil {
		return m.wait(ctx, after)
	}
	return m.Store.Wait(ctx, after)
}

func (m *mutant) Head(ctx context.Context) (uint64, error) {
	if m.head != nil {
		return m.head(ctx)
	}
	return m.Store.Head(ctx)
}

func (m *mutant) SaveSnapshot(ctx context.Context, stream string, s eventstore.Snapshot) error {
	if m.saveSnapshot != nil {
		return m.saveSnapshot(ctx, stream, s)
	}
	return m.Store.SaveSnapshot(ctx, stream, s)
}

func (m *mutant) LoadSnapshot(ctx context.Context, stream string) (eventstore.Snapshot, error) {
	if m.loadSnapshot != nil {
		return m.loadSnapshot(ctx, stream)
	}
	return m.Store.LoadSnapshot(ctx, stream)
}

func (m *mutant) Close() error {
	if m.close != nil {
		return m.close()
	}
	return m.Store.Close()
}
