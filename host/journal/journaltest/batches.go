package journaltest

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
)

func batchChecks() []check {
	return []check{
		{name: "batch/durable when Apply returns", run: func(k *kit) {
			b := k.backend()
			var batch journal.Batch // reused, as a committer does
			for seq := uint64(1); seq <= 20; seq++ {
				batch.Reset()
				batch.Append(one, seq, bytesOf(one, seq))
				require.NoError(k, batch.Set([]byte("row"), fmt.Append(nil, seq)))
				require.NoError(k, b.Apply(&batch))
				if k.features.Reopen != nil {
					b = k.reopen(b)
				}
				requireLog(k, b, one, 1, seq)
				require.Equal(k, []string{fmt.Sprint("row=", seq)}, rowsOf(k, b, nil, nil))
			}
		}},
		{name: "batch/whole or not at all", run: func(k *kit) {
			b := k.backend()
			const writers, rounds = 2, 200
			var writing atomic.Int32
			writing.Store(writers)
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					defer writing.Add(-1)
					for n := 1; n <= rounds; n++ {
						var batch journal.Batch
						for i := range 5 {
							batch.Append(journal.Incarnation{byte(w), byte(i), 15: byte(7 * i)}, uint64(n), []byte("record"))
							_ = batch.Set(fmt.Appendf(nil, "%d/%d", w, i), fmt.Appendf(nil, "%d", n))
						}
						if b.Apply(&batch) != nil {
							return // the count below complains
						}
					}
				})
			}
			k.Cleanup(wg.Wait)
			for done := false; !done; {
				done = writing.Load() == 0
				s, err := b.Snapshot()
				require.NoError(k, err)
				for w := range writers {
					_, want, err := s.Bounds(journal.Incarnation{byte(w)})
					require.NoError(k, err)
					for i := range 5 {
						_, last, err := s.Bounds(journal.Incarnation{byte(w), byte(i), 15: byte(7 * i)})
						require.NoError(k, err)
						require.Equal(k, want, last, "logs of one batch")
						if want > 0 {
							v, err := s.Get(fmt.Appendf(nil, "%d/%d", w, i))
							require.NoError(k, err)
							require.Equal(k, fmt.Sprint(want), string(v), "logs and rows of one batch")
						}
					}
					require.True(k, !done || want == rounds, "all was written: %d", want)
				}
				require.NoError(k, s.Close())
			}
		}},
		{name: "batch/concurrent", run: func(k *kit) {
			b := k.backend()
			const lives, records = 8, 200
			var wg sync.WaitGroup
			for i := range lives {
				wg.Go(func() {
					life := journal.Incarnation{byte(i)}
					for seq := uint64(1); seq <= records; seq++ {
						var batch journal.Batch
						batch.Append(life, seq, bytesOf(life, seq))
						_ = batch.Set(fmt.Appendf(nil, "%d/%03d", i, seq), nil)
						if b.Apply(&batch) != nil {
							return // the count below complains
						}
						if seq%50 == 0 {
							for range b.Records(life, 1, seq) {
							}
							for range b.Rows(nil, nil) {
							}
						}
					}
				})
			}
			wg.Wait()
			for i := range lives {
				requireLog(k, b, journal.Incarnation{byte(i)}, 1, records)
			}
			require.Len(k, rowsOf(k, b, nil, nil), lives*records)
		}},
		{name: "batch/snapshot sees nothing later", run: func(k *kit) {
			b := k.backend()
			grow(k, b, one, 1, 10)
			set(k, b, "a", "1")
			set(k, b, "b", "1")
			s, err := b.Snapshot()
			require.NoError(k, err)
			apply(k, b, func(batch *journal.Batch) { batch.Trim(one, 6) })
			grow(k, b, one, 11, 30)
			grow(k, b, two, 1, 1)
			set(k, b, "a", "2")
			set(k, b, "aa", "2")
			apply(k, b, func(batch *journal.Batch) { batch.Delete([]byte("b")) })

			requireLog(k, s, one, 1, 10)
			requireLog(k, s, two, 0, 0)
			require.Equal(k, []string{"a=1", "b=1"}, rowsOf(k, s, nil, nil))
			apply(k, b, func(batch *journal.Batch) { batch.Drop(one) })
			requireLog(k, s, one, 1, 10)
			require.NoError(k, s.Close())

			requireLog(k, b, one, 0, 0)
			require.Equal(k, []string{"a=2", "aa=2"}, rowsOf(k, b, nil, nil))
		}},
		{name: "batch/closed", run: func(k *kit) {
			b := k.open()
			grow(k, b, one, 1, 1)
			require.NoError(k, b.Close())
			var batch journal.Batch
			batch.Append(one, 2, nil)
			require.ErrorIs(k, b.Apply(&batch), journal.ErrClosed)
			require.NotErrorIs(k, b.Apply(&batch), journal.ErrRefused)
			_, err := b.Get([]byte("a"))
			require.ErrorIs(k, err, journal.ErrClosed)
			_, _, err = b.Bounds(one)
			require.ErrorIs(k, err, journal.ErrClosed)
			_, err = b.Snapshot()
			require.ErrorIs(k, err, journal.ErrClosed)
			for _, err := range b.Rows(nil, nil) {
				require.ErrorIs(k, err, journal.ErrClosed)
			}
			for _, err := range b.Records(one, 0, 1) {
				require.ErrorIs(k, err, journal.ErrClosed)
			}
		}},
		{name: "batch/reopen", run: func(k *kit) {
			if k.features.Reopen == nil {
				return
			}
			b := k.backend()
			grow(k, b, one, 1, 10)
			grow(k, b, two, 1, 10)
			set(k, b, "a", "1")
			set(k, b, "b", "1")
			apply(k, b, func(batch *journal.Batch) { batch.Delete([]byte("a")); batch.Drop(two); batch.Trim(one, 3) })
			for range 2 {
				b = k.reopen(b)
				requireLog(k, b, one, 3, 10)
				requireLog(k, b, two, 0, 0)
				require.Equal(k, []string{"b=1"}, rowsOf(k, b, nil, nil))
			}
			grow(k, b, one, 11, 11)
			requireLog(k, b, one, 3, 11)
		}},
	}
}

// reopen returns the backend as it is found after a crash.
func (k *kit) reopen(b journal.Backend) journal.Backend {
	b = k.features.Reopen(b)
	k.Cleanup(func() { _ = b.Close() })
	return b
}
