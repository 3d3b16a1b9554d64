package host

import (
	"context"
	"fmt"
	"reflect"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/abi/pack"
	"github.com/vmihailenco/msgpack/v5"
)

// TypedStore is a store whose states and actions are Go types.
type TypedStore[S, A any] struct{ *Store }

// Typer names the type of an action. A Go type that does not have it must have a field with the msgpack name "type".
type Typer interface{ ActionType() string }

// Typed puts Go types on a store: S for its states, A for its actions; A may be an interface. Fields take their names from msgpack tags.
func Typed[S, A any](s *Store) TypedStore[S, A] { return TypedStore[S, A]{s} }

// Send is Store.Send for a Go value. Errors are *Error; CodeMalformed also when the value cannot be encoded.
func (t TypedStore[S, A]) Send(ctx context.Context, action A) (Receipt, error) {
	b, err := encodeAction(action)
	if err != nil {
		return Receipt{}, &Error{Code: abi.CodeMalformed, Text: err.Error(), Err: err}
	}
	return t.Store.Send(ctx, b)
}

// State is Store.State as a Go value, and the seq that it is as of. Errors are *Error; CodeStateUnreadable also when the state does not fit S.
func (t TypedStore[S, A]) State(ctx context.Context) (state S, seq uint64, err error) {
	raw, err := t.Store.State(ctx)
	if err != nil {
		return state, 0, err
	}
	if err := msgpack.Unmarshal(raw.Body, &state); err != nil {
		return state, raw.Seq, &Error{Code: abi.CodeStateUnreadable, Text: fmt.Sprintf("the state does not fit %T: %v", state, err), Err: err}
	}
	return state, raw.Seq, nil
}

// SendAndWaitFor is Store.SendAndWaitFor for Go values: match sees each action decoded; those that do not fit A do not match.
func (t TypedStore[S, A]) SendAndWaitFor(ctx context.Context, action A, match func(A) bool, o WaitOptions) (matched A, receipt Receipt, err error) {
	b, err := encodeAction(action)
	if err != nil {
		return matched, receipt, &Error{Code: abi.CodeMalformed, Text: err.Error(), Err: err}
	}
	_, receipt, err = t.Store.SendAndWaitFor(ctx, b, func(a Action) bool {
		var candidate A
		if msgpack.Unmarshal(a.Body, &candidate) != nil || !match(candidate) {
			return false
		}
		matched = candidate
		return true
	}, o)
	return matched, receipt, err
}

// encodeAction encodes a Go value as an action: its own fields, and its type if it names that by a method.
func encodeAction(action any) ([]byte, error) {
	b, err := msgpack.Marshal(action)
	if err != nil {
		return nil, fmt.Errorf("encode action %T: %w", action, err)
	}
	typer, ok := action.(Typer)
	if !ok {
		return b, nil
	}
	r := pack.NewReader(b)
	if r.Peek() != pack.Map {
		return nil, fmt.Errorf("encode action %s: it is not a struct or map", reflect.TypeOf(action))
	}
	n := r.MapLen()
	typed := pack.AppendString(pack.AppendString(pack.AppendMapLen(nil, n+1), "type"), typer.ActionType())
	return append(typed, b[r.Pos():]...), nil
}
