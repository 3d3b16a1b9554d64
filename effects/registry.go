package effects

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/crhost/crhost/abi"
	"github.com/crhost/crhost/effects/retry"
)

// ErrNoHandler is in the error about a leaf that nobody performs. It is permanent.
var ErrNoHandler = errors.New("no handler")

// Registry finds the handler of a leaf. Calls and kinds have names of their own: no call reaches the handler of a kind. It must not be changed
// while it is in use.
type Registry struct {
	Calls map[string]Handler   // of calls, by the target up to its first colon
	Kinds map[abi.Kind]Handler // of publish, append, load and project
}

// handled are the kinds that have handlers, besides calls.
var handled = []abi.Kind{abi.KindPublish, abi.KindAppend, abi.KindLoad, abi.KindProject}

// Validate reports all names that no leaf can reach, and handlers that are nil.
func (r Registry) Validate() error {
	var faults []error
	for name, h := range r.Calls {
		if !abi.ValidCode([]byte(name)) {
			faults = append(faults, fmt.Errorf("calls of %q: want 1 to %d of a-z, 0-9, _ and . for a name", name, abi.MaxNameBytes))
		}
		if h == nil {
			faults = append(faults, fmt.Errorf("calls of %q: the handler is nil", name))
		}
	}
	for kind, h := range r.Kinds {
		if !slices.Contains(handled, kind) {
			faults = append(faults, fmt.Errorf("kind %q: no handler does it, want one of %v", kind, handled))
		}
		if h == nil {
			faults = append(faults, fmt.Errorf("kind %q: the handler is nil", kind))
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

// Handler returns who performs e: for a call with target name or name:rest the handler of that name, for other kinds that of the kind. The
// error is ErrNoHandler with what is missing; kinds that the outbox performs have none.
func (r Registry) Handler(e *abi.Effect) (Handler, error) {
	name, h := "", Handler(nil)
	if e.Kind == abi.KindCall {
		name, _, _ = strings.Cut(e.Target, ":")
		h = r.Calls[name]
	} else if slices.Contains(handled, e.Kind) {
		h = r.Kinds[e.Kind]
	}
	if h == nil {
		what := string(e.Kind)
		if e.Kind == abi.KindCall {
			what = fmt.Sprintf("call of %q", name)
		}
		return nil, retry.Permanent(fmt.Errorf("%s: %w", what, ErrNoHandler))
	}
	return h, nil
}
