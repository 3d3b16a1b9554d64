package shard_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/host/journal/memory"
	"github.com/crhost/crhost/host/observe"
	"github.com/crhost/crhost/host/shard"
	"github.com/stretchr/testify/require"
)

// S1, S10: so many commands may wait for a store while another action holds its shard up; those beyond are refused at once, and those of other stores are not.
func TestS1_queueIsBounded(t *testing.T) {
	const depth = 4
	f := newFixture(t, memory.New(memory.Config{}), shard.Config{QueueDepth: depth})
	waited := make(chan error, 2*depth)
	send := func(key string) {
		_, err := f.Send(context.Background(), key, action("add"))
		waited <- err
	}
	f.start(t, 1, &observe.ModuleHooks{Trapped: func(*observe.Trapped) { // with the lock held
		for range depth - 1 { // the action at hand counts
			go send("a")
		}
		for f.Waiting("a") < depth {
			runtime.Gosched()
		}
		f.refused(t, "a", "add", abi.CodeOverloaded)
		go send("b")
		for f.Waiting("b") < 1 {
			runtime.Gosched()
		}
	}})
	f.send(t, "a", "add")
	f.send(t, "b", "add")
	f.refused(t, "a", "trap", abi.CodeTrapped)
	for range depth {
		require.NoError(t, <-waited)
	}
	f.requireValue(t, "a", depth)
	f.requireValue(t, "b", 2)
}

// S10: so many actions of a store may wait for the journal; those beyond are refused at once, and are taken again when it goes on.
func TestS10_slowJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const depth = 4
		var j faulty
		f := newFixture(t, j.journal(0), shard.Config{QueueDepth: depth})
		j.stuck = make(chan struct{})
		answers := make(chan error, depth)
		for range depth {
			go func() {
				_, err := f.Send(context.Background(), "a", action("add"))
				answers <- err
			}()
			synctest.Wait()
		}
		f.refused(t, "a", "add", abi.CodeOverloaded)
		go func() { _, _ = f.Send(context.Background(), "b", action("add")) }()
		close(j.stuck)
		synctest.Wait()
		for range depth {
			require.NoError(t, <-answers)
		}
		require.EqualValues(t, depth+1, f.send(t, "a", "add"))
		f.requireValue(t, "b", 1)
	})
}
