package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/journaltest"
	"github.com/crhost/crhost/host/journal/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	journaltest.Run(t, func() journal.Backend { return memory.New(memory.Config{}) }, journaltest.Features{
		Reopen: func(b journal.Backend) journal.Backend { return b.(*memory.Backend).Crash() },
	})
}
