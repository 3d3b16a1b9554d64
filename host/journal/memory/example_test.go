package memory_test

import (
	"errors"
	"fmt"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/memory"
)

// A test has the disk fill up, and then loses power.
func ExampleNew() {
	full := false
	backend := memory.New(memory.Config{Before: func(*journal.Batch) error {
		if full {
			return fmt.Errorf("disk full: %w", journal.ErrRefused)
		}
		return nil
	}})
	life := journal.Incarnation{1}
	for seq := uint64(1); seq <= 3; seq++ {
		full = seq == 3
		var batch journal.Batch
		batch.Append(life, seq, []byte("record"))
		fmt.Println(seq, errors.Is(backend.Apply(&batch), journal.ErrRefused))
	}
	first, last, err := backend.Crash().Bounds(life)
	fmt.Println("found", first, "to", last, err)
	// Output:
	// 1 false
	// 2 false
	// 3 true
	// found 1 to 2 <nil>
}
