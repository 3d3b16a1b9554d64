package host

import (
	"errors"
	"fmt"

	"github.com/crhost/crhost/abi"
)

// Error is a refusal or failure with its code: see the codes of package abi. errors.Is compares codes.
type Error = abi.Error

// The refusals that callers ask for most often. Any code makes such a sentinel: &host.Error{Code: ...}.
var (
	ErrRejected        = &Error{Code: abi.CodeRejected}         // the reducer rejected the action. The store is as it was
	ErrTrapped         = &Error{Code: abi.CodeTrapped}          // the reducer trapped or ran over a limit. The store is as it was
	ErrNotFound        = &Error{Code: abi.CodeNotFound}         // no such module, store, revision or action
	ErrHalted          = &Error{Code: abi.CodeHalted}           // the store waits for a resume
	ErrOverloaded      = &Error{Code: abi.CodeOverloaded}       // a queue is full: try again later
	ErrBatchFailed     = &Error{Code: abi.CodeBatchFailed}      // the journal refused the action: nothing was kept
	ErrUnknownOutcome  = &Error{Code: abi.CodeUnknownOutcome}   // the journal failed: the action may have been kept or not
	ErrTimeout         = &Error{Code: abi.CodeTimeout}          // what was waited for did not come in time. It does not say that the action was not accepted
	ErrNever           = &Error{Code: abi.CodeNever}            // what was waited for cannot come any more
	ErrShuttingDown    = &Error{Code: abi.CodeShuttingDown}     // the host, module or store takes no more actions
	ErrShutdownTimeout = errors.New("shutdown ran out of time") // what ran then was given up; it does not say that anything durable was lost
)

// Gap is a range of actions, both ends included, that are not to be had.
type Gap struct{ From, To uint64 }

// GapError says that history does not reach back as far as was asked for.
type GapError struct{ Gap }

func (e *GapError) Error() string {
	return fmt.Sprintf("actions %d to %d are no longer kept", e.From, e.To)
}
