// Package breaker stops asking a target that does not answer, and finds out when it does again.
//
//	          Failures in a row, or Rate reached
//	+--------+ ------------------------------> +------+
//	| closed |                                 | open | <--+
//	+--------+                                 +------+    |
//	    ^                                   after |        | a probe fails
//	    |                                    Open v        |
//	    |        Successes of probes       +-----------+   |
//	    +--------------------------------- | half-open | --+
//	                                       +-----------+
//	                                  at most Probes at a time
//
// It promises:
//
//  1. While open nobody gets a permit; while half-open at most Probes are out at a time.
//  2. A result counts only in the state, and since the change of state, that its permit was given in: what was asked before a target was found
//     dead says nothing about its recovery.
//  3. A permit that is never settled holds the place of a probe for Open at most. Its result counts when it comes after all.
//  4. A cancelled attempt counts as nothing and gives its place back.
//  5. Changes are told in the order in which they happen, each once.
//
// Who is told [OpenError] waits: until the time that it names, a change, or a probe's end, whatever comes first. By hand a breaker can
// be held open or closed.
//
// It needs no goroutine and no timer: half-open begins with the first question after Open has passed. All methods may be called from many
// goroutines. Nothing fails but what is to fail: [Breaker.Allow] refuses with [ErrOpen].
//
// failsafe-go has a breaker, and it was not taken: a permit that is not settled with a result is lost there, so that cancelled or lost probes keep
// a half-open breaker shut for good; results of the closed state count in the half-open one and give it permits that were
// never taken; and it cannot be reconfigured, nor held open.
package breaker
