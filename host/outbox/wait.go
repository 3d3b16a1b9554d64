package outbox

import (
	"context"
	"errors"

	"github.com/crhost/crhost/host/journal"
)

// ErrClosed says that the outbox was closed before what was waited for came about.
var ErrClosed = errors.New("outbox: closed")

// signal is closed once; those who wait for it make it.
type signal struct {
	done  chan struct{}
	ended bool // by Close, before it came about
}

func (s *signal) wait() <-chan struct{} {
	if s.ended {
		return told
	}
	if s.done == nil {
		s.done = make(chan struct{})
	}
	return s.done
}

// told is what those who come after Close wait for: it has been told already.
var told = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (s *signal) tell() {
	if s.done != nil {
		close(s.done)
		s.done = nil
	}
}

func (s *signal) end() {
	s.ended = true
	s.tell()
}

// Wait returns when the leaves of an action are done. Errors: the cause of ctx, ErrClosed.
func (o *Outbox) Wait(ctx context.Context, life journal.Incarnation, seq uint64) error {
	o.mu.Lock()
	a := o.accounts[life]
	if a == nil || a.effects[seq] == nil || a.effects[seq].thread == nil {
		o.mu.Unlock()
		return nil
	}
	e := a.effects[seq]
	done := e.wait()
	o.mu.Unlock()
	return o.await(ctx, done, &e.signal)
}

// WaitAll returns when everything of a tenant with a correlation id is done. Errors are as of Wait.
func (o *Outbox) WaitAll(ctx context.Context, tenant, correlation string) error {
	o.mu.Lock()
	t := o.threads[threadID{tenant, correlation}]
	if t == nil {
		o.mu.Unlock()
		return nil
	}
	done := t.wait()
	o.mu.Unlock()
	return o.await(ctx, done, &t.signal)
}

func (o *Outbox) await(ctx context.Context, done <-chan struct{}, s *signal) error {
	select {
	case <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.ended {
		return ErrClosed
	}
	return nil
}
