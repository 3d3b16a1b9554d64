// Package resident keeps the states of stores decoded in a guest, and gets them back when they are lost.
//
// A [Cell] is what the host knows of one store's state: a base (the newest encoded state known), a tail (the records accepted after it)
// and, while the store is resident, a slot. The state itself is in the slot; base and tail are what it can be made of again. A [Set] is one
// instance of a guest with its slots.
//
//	         Prepare (base, then the tail replayed)
//	absent ------------------------------------------> seated
//	   ^                                                  |
//	   +--------------------------------------------------+
//	     Drop: refused, trapped, failed, moved, or evicted for another cell (which encodes it first)
//
// It promises that base + tail always give the state as of the last accepted record, whatever happens to guests; that no slot is used under a ticket
// it did not get; and that a rebuild whose effects differ from the recorded ones is a [DivergedError] and never a state.
//
// It does not know shards, journals or clocks, and takes no lock: cells and sets belong to whoever holds their shard's.
package resident
