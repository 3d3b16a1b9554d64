package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// By is how much each action adds: more than 1, so that a side that counts calls is found out.
const By = 3

// side is a counter somewhere.
type side interface {
	// run applies n increments by By, one after another.
	run(ctx context.Context, n int) error
	// count reads the state.
	count(ctx context.Context) (int64, error)
	close() error
}

// The names of the sides.
const (
	Ours          = "ours"
	OursSend      = "ours-send"
	Extism        = "extism"
	ExtismTimeout = "extism-timeout"
	ExtismLean    = "extism-lean"
	GoPlugin      = "go-plugin"
)

// runner is a side in a field.
type runner struct {
	name  string
	batch int // actions in a turn: enough that a turn takes 50 ms or more, and collects its garbage several times
	side
	total int64 // actions it was sent
}

// Field is all sides, ready to run.
type Field struct {
	dir     string
	runners []*runner
}

// Open builds what the sides run and starts them. The caller must call Close, which ends the plug-in process.
func Open(ctx context.Context) (f *Field, err error) {
	f = &Field{}
	if f.dir, err = os.MkdirTemp("", "crhost-peers-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
			f = nil
		}
	}()
	ours, theirs, child := filepath.Join(f.dir, "counter.wasm"), filepath.Join(f.dir, "extism.wasm"), filepath.Join(f.dir, "plugin")
	err = errors.Join(
		buildGuest(ctx, module+"/plugins/counter", ours),
		buildGuest(ctx, module+"/bench/extismguest", theirs),
		buildProgram(ctx, module+"/bench/goplugin/child", child),
	)
	if err != nil {
		return f, err
	}
	for _, s := range []struct {
		name  string
		batch int
		open  func() (side, error)
	}{
		{Ours, 250_000, func() (side, error) { return openEngine(ctx, ours) }},
		{OursSend, 50_000, func() (side, error) { return openStore(ctx, ours) }},
		{Extism, 4000, func() (side, error) { return openExtism(ctx, theirs, "reduce", 0) }},
		{ExtismTimeout, 4000, func() (side, error) { return openExtism(ctx, theirs, "reduce", extismTimeout) }},
		{ExtismLean, 4000, func() (side, error) { return openExtism(ctx, theirs, "lean", 0) }},
		{GoPlugin, 1000, func() (side, error) { return openGoPlugin(ctx, child) }},
	} {
		opened, err := s.open()
		if err != nil {
			return f, fmt.Errorf("open side %s: %w", s.name, err)
		}
		f.runners = append(f.runners, &runner{name: s.name, batch: s.batch, side: opened})
	}
	return f, nil
}

// Close ends all sides. A second call does nothing.
func (f *Field) Close() error {
	var errs []error
	for _, r := range f.runners {
		if err := r.close(); err != nil {
			errs = append(errs, fmt.Errorf("close side %s: %w", r.name, err))
		}
	}
	f.runners = nil
	return errors.Join(append(errs, os.RemoveAll(f.dir))...)
}

// check compares each side's count with what it was sent.
func (f *Field) check(ctx context.Context) error {
	var errs []error
	for _, r := range f.runners {
		have, err := r.count(ctx)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("read the count of side %s: %w", r.name, err))
		case have != r.total*By:
			errs = append(errs, &CountError{Side: r.name, Want: r.total * By, Have: have})
		}
	}
	return errors.Join(errs...)
}

// CountError says that a side did not do its work: its figure means nothing.
type CountError struct {
	Side       string
	Want, Have int64
}

func (e *CountError) Error() string {
	return fmt.Sprintf("side %s has counted to %d, want %d", e.Side, e.Have, e.Want)
}
