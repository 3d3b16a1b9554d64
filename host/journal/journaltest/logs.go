package journaltest

import (
	"fmt"
	"math"

	"github.com/stretchr/testify/require"

	"github.com/crhost/crhost/host/journal"
)

var one, two = journal.Incarnation{1}, journal.Incarnation{2}

func logChecks() []check {
	return []check{
		{name: "logs/empty", run: func(k *kit) {
			b := k.backend()
			requireLog(k, b, one, 0, 0)
			require.Empty(k, collect(k, b.Records(one, 0, math.MaxUint64)))
		}},
		{name: "logs/append and ranges", run: func(k *kit) {
			b := k.backend()
			grow(k, b, one, 1, 700)
			grow(k, b, two, 1, 3)
			requireLog(k, b, one, 1, 700)
			requireLog(k, b, two, 1, 3)
			for _, c := range []struct{ from, to, first, last uint64 }{
				{1, 1, 1, 1}, {0, 3, 1, 3}, {128, 129, 128, 129}, {650, 9999, 650, 700}, {129, 512, 129, 512}, {5, 4, 0, 0}, {701, 800, 0, 0},
			} {
				requireRecords(k, b, one, c.from, c.to, c.first, c.last)
			}
			for range b.Records(one, 1, 700) {
				break
			}
		}},
		{name: "logs/trim", run: func(k *kit) {
			b := k.backend()
			grow(k, b, one, 1, 10)
			apply(k, b, func(batch *journal.Batch) { batch.Trim(one, 4) })
			requireLog(k, b, one, 4, 10)
			apply(k, b, func(batch *journal.Batch) { batch.Trim(one, 2); batch.Trim(two, 9) })
			requireLog(k, b, one, 4, 10)
			grow(k, b, one, 11, 12)
			apply(k, b, func(batch *journal.Batch) { batch.Trim(one, 20) })
			requireLog(k, b, one, 0, 0)
			grow(k, b, one, 13, 13)
			requireLog(k, b, one, 13, 13)
		}},
		{name: "logs/drop ends a life (S15)", run: func(k *kit) {
			b := k.backend()
			grow(k, b, one, 1, 5)
			grow(k, b, two, 1, 5)
			apply(k, b, func(batch *journal.Batch) { batch.Drop(one); batch.Drop(journal.Incarnation{9}) })
			requireLog(k, b, one, 0, 0)
			requireLog(k, b, two, 1, 5)
			apply(k, b, func(batch *journal.Batch) {
				batch.Drop(two)
				batch.Append(two, 1, bytesOf(two, 1))
			})
			requireLog(k, b, two, 1, 1)
		}},
		{name: "logs/a place outlives its log", run: func(k *kit) {
			b := k.backend()
			var place journal.Place
			at := func(seq uint64) func(*journal.Batch) {
				return func(batch *journal.Batch) { batch.AppendAt(&place, one, seq, bytesOf(one, seq)) }
			}
			apply(k, b, at(1))
			grow(k, b, one, 2, 2)
			apply(k, b, at(3))
			requireLog(k, b, one, 1, 3)
			apply(k, b, func(batch *journal.Batch) { batch.Drop(one) })
			apply(k, b, at(1))
			apply(k, b, at(2))
			requireLog(k, b, one, 1, 2)
		}},
		{name: "logs/release keeps what rebuilds need (S9, S11)", run: func(k *kit) {
			b := k.backend()
			grow(k, b, one, 1, 3000)
			apply(k, b, func(batch *journal.Batch) { batch.Release(one, 2990) })
			grow(k, b, one, 3001, 6000)
			first, last, err := b.Bounds(one)
			require.NoError(k, err)
			require.LessOrEqual(k, first, uint64(2991))
			require.Equal(k, uint64(6000), last)
			requireRecords(k, b, one, 2991, 6000, 2991, 6000)
		}},
	}
}

// apply writes one batch.
func apply(k *kit, b journal.Backend, fill func(*journal.Batch)) {
	k.Helper()
	var batch journal.Batch
	fill(&batch)
	require.NoError(k, b.Apply(&batch))
}

// grow appends records in batches of up to 100.
func grow(k *kit, b journal.Backend, life journal.Incarnation, from, to uint64) {
	k.Helper()
	for from <= to {
		apply(k, b, func(batch *journal.Batch) {
			for end := min(to, from+99); from <= end; from++ {
				batch.Append(life, from, bytesOf(life, from))
			}
		})
	}
}

// bytesOf is what these checks keep as the record of a seq.
func bytesOf(life journal.Incarnation, seq uint64) []byte {
	return fmt.Appendf(nil, "record %d of %s", seq, life)
}

// requireLog requires that a log holds exactly the records from first to last.
func requireLog(k *kit, r journal.Reader, life journal.Incarnation, first, last uint64) {
	k.Helper()
	gotFirst, gotLast, err := r.Bounds(life)
	require.NoError(k, err)
	require.Equal(k, [2]uint64{first, last}, [2]uint64{gotFirst, gotLast}, "bounds")
	requireRecords(k, r, life, 0, math.MaxUint64, first, last)
}

// requireRecords requires that a scan yields exactly the records from first to last.
func requireRecords(k *kit, r journal.Reader, life journal.Incarnation, from, to, first, last uint64) {
	k.Helper()
	seq := first
	for _, e := range collect(k, r.Records(life, from, to)) {
		require.Equal(k, seq, e.Seq)
		require.Equal(k, string(bytesOf(life, e.Seq)), string(e.Bytes))
		seq++
	}
	if first != 0 {
		require.Equal(k, last+1, seq, "one after the last record")
	}
}
