package ledger

import (
	"errors"

	"github.com/crhost/crhost/effects"
	"github.com/crhost/crhost/host/journal"
)

// ErrGone says that a leaf is not what it was when it was started: it was cancelled, finished, or its store ended. What it brings is dropped.
var ErrGone = errors.New("ledger: the leaf is gone")

// Delivery is what became of a leaf, for its store.
type Delivery struct {
	Leaf    *Leaf
	Outcome effects.Outcome // Done or Dead; Open for an emission, after which the leaf goes on
	Cause   journal.Cause
	Action  []byte // to be reduced; nil when nothing is fed back
	Token   []byte // of an emission

	// Letter is what a dead leaf leaves; nil for others. Of feedback that is refused the store makes one.
	Letter *journal.DeadLetter

	// Attempts are the failed ones, for a letter that the store makes.
	Attempts []journal.Attempt
}

// Dispatch is an action that an effect of another store sends.
type Dispatch struct {
	From   *Leaf
	Store  journal.StoreID // that it is for
	Action []byte
}

// The reasons of dead letters (SEMANTICS E3, E4).
const (
	ReasonExhausted        = "exhausted"         // every attempt failed
	ReasonPermanent        = "permanent"         // an attempt failed in a way that no other can mend
	ReasonParkedTooLong    = "parked_too_long"   // its target did not come back
	ReasonBreakerOpen      = "breaker_open"      // the policy does not wait for targets
	ReasonBudget           = "budget"            // likewise, for retries
	ReasonCascade          = "cascade"           // actions caused one another without end
	ReasonInvalid          = "invalid"           // it cannot be done at all
	ReasonFeedbackRejected = "feedback_rejected" // the reducer, or a check of the host, refused what was fed back
	ReasonFeedbackTrapped  = "feedback_trapped"  // the reducer trapped on it, and somebody skipped it
	ReasonUnknownAction    = "unknown_action"    // the revision has no action of this type
)
