package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/crhost/crhost/host"
	"github.com/crhost/crhost/host/journal"
	"github.com/crhost/crhost/host/journal/pebble"
)

// open opens the journal, if there is one, and the host on it.
func (s *server) open(ctx context.Context, cfg host.Config) (err error) {
	s.died = make(chan struct{})
	if dir := s.flags.data; dir != "" {
		s.journal, err = pebble.Open(dir, pebble.Config{OnFatal: func(error) { close(s.died) }, OnError: s.watchers.trouble})
		if err != nil {
			return unopened(dir, err)
		}
		if r := s.journal.Recovered(); r.Torn {
			s.say(event{Event: "recovered", File: r.File, Bytes: r.Bytes},
				"%s ended in the middle of a write that nobody was told of: %d bytes at its end are dropped", r.File, r.Bytes)
		}
		cfg.Journal = s.journal
	}
	if s.host, err = host.Open(ctx, cfg); err != nil {
		return s.because(errors.Join(fmt.Errorf("open the host: %w", err), s.closeJournal()))
	}
	return nil
}

// because is what is said of a run that ended with err: when the journal has died, that, whatever came of it (SEMANTICS S14).
func (s *server) because(err error) error {
	if s.journal == nil || s.journal.Err() == nil {
		return err
	}
	return &failure{
		exit: exitFailed, detail: s.journal.Err().Error(),
		hint: "what was acknowledged is on disk; once the disk works and has room, start again",
	}
}

// unopened puts what is wrong with a journal into the words of this side.
func unopened(dir string, err error) error {
	f := &failure{exit: exitFailed, detail: err.Error()}
	switch {
	case errors.Is(err, pebble.ErrLocked):
		f.exit, f.hint = exitUnavailable, "stop the other one, or serve another directory: --data DIR"
	case errors.Is(err, pebble.ErrForeign):
		f.exit, f.hint = exitUsage, "choose a directory that is empty, or not there: --data DIR"
	case errors.Is(err, journal.ErrFormat):
		f.hint = "a newer crhost wrote " + dir + ": use that one"
	case errors.Is(err, journal.ErrCorrupt):
		f.hint = "it is damaged where it had been on disk: copy " + dir + " before anything else touches it"
	}
	return f
}

func (s *server) closeJournal() error {
	if s.journal == nil {
		return nil
	}
	return s.journal.Close()
}
