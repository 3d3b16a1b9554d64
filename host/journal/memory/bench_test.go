package memory_test

import (
	"testing"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/journaltest"
	"github.com/crhost/crhost/host/journal/memory"
)

func BenchmarkJournal(b *testing.B) {
	journaltest.Benchmark(b, func() journal.Backend { return memory.New(memory.Config{}) })
}
