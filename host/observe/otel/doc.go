// Package otel turns sends and effects into OpenTelemetry spans.
//
// # Promise
//
// Each send is a span store.send, a child of the span in the caller's context; when it came to a reduce it has a child reducer.reduce with
// the times of the guest's call. Spans carry the times that the host measured, so tracing adds no clock reads to an action.
//
//	store.send              crhost.tenant, crhost.module, crhost.store.key, crhost.action, crhost.cause (command, feedback, timer, dispatch)
//	                        crhost.correlation_id
//	                        accepted: crhost.seq, crhost.revision
//	                        refused:  crhost.code, and the error as an event "exception" when the host or the guest failed
//	├── reducer.reduce      crhost.tenant, crhost.module, crhost.action, crhost.fuel
//	└── effect.execute      one for each attempt at a leaf of what the action described: crhost.tenant, crhost.module, crhost.store.key,
//	    │                   crhost.seq, and crhost.effect. with leaf, kind, target, drive, attempt, outcome (done, failed, dead, canceled);
//	    │                   the error of one that failed as an event "exception"
//	    ├── event_store.append or event_bus.publish, by its kind: crhost.tenant, crhost.module, crhost.effect.target
//	    └── store.send      of the action that it feeds back, or sends to another store; and so on
//
// All of it is one trace, which begins with the caller's and goes on over delays, retries and restarts: the traceparent of an action's span is
// kept with the effects that it described. What comes without an attempt, a timer or feedback that is delivered once more, is a child of the
// action's span. [Traceparent] is what goes out to peers, in the header of that name. Guests never see any of it.
//
// A send's status is Error when the host or the guest failed. A refusal that the caller's action brought about, as "rejected", is an answer
// and leaves the status unset.
//
// # Refusals
//
// The package opens no exporter and sets no global provider: whoever has a TracerProvider hands it in. tracestate and baggage are not
// kept. One observer of a host may come from
// this package, not two: what SendStarted or EffectStarted put into the context is the span. To send spans to two places give one provider two
// span processors.
//
// # Concurrency and failure
//
// Observers are safe for concurrent use. What the provider does when it cannot export is its own affair and never the send's.
package otel
