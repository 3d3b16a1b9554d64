package abi

// Code is a stable name for why something was refused or failed. One code has one meaning, wherever it is shown.
type Code string

// The codes.
const (
	// The business or the action.
	CodeRejected       Code = "rejected"        // the reducer rejected the action; Reason is its own code
	CodeBadAction      Code = "bad_action"      // the reducer could not read the action
	CodeMalformed      Code = "malformed"       // the bytes are not an action at all
	CodeTooLarge       Code = "too_large"       // over a limit that the message names
	CodeUnknownAction  Code = "unknown_action"  // the manifest has no such action type
	CodeInternalAction Code = "internal_action" // the action is not a command
	CodeBadAddress     Code = "bad_address"     // the address cannot be one
	CodeBadRequest     Code = "bad_request"     // the request itself is wrong

	CodeIdempotencyMismatch Code = "idempotency_mismatch" // the idempotency key was given to another action

	// The guest.
	CodeTrapped          Code = "trapped"           // the reducer trapped or ran over a limit; Reason is the cause
	CodeInvalidEffect    Code = "invalid_effect"    // the effects are not an effect tree, or over a bound
	CodeUndeclaredEffect Code = "undeclared_effect" // an effect outside the manifest or its grants
	CodeCascade          Code = "cascade"           // actions caused one another without end

	// The store.
	CodeNotFound        Code = "not_found"        // no such module, store or revision
	CodeHalted          Code = "halted"           // the store halted and waits for a resume
	CodeDiverged        Code = "diverged"         // the store's state differs from its history
	CodeStateUnreadable Code = "state_unreadable" // the guest cannot encode or decode the store's state
	CodeTrapping        Code = "trapping"         // the store trapped lately and its module's traps are rationed
	CodeOverloaded      Code = "overloaded"       // a queue is full
	CodeNever           Code = "never"            // what was waited for cannot come any more
	CodeTimeout         Code = "timeout"          // it did not come in time; the action itself may have been accepted

	// The host.
	CodeShuttingDown   Code = "shutting_down"   // the host takes no more actions
	CodeBatchFailed    Code = "batch_failed"    // the journal refused the batch; nothing of it was kept
	CodeStorageFull    Code = "storage_full"    // the disk has only its reserve left, which is for what is under way
	CodeUnknownOutcome Code = "unknown_outcome" // the journal died; the action may or may not have been kept
	CodeInternal       Code = "internal"        // a fault of the host
	CodeCanceled       Code = "canceled"        // the caller went away

	// Deploys.
	CodeBadModule     Code = "bad_module"     // the module was refused at load
	CodeSchemaChanged Code = "schema_changed" // the schema number differs from the active revision's
	CodeBusy          Code = "busy"           // another deploy of the module is running

	// The door.
	CodeForeignOrigin        Code = "foreign_origin"         // the Host or Origin header is not ours
	CodeUnsupportedMediaType Code = "unsupported_media_type" // the content type is missing or unknown
	CodeMethodNotAllowed     Code = "method_not_allowed"     // the route has no such method
)

// Codes lists every code.
func Codes() []Code {
	return []Code{
		CodeRejected, CodeBadAction, CodeMalformed, CodeTooLarge, CodeUnknownAction, CodeInternalAction, CodeBadAddress, CodeBadRequest, CodeIdempotencyMismatch,
		CodeTrapped, CodeInvalidEffect, CodeUndeclaredEffect, CodeCascade,
		CodeNotFound, CodeHalted, CodeDiverged, CodeStateUnreadable, CodeTrapping, CodeOverloaded, CodeNever, CodeTimeout,
		CodeShuttingDown, CodeBatchFailed, CodeStorageFull, CodeUnknownOutcome, CodeInternal, CodeCanceled,
		CodeBadModule, CodeSchemaChanged, CodeBusy,
		CodeForeignOrigin, CodeUnsupportedMediaType, CodeMethodNotAllowed,
	}
}

// Error is a refusal or failure with its code. errors.Is compares codes, so that every error of a code matches its sentinel.
type Error struct {
	Code   Code
	Reason string // rejected: the reducer's own code; trapped: the cause (trap, fuel, depth, exit, output, ...)
	Text   string // for people
	Err    error  // what caused it, may be nil
}

func (e *Error) Error() string {
	s := string(e.Code)
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same code (and the same reason, if target names one).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Reason == "" || t.Reason == e.Reason)
}
