package journaltest_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/journaltest"
	"github.com/crhost/crhost/host/journal/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open() journal.Backend { return memory.New(memory.Config{}) }

func TestFindings_noneInWhatIsRight(t *testing.T) {
	require.Empty(t, journaltest.Findings(t, open, journaltest.Features{}))
}

// mutant is a backend with methods replaced.
type mutant struct {
	journal.Backend
	apply    func(*journal.Batch) error
	rows     func(lower, upper []byte) iter.Seq2[journal.Row, error]
	records  func(life journal.Incarnation, from, to uint64) iter.Seq2[journal.Entry, error]
	snapshot func() (journal.Snapshot, error)
	close    func() error
}

func (m *mutant) Apply(b *journal.Batch) error {
	if m.apply != nil {
		return m.apply(b)
	}
	return m.Backend.Apply(b)
}

func (m *mutant) Rows(lower, upper []byte) iter.Seq2[journal.Row, error] {
	if m.rows != nil {
		return m.rows(lower, upper)
	}
	return m.Backend.Rows(lower, upper)
}

func (m *mutant) Records(life journal.Incarnation, from, to uint64) iter.Seq2[journal.Entry, error] {
	if m.records != nil {
		return m.records(life, from, to)
	}
	return m.Backend.Records(life, from, to)
}

func (m *mutant) Snapshot() (journal.Snapshot, error) {
	if m.snapshot != nil {
		return m.snapshot()
	}
	return m.Backend.Snapshot()
}

func (m *mutant) Close() error {
	if m.close != nil {
		return m.close()
	}
	return m.Backend.Close()
}

type unclosed struct{ journal.Reader }

func (unclosed) Close() error { return nil }

func TestFindings_brokenBackends(t *testing.T) {
	crash := func(b journal.Backend) journal.Backend { return b.(*memory.Backend).Crash() }
	for _, c := range []struct {
		name   string
		breaks func(*mutant)
		reopen func(journal.Backend) journal.Backend
		found  string // one check that finds it
	}{
		{"answers before it wrote", func(m *mutant) {
			var mu sync.Mutex
			var late journal.Batch
			m.apply = func(b *journal.Batch) error {
				mu.Lock()
				defer mu.Unlock()
				err := m.Backend.Apply(&late)
				late.Reset()
				late.Join(b)
				return err
			}
		}, nil, "batch/durable when Apply returns"},
		{"writes a batch in two", func(m *mutant) {
			var seen atomic.Int32 // snapshots
			m.snapshot = func() (journal.Snapshot, error) {
				seen.Add(1)
				return m.Backend.Snapshot()
			}
			m.apply = func(b *journal.Batch) error {
				var logs, rows journal.Batch
				for _, w := range b.Logs() {
					if w.Op == journal.OpAppend {
						logs.Append(w.Life, w.Seq, w.Record)
					}
				}
				for _, w := range b.Rows() {
					_ = rows.Set(w.Key, w.Value)
				}
				err := m.Backend.Apply(&logs)
				// Until somebody has looked in between, or nobody does.
				for before, spins := seen.Load(), 0; seen.Load() == before && spins < 1000; spins++ {
					runtime.Gosched()
				}
				return errors.Join(err, m.Backend.Apply(&rows))
			}
		}, nil, "batch/whole or not at all"},
		{"writes rows backwards", func(m *mutant) {
			m.apply = func(b *journal.Batch) error {
				slices.Reverse(b.Rows())
				return m.Backend.Apply(b)
			}
		}, nil, "rows/later writes of a batch win"},
		{"includes the upper bound", func(m *mutant) {
			m.rows = func(lower, upper []byte) iter.Seq2[journal.Row, error] {
				if upper != nil {
					upper = append(slices.Clone(upper), 0)
				}
				return m.Backend.Rows(lower, upper)
			}
		}, nil, "rows/ranges"},
		{"excludes the last record", func(m *mutant) {
			m.records = func(life journal.Incarnation, from, to uint64) iter.Seq2[journal.Entry, error] {
				return m.Backend.Records(life, from, max(to, 1)-1)
			}
		}, nil, "logs/append and ranges"},
		{"trims one too many", func(m *mutant) {
			m.apply = func(b *journal.Batch) error {
				for i := range b.Logs() {
					if w := &b.Logs()[i]; w.Op == journal.OpTrim {
						w.Seq++
					}
				}
				return m.Backend.Apply(b)
			}
		}, nil, "logs/trim"},
		{"removes the tail with the history", func(m *mutant) {
			m.apply = func(b *journal.Batch) error {
				for i := range b.Logs() {
					if w := &b.Logs()[i]; w.Op == journal.OpRelease {
						w.Op, w.Seq = journal.OpTrim, w.Seq+2
					}
				}
				return m.Backend.Apply(b)
			}
		}, nil, "logs/release keeps what rebuilds need (S9, S11)"},
		{"keeps the log of a life that ended", func(m *mutant) {
			m.apply = func(b *journal.Batch) error {
				for i := range b.Logs() {
					if w := &b.Logs()[i]; w.Op == journal.OpDrop {
						w.Op, w.Seq = journal.OpTrim, 0
					}
				}
				return m.Backend.Apply(b)
			}
		}, nil, "logs/drop ends a life (S15)"},
		{"writes where a log was", func(m *mutant) {
			ended := map[journal.Incarnation]bool{}
			m.apply = func(b *journal.Batch) error {
				for i := range b.Logs() {
					switch w := &b.Logs()[i]; {
					case w.Op == journal.OpDrop:
						ended[w.Life] = true
					case w.Place != nil && ended[w.Life]:
						w.Life[7]++
					}
				}
				return m.Backend.Apply(b)
			}
		}, nil, "logs/a place outlives its log"},
		{"has snapshots that move", func(m *mutant) {
			m.snapshot = func() (journal.Snapshot, error) { return unclosed{m.Backend}, nil }
		}, nil, "batch/snapshot sees nothing later"},
		{"goes on when closed", func(m *mutant) {
			m.close = func() error { return nil }
		}, nil, "batch/closed"},
		{"is empty after a crash", func(m *mutant) {}, func(b journal.Backend) journal.Backend {
			_ = crash(b)
			return open()
		}, "batch/reopen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := func() journal.Backend {
				if c.reopen != nil {
					return open()
				}
				m := &mutant{Backend: open()}
				c.breaks(m)
				return m
			}
			found := journaltest.Findings(t, open, journaltest.Features{Reopen: c.reopen}, c.found)
			require.Contains(t, found, c.found)
		})
	}
}

// fence is a Committer with methods replaced.
type fence struct {
	*journal.Committer
	enqueue func(journal.Step) journal.Position
	wait    func(context.Context, journal.Position) error
	kick    func()
	recover func() error
}

func (f *fence) Enqueue(s journal.Step) journal.Position {
	if f.enqueue != nil {
		return f.enqueue(s)
	}
	return f.Committer.Enqueue(s)
}

func (f *fence) Wait(ctx context.Context, p journal.Position) error {
	if f.wait != nil {
		return f.wait(ctx, p)
	}
	return f.Committer.Wait(ctx, p)
}

func (f *fence) Kick() {
	if f.kick != nil {
		f.kick()
		return
	}
	f.Committer.Kick()
}

func (f *fence) Recover() error {
	if f.recover != nil {
		return f.recover()
	}
	return f.Committer.Recover()
}

// owner is a journal.Owner made of functions.
type owner struct{ durable, lost func(uint64) }

func (o owner) Durable(seq uint64) { o.durable(seq) }
func (o owner) Lost(seq uint64)    { o.lost(seq) }

func TestFindings_brokenFences(t *testing.T) {
	for _, c := range []struct {
		name   string
		breaks func(*fence)
		found  string
	}{
		{"answers before Apply", func(f *fence) {
			f.wait = func(context.Context, journal.Position) error { f.Kick(); return nil }
		}, "fence/nobody knows before Apply returns (S2)"},
		{"tells owners before Apply", func(f *fence) {
			f.enqueue = func(s journal.Step) journal.Position {
				if s.Owner != nil {
					s.Owner.Durable(s.Seq)
					s.Owner = nil
				}
				return f.Committer.Enqueue(s)
			}
		}, "fence/nobody knows before Apply returns (S2)"},
		{"tells owners after the watermark moved", func(f *fence) {
			f.enqueue = func(s journal.Step) journal.Position {
				p, o := f.Committer.Enqueue(journal.Step{Life: s.Life, Seq: s.Seq, Record: s.Record}), s.Owner
				go func() {
					if o != nil && f.Committer.Wait(context.Background(), p) == nil {
						o.Durable(s.Seq)
					}
				}()
				return p
			}
		}, "fence/owners hear before waiters"},
		{"tells owners out of order", func(f *fence) {
			var mu sync.Mutex
			var kept func()
			f.enqueue = func(s journal.Step) journal.Position {
				if o := s.Owner; o != nil {
					s.Owner = owner{func(seq uint64) {
						mu.Lock()
						defer mu.Unlock()
						if kept == nil {
							kept = func() { o.Durable(seq) }
							return
						}
						o.Durable(seq)
						kept()
						kept = nil
					}, o.Lost}
				}
				return f.Committer.Enqueue(s)
			}
		}, "hammer/order and watermark"},
		{"loses the fence when a batch fails", func(f *fence) {
			f.enqueue = func(s journal.Step) journal.Position {
				if errors.Is(f.Err(), journal.ErrBatchFailed) {
					_ = f.Committer.Recover()
				}
				return f.Committer.Enqueue(s)
			}
		}, "failure/a refused batch takes what follows with it (S5)"},
		{"forgets what failed", func(f *fence) {
			f.wait = func(ctx context.Context, p journal.Position) error {
				if p <= f.Watermark() {
					return nil
				}
				return f.Committer.Wait(ctx, p)
			}
		}, "failure/failing again and again"},
		{"takes an unknown outcome for a failure", func(f *fence) {
			f.wait = func(ctx context.Context, p journal.Position) error {
				err := f.Committer.Wait(ctx, p)
				if errors.Is(err, journal.ErrOutcomeUnknown) {
					return journal.ErrBatchFailed
				}
				return err
			}
		}, "failure/unknown outcome ends the fence (S14)"},
		{"does not tell what was lost", func(f *fence) {
			f.enqueue = func(s journal.Step) journal.Position {
				if o := s.Owner; o != nil {
					s.Owner = owner{o.Durable, func(uint64) {}}
				}
				return f.Committer.Enqueue(s)
			}
		}, "failure/closing a failed fence"},
		{"commits only for those who wait", func(f *fence) {
			f.kick = func() {}
		}, "fence/kick"},
		{"waits though cancelled", func(f *fence) {
			f.wait = func(_ context.Context, p journal.Position) error { return f.Committer.Wait(context.Background(), p) }
		}, "fence/cancelled callers"},
		{"has one caller commit for all", func(f *fence) {
			var leading sync.Mutex
			f.wait = func(ctx context.Context, p journal.Position) error {
				err := f.Committer.Wait(ctx, p)
				if leading.TryLock() {
					defer leading.Unlock()
					for range 20 {
						f.Committer.Kick()
						if q := f.Watermark(); q > 0 {
							_ = f.Committer.Wait(ctx, f.Committer.Enqueue(journal.Step{}))
						}
					}
				}
				return err
			}
		}, "fence/no caller is kept committing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := journaltest.Findings(t, open, journaltest.Features{Fence: func(b journal.Backend, config journal.Config) journaltest.Fence {
				f := &fence{Committer: journal.NewCommitter(b, config)}
				c.breaks(f)
				return f
			}}, c.found)
			require.Contains(t, found, c.found)
		})
	}
}
