package pebble_test

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/pebble"
)

func ExampleOpen() {
	disk := vfs.NewMem() // in place of the one of the operating system
	for range 2 {
		b, err := pebble.Open("data", pebble.Config{FS: disk, OnFatal: func(err error) {
			fmt.Println(err) // here a host says why, and ends the process
		}})
		if err != nil {
			fmt.Println(err)
			return
		}
		life := journal.Incarnation{1}
		_, last, err := b.Bounds(life)
		fmt.Println("found", last, err)
		var batch journal.Batch
		batch.Append(life, last+1, []byte("record"))
		fmt.Println("appended", b.Apply(&batch))
		_, err = pebble.Open("data", pebble.Config{FS: disk})
		fmt.Println(err)
		fmt.Println("closed", b.Close())
	}
	// Output:
	// found 0 <nil>
	// appended <nil>
	// open journal data: another host has the journal open
	// closed <nil>
	// found 1 <nil>
	// appended <nil>
	// open journal data: another host has the journal open
	// closed <nil>
}
