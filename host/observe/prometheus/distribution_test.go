package prometheus

import (
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever is added, the exposed histogram is the one that client_golang would have made of it.
func TestDistribution_likeClientGolang(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		duration := rapid.OneOf(
			rapid.Map(rapid.SampledFrom(durationBounds[:]), func(d time.Duration) time.Duration { return d }),
			rapid.Map(rapid.SampledFrom(durationBounds[:]), func(d time.Duration) time.Duration { return d + 1 }),
			rapid.Map(rapid.Int64Range(0, int64(time.Hour)), func(n int64) time.Duration { return time.Duration(n) }),
			rapid.Map(rapid.Int64Range(0, int64(time.Microsecond)), func(n int64) time.Duration { return time.Duration(n) }),
		)
		model := prom.NewHistogram(prom.HistogramOpts{Name: "h", Buckets: durationBuckets})
		var stripes [2]distribution
		for i, d := range rapid.SliceOf(duration).Draw(t, "durations") {
			stripes[i%2].add(d)
			model.Observe(d.Seconds())
		}
		var sum total
		sum.include(&stripes[0])
		sum.include(&stripes[1])

		var got, want dto.Metric
		require.NoError(t, sum.metric(prom.NewDesc("h", "", nil, nil)).Write(&got))
		require.NoError(t, model.Write(&want))
		require.Equal(t, want.Histogram.GetSampleCount(), got.Histogram.GetSampleCount())
		require.InDelta(t, want.Histogram.GetSampleSum(), got.Histogram.GetSampleSum(), 1e-6)
		require.Len(t, got.Histogram.Bucket, len(want.Histogram.Bucket))
		for i, bucket := range want.Histogram.Bucket {
			require.Equal(t, bucket.GetUpperBound(), got.Histogram.Bucket[i].GetUpperBound())
			require.Equal(t, bucket.GetCumulativeCount(), got.Histogram.Bucket[i].GetCumulativeCount())
		}
	})
}

func TestDistribution_extremes(t *testing.T) {
	var h distribution
	for _, d := range []time.Duration{-1 << 63, -1, 0} {
		h.add(d)
	}
	require.Zero(t, h.sum.Load())
	require.EqualValues(t, 3, h.buckets[0].Load())
	h.add(1<<63 - 1)
	require.EqualValues(t, 1, h.buckets[len(durationBounds)].Load())
}
