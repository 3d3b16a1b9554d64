package main

import "github.com/crhost/crhost/sdk"

// Stored says that the event of the effect with this id is in the stream.
type Stored struct {
	ID       string `msgpack:"id"`
	Version  int64  `msgpack:"version"`
	Position uint64 `msgpack:"position"`
}

// Failed says that an effect has failed for good.
type Failed struct {
	ID      string `msgpack:"id"`
	Code    string `msgpack:"code"`
	Message string `msgpack:"message"`
	Have    int64  `msgpack:"have"` // of a version_conflict: the version of the stream
}

// Loaded is a page of the stream.
type Loaded struct {
	Events []LoadedEvent `msgpack:"events"`
	More   bool          `msgpack:"more"`
}

// LoadedEvent is an event, whose type is not in its data.
type LoadedEvent struct {
	Type     string `msgpack:"type"`
	Version  int64  `msgpack:"version"`
	Position uint64 `msgpack:"position"`
	Data     Event  `msgpack:"data"`
}

func stored(s *State, a Stored, env *sdk.Env) (sdk.Effects, error) {
	switch {
	case s.Pending != nil && s.Pending.ID == a.ID && a.Version == s.Version+1:
		e := s.Pending.Event
		s.Pending, s.Failure = nil, ""
		s.apply(e, a.Version)
		return append(announce(e, a.Position), s.advance(env)...), nil
	case a.Version > s.Version && !s.busy(): // an event that had been given up, stored by a redrive
		return s.load(env), nil
	}
	return nil, sdk.Unchanged
}

func notStored(s *State, a Failed, env *sdk.Env) (sdk.Effects, error) {
	mine := s.Pending != nil && s.Pending.ID == a.ID && !s.Loading
	redriven := !s.busy()
	known := a.Code == "version_conflict" && a.Have <= s.Version
	if !mine && !redriven || redriven && known {
		return nil, sdk.Unchanged
	}
	s.Failure = a.Code + ": " + a.Message
	return s.load(env), nil // whatever the code: an event may be stored although the answer is that it failed
}

func loaded(s *State, a Loaded, env *sdk.Env) (sdk.Effects, error) {
	if s.Pending != nil && !s.Loading {
		return nil, sdk.Unchanged // of a redrive; if there is something new, the pending event is going to meet it
	}
	var effects sdk.Effects
	for _, e := range a.Events {
		if e.Version == s.Version+1 {
			e.Data.Type = e.Type
			s.apply(e.Data, e.Version)
			effects = append(effects, announce(e.Data, e.Position)...)
		}
	}
	if a.More {
		return append(effects, s.load(env)...), nil
	}
	again := s.Pending != nil && s.Pending.Own && len(effects) == 0
	s.Pending, s.Loading = nil, false
	if again {
		return nil, nil // what it would do next is what has just failed
	}
	return append(effects, s.advance(env)...), nil
}

func notLoaded(s *State, a Failed, _ *sdk.Env) (sdk.Effects, error) {
	if !s.Loading {
		return nil, sdk.Unchanged
	}
	s.Pending, s.Loading, s.Failure = nil, false, a.Code+": "+a.Message
	return nil, nil
}

func charged(s *State, _ struct{}, env *sdk.Env) (sdk.Effects, error) {
	if s.Payment == "" || s.Payment == paymentMade {
		return nil, sdk.Unchanged
	}
	s.Payment = paymentMade // also when it comes late: a cancelled order then gives it back
	return append(sdk.Effects{sdk.Cancel(timeout)}, s.advance(env)...), nil
}

func notCharged(s *State, a Failed, env *sdk.Env) (sdk.Effects, error) {
	return s.unpaid("payment failed: "+a.Code, timeout, env)
}

func notAnswered(s *State, _ struct{}, env *sdk.Env) (sdk.Effects, error) {
	return s.unpaid("payment timed out", payment, env)
}

// unpaid gives the payment up, and the other effect that was to end it.
func (s *State) unpaid(reason, other string, env *sdk.Env) (sdk.Effects, error) {
	if s.Payment != paymentAsked {
		return nil, sdk.Unchanged
	}
	s.Payment = paymentFailed
	if s.Status == placed {
		s.Reason = reason
	}
	return append(sdk.Effects{sdk.Cancel(other)}, s.advance(env)...), nil
}
