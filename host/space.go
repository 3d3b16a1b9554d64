package host

import (
	"fmt"
	"time"

	"github.com/crhost/crhost/abi"
)

// disk is a journal that knows how much room it has, in bytes.
type disk interface {
	Space() (free, total uint64, err error)
}

// lookEvery is how often the room on the disk is looked at.
const lookEvery = time.Second

// watchSpace looks at the journal's disk until the host shuts down: commands are refused while there is less than the reserve, which is for what is under way
// (SEMANTICS S14).
func (h *Host) watchSpace() {
	d, ok := h.backend.(disk)
	if !ok || h.config.ReserveBytes < 0 {
		return
	}
	h.look(d)
	h.space.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				h.look(d)
			case <-h.ended:
				return
			}
		}
	})
}

// look takes note of whether there is room. That it cannot be told changes nothing: a write that fails will.
func (h *Host) look(d disk) {
	free, total, err := d.Space()
	if err != nil {
		return
	}
	reserve := uint64(h.config.ReserveBytes)
	if reserve == 0 {
		reserve = min(DefaultReserveBytes, total/20)
	}
	switch full := h.full.Load() != nil; {
	case free < reserve && !full:
		h.full.Store(&abi.Error{
			Code: abi.CodeStorageFull, Text: fmt.Sprintf("the journal's disk has %d MiB left, of which %d MiB are for what is under way", free>>20, reserve>>20),
		})
	case free >= reserve && full:
		h.full.Store(nil)
	}
}
