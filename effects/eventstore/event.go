package eventstore

import (
	"fmt"
	"strings"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
)

// Bounds of one append.
const (
	MaxAppendEvents = 1000
	MaxAppendBytes  = 8 << 20 // data and metadata of all its events
)

// Any is the version to expect when the stream may have any. 0 is a stream without events.
const Any int64 = -1

// Event is a fact in a stream.
type Event struct {
	ID       string // unique in the store for ever; text without control characters, 1 to 256 bytes, as are Stream and Type
	Stream   string // set by the store
	Version  uint64 // in its stream, from 1; set by the store
	Position uint64 // in the store, from 1; set by the store
	Type     string
	Schema   uint32 // number of the schema of Data, for who reads it
	Time     int64  // unix ns, as the appender says; the store has no clock
	Data     []byte // one msgpack value
	Metadata []byte // one msgpack value, or nothing
}

// Appended says where events were appended. Those of one append lie at consecutive versions; their positions ascend.
type Appended struct {
	FirstVersion, LastVersion   uint64
	FirstPosition, LastPosition uint64
}

// Snapshot is the state that somebody made of a stream's events up to Version. To the store it is bytes.
type Snapshot struct {
	Version uint64
	Data    []byte
}

// Check reports why an append cannot be right, whatever the store holds; errors are [InvalidError]. Every implementation refuses what it does.
func Check(stream string, expect int64, events []Event) error {
	if err := CheckStream(stream); err != nil {
		return err
	}
	switch {
	case expect < Any:
		return &InvalidError{What: "expected version", Reason: fmt.Sprintf("%d is neither Any nor a version", expect)}
	case len(events) == 0:
		return &InvalidError{What: "append", Reason: "no events"}
	case len(events) > MaxAppendEvents:
		return &InvalidError{What: "append", Reason: fmt.Sprintf("%d events, the limit is %d", len(events), MaxAppendEvents)}
	}
	size := 0
	for i := range events {
		e := &events[i]
		if err := e.check(i); err != nil {
			return err
		}
		size += len(e.Data) + len(e.Metadata)
	}
	if size > MaxAppendBytes {
		return &InvalidError{What: "append", Reason: fmt.Sprintf("%d bytes of data and metadata, the limit is %d", size, MaxAppendBytes)}
	}
	return twice(events)
}

// CheckStream reports why a name cannot be a stream's; errors are [InvalidError].
func CheckStream(name string) error {
	if err := abi.ValidateKey(name); err != nil {
		return invalid("stream", err)
	}
	return nil
}

// CheckSnapshot reports why a snapshot cannot be right; errors are [InvalidError].
func CheckSnapshot(stream string, s Snapshot) error {
	if err := CheckStream(stream); err != nil {
		return err
	}
	if s.Version == 0 {
		return &InvalidError{What: "snapshot", Reason: "of version 0"}
	}
	if len(s.Data) > abi.HardStateBytes {
		return &InvalidError{What: "snapshot", Reason: fmt.Sprintf("%d bytes, the limit is %d", len(s.Data), abi.HardStateBytes)}
	}
	return nil
}

func (e *Event) check(i int) error {
	wrong := func(part string, err error) error { return invalid(fmt.Sprintf("%s of event %d", part, i), err) }
	if err := abi.ValidateKey(e.ID); err != nil {
		return wrong("id", err)
	}
	if err := abi.ValidateKey(e.Type); err != nil {
		return wrong("type", err)
	}
	if err := pack.Valid(e.Data); err != nil {
		return wrong("data", err)
	}
	if len(e.Metadata) == 0 {
		return nil
	}
	if err := pack.Valid(e.Metadata); err != nil {
		return wrong("metadata", err)
	}
	return nil
}

// invalid says what is wrong with a part, in the words of the rule for store keys that names are held to.
func invalid(what string, err error) error {
	return &InvalidError{What: what, Reason: strings.TrimPrefix(err.Error(), abi.ErrBadAddress.Error()+": ")}
}

// twice looks for an id that is there twice.
func twice(events []Event) error {
	if len(events) < 2 {
		return nil
	}
	seen := make(map[string]struct{}, len(events))
	for i := range events {
		if _, again := seen[events[i].ID]; again {
			return &InvalidError{What: fmt.Sprintf("id of event %d", i), Reason: fmt.Sprintf("%q is there twice", events[i].ID)}
		}
		seen[events[i].ID] = struct{}{}
	}
	return nil
}
