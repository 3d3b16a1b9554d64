// Package otel turns sends into OpenTelemetry spans.
//
// # Promise
//
// Each send is a span store.send, a child of the span in the caller's context; when it came to a reduce it has a child reducer.reduce with
// the times of the guest's call. Spans carry the times that the host measured, so tracing adds no clock reads to an action.
//
//	store.send              crhost.tenant, crhost.module, crhost.store.key, crhost.action
//	                        crhost.correlation_id
//	                        accepted: crhost.seq, crhost.revision
//	                        refused:  crhost.code, and the error as an event "exception" when the host or the guest failed
//	└── reducer.reduce      crhost.tenant, crhost.module, crhost.action, crhost.fuel
//
// A span's status is Error when the host or the guest failed. A refusal that the caller's action brought about, as "rejected", is an answer
// and leaves the status unset.
//
// # Refusals
//
// The package opens no exporter and sets no global provider: whoever has a TracerProvider hands it in. One observer of a host may come from
// this package, not two: what SendStarted put into the context is the send's span. To send spans to two places give one provider two
// span processors.
//
// # Concurrency and failure
//
// Observers are safe for concurrent use. What the provider does when it cannot export is its own affair and never the send's.
package otel
