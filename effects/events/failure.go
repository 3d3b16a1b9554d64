package events

import (
	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/effects/retry"
)

// The codes of errors; see the package doc.
const (
	codeConflict          = "version_conflict"
	codeInvalid           = "invalid"
	codeReused            = "event_id_reused"
	codeFull              = "topic_full"
	codeUnknownProjection = "unknown_projection"
	codeNotFound          = "not_found"
	codeProjectionFailed  = "projection_failed"
)

// refused is an error that no further attempt can mend.
func refused(code string, err error) error {
	return retry.Permanent(&effects.Error{Code: code, Err: err})
}
