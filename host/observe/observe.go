package observe

import (
	"context"
	"time"
)

// Observer is a set of callbacks about a host as a whole; any may be nil.
type Observer struct {
	// Opened is called once, when the host is about to restore what its journal has.
	Opened func(Opened)
	// ModuleLoaded is called once per loaded module, before the module takes actions. What happens to the module from then on goes to the
	// hooks it returns; nil means that this observer does not care about the module.
	ModuleLoaded func(Module) *ModuleHooks
	// Deployed is called when a deploy has ended: activated, unchanged or refused.
	Deployed func(Deployed)
	// Compiled is called when a module was metered and compiled, found compiled in a cache, or could not be compiled.
	Compiled func(Compiled)
	// BreakerChanged is called when the circuit breaker of a target changed. Each begins closed.
	BreakerChanged func(BreakerChanged)
	// Traceparent is the W3C traceparent of the span in ctx, empty when there is none. It is asked only where it goes on: for an accepted
	// action that described effects, with which it is kept, and for a request to a peer.
	Traceparent func(ctx context.Context) string
}

// Opened is a host that was opened.
type Opened struct {
	// Durability is what an acknowledgement means: "memory" or "fsync".
	Durability string
}

// Module describes a loaded module.
type Module struct {
	Tenant, Name string
	// Actions are the action types of the manifest; Sent.Action and SendStart.Action are indices into it.
	Actions []string
	// EffectKinds are the kinds of effects that the manifest declares.
	EffectKinds []string
	// Stats reads the gauges of the module. It is safe from any goroutine and cheap enough for every scrape; nil when there are none.
	Stats func() ModuleStats
}

// ModuleStats are a module's gauges at one moment, each summed over its shards.
type ModuleStats struct {
	Shards, Stores, Residents int
	// GuestMemoryBytes is the linear memory of all live instances; QueueDepth the actions waiting for a shard's lock.
	GuestMemoryBytes, QueueDepth int64
	// WatermarkLag is the number of accepted actions that are not known durable.
	WatermarkLag uint64
	Subscribers  int
	Halted       int
	// OpenLeaves are those that have their turn and are not done; of them, running ones are attempted or feed back, timed ones wait for a time
	// (delays, and attempts to come), parked ones for a breaker, a budget or a module. The rest is ready, or waits in its lane.
	OpenLeaves, RunningLeaves, TimedLeaves, ParkedLeaves int
	DeadLetters                                          int
}

// ModuleHooks are the callbacks about one loaded module; any may be nil.
type ModuleHooks struct {
	// SendStarted is called before a send waits for anything. The send goes on with the context it returns, which may carry a span.
	SendStarted func(ctx context.Context, e *SendStart) context.Context
	// Sent is called once for every finished send, accepted or refused, with the context that SendStarted returned.
	Sent func(ctx context.Context, e *Sent)
	// Committed is called when a batch of records became durable, or failed to; not for a journal in memory, where nothing does.
	Committed func(e *Committed)
	// Rebuilt is called when a store's state was rebuilt from base and tail.
	Rebuilt func(e *Rebuilt)
	// Trapped is called when an instance trapped and was poisoned.
	Trapped func(e *Trapped)
	// Halted is called when a store halted, and when it resumed.
	Halted func(e *Halted)
	// Gap is called when a subscriber missed actions.
	Gap func(e *Gap)
	// Swapped is called when one shard flipped to another revision.
	Swapped func(e *Swapped)
	// EffectStarted is called before an attempt at a leaf of an effect. The attempt, and what it feeds back, goes on with the context it
	// returns, which may carry a span.
	EffectStarted func(ctx context.Context, e *EffectStart) context.Context
	// Performed is called when one attempt at a leaf has ended, with the context that EffectStarted returned.
	Performed func(ctx context.Context, e *Performed)
	// Buried is called when a dead letter is durable: a leaf was given up, or what it fed back was not taken.
	Buried func(e *Buried)
	// Redriven is called when a dead letter is gone: its leaf is in another drive, or it was discarded.
	Redriven func(e *Redriven)
	// Log is called for each line that a guest logged.
	Log func(e *GuestLog)
	// Unloaded is called last, when the module has been taken out of service.
	Unloaded func()
}

// SendStart is the beginning of a send.
type SendStart struct {
	Key string
	// Action is the index of the action's type in Module.Actions, -1 when the module does not know it.
	Action     int
	ActionType string
	// Cause is where the action comes from: CauseCommand, CauseFeedback, CauseTimer or CauseDispatch.
	Cause string
	// Trace is the traceparent of the action that caused this one, for when the context carries no span: after a delay or a restart.
	Trace string
	Start time.Time
}

// Causes of actions. Commands come from outside, the others from effects.
const (
	CauseCommand  = "command"
	CauseFeedback = "feedback"
	CauseTimer    = "timer"
	CauseDispatch = "dispatch"
)

// Sent is a finished send.
type Sent struct {
	Key string
	// Shard is the index of the shard that reduced the action. Observers may spread what they count by it, so that shards do not contend.
	Shard int
	// Action is the index of the action's type in Module.Actions, -1 when the module does not know it.
	Action     int
	ActionType string
	// Cause is as in SendStart.
	Cause string
	// Seq is the number of the accepted action in its store, 0 when it was refused.
	Seq      uint64
	Revision string
	// Replayed says that nothing was reduced: Seq is that of an earlier action with the same idempotency key.
	Replayed bool
	// Code is empty for an accepted action, else the refusal's code, such as "rejected".
	Code string
	// Err is the refusal, nil for an accepted action.
	Err   error
	Start time.Time
	// LockWait, Reduce and Commit are the parts of Total: waiting for the shard, the guest's reduce, waiting for the journal. A part that
	// the send did not reach is 0.
	LockWait, Reduce, Commit, Total time.Duration
	// Fuel is what the reduce used.
	Fuel          int64
	CorrelationID string
}

// Committed is one batch of records that became durable, or failed to.
type Committed struct {
	// Shard is the index of the shard whose records they are; see Sent.Shard.
	Shard          int
	Actions, Bytes int
	// Latency is how long the journal took.
	Latency time.Duration
	// Lag is the number of accepted actions that were not durable when the batch ended.
	Lag uint64
	Err error
}

// Rebuilt is a store's state made anew from its base and tail.
type Rebuilt struct {
	Key string
	// Replayed is the number of actions of the tail that were reduced again.
	Replayed int
	Duration time.Duration
	// Cause is why the slot had been dropped, such as "evicted", "trap", "refused".
	Cause string
}

// Trapped is an instance that trapped.
type Trapped struct {
	Key string
	// Cause is the kind of trap, such as "unreachable", "fuel", "depth"; Message the guest's own words.
	Cause, Message string
	Fuel           int64
	// Trace is the traceparent of what the instance did, or of what caused that; empty when it was not traced.
	Trace string
}

// Halted is a store that stopped accepting actions, or does so again.
type Halted struct {
	Key, Code, Reason string
	Resumed           bool
}

// Gap is a range of actions, both ends included, that a subscriber missed.
type Gap struct {
	Key      string
	From, To uint64
}

// Swapped is one shard that flipped to another revision.
type Swapped struct {
	Shard    int
	Revision string
	// Pause is how long the shard's lock was held.
	Pause time.Duration
}

// Leaf names a leaf of an effect.
type Leaf struct {
	Key string
	// Seq is the action that described the effect; Index that of the leaf in its tree.
	Seq   uint64
	Index int
	// Kind is the index of the effect's kind in Module.EffectKinds, -1 when the manifest does not name it; KindName its name.
	Kind     int
	KindName string
	Target   string
	// Drive is which run of the leaf it is, from 1.
	Drive int
	// Trace is the traceparent of the span of the action that described the effect, empty when it was not traced.
	Trace string
}

// EffectStart is the beginning of an attempt at a leaf.
type EffectStart struct {
	Leaf
	// Attempt is which one of the drive, from 1. Those after the first are retries.
	Attempt int
	Start   time.Time
}

// Outcomes of attempts.
const (
	OutcomeDone     = "done"
	OutcomeFailed   = "failed"   // another attempt follows
	OutcomeDead     = "dead"     // none does
	OutcomeCanceled = "canceled" // the leaf was cancelled meanwhile, or the host stops
)

// Performed is one attempt at a leaf that has ended. It is used again after the call: what is to be kept has to be copied.
type Performed struct {
	EffectStart
	Duration time.Duration
	// Outcome is OutcomeDone, OutcomeFailed, OutcomeDead or OutcomeCanceled. Err says what went wrong, if anything did.
	Outcome string
	Err     error
}

// Buried is a leaf that has a dead letter now.
type Buried struct {
	Leaf
	// Reason is one of Reasons. Err is what was wrong last, empty when nobody said.
	Reason, Err string
	// Fed says that the reducer was told of it.
	Fed bool
	// Lost says that no letter was kept, as the module has as many as it may.
	Lost bool
}

// Reasons are those that dead letters may have.
func Reasons() []string {
	return []string{
		"exhausted", "permanent", "parked_too_long", "breaker_open", "budget", "cascade", "invalid", "feedback_rejected", "feedback_trapped", "unknown_action",
	}
}

// Redriven is a dead letter that is gone.
type Redriven struct {
	Leaf // Drive is the one that is gone with the letter
	// Reason is the letter's. Discarded says that the leaf is not done again.
	Reason    string
	Discarded bool
}

// BreakerChanged is a circuit breaker that changed.
type BreakerChanged struct {
	// Target is EFFECT=TARGET, as in a grant.
	Tenant, Target string
	// From and To are BreakerClosed, BreakerOpen or BreakerHalfOpen; Manual says that To is held by hand.
	From, To string
	Manual   bool
}

// States of breakers.
const (
	BreakerClosed   = "closed"
	BreakerOpen     = "open"
	BreakerHalfOpen = "half-open"
)

// GuestLog is one line that a guest logged.
type GuestLog struct {
	Key string
	// Level is 0 debug, 1 info, 2 warn, 3 error; Text is the guest's: any bytes at all.
	Level int
	Text  string
}

// Deployed is a deploy that has ended.
type Deployed struct {
	Tenant, Module, Revision, Digest string
	// Outcome is "activated", "unchanged" or "refused".
	Outcome  string
	Err      error
	Duration time.Duration
}

// Compiled is a module that was metered and compiled, or found compiled.
type Compiled struct {
	Digest string
	// Bytes is the size of the module as given, MeteredBytes after metering.
	Bytes, MeteredBytes int
	Cached              bool
	Duration            time.Duration
	Err                 error
}
